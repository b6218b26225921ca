package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// The names of files below the folder of [Options.Dir]. Envoy reads the bootstrap when it starts, and watches all others.
// A file that is watched must only ever be replaced by renaming another one onto it: Envoy does not notice anything else.
const (
	BootstrapFile = "bootstrap.json"
	ListenersFile = "listeners.json"
	ClustersFile  = "clusters.json"
)

// folders have a file for each resource of a type. Listeners and clusters have one file for the type.
var folders = map[Type]string{RouteType: "routes", EndpointType: "endpoints", ExtensionType: "plugins", SecretType: "secrets"}

// Path is the file of a resource, below the folder.
func Path(k Key) string {
	switch k.Type {
	case ListenerType:
		return ListenersFile
	case ClusterType:
		return ClustersFile
	default:
		return filepath.Join(folders[k.Type], fileName(k.Name))
	}
}

// IsPath reports whether [Path] could return a path.
func IsPath(path string) bool {
	if path == ListenersFile || path == ClustersFile {
		return true
	}
	for _, folder := range folders {
		if filepath.Dir(path) == folder {
			return hashedName.MatchString(filepath.Base(path))
		}
	}
	return false
}

// fileName is a name for files: readable, and not the same for two things.
func fileName(name string) string {
	sum := sha256.Sum256([]byte(name))
	readable := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	return readable[:min(len(readable), 80)] + "." + hex.EncodeToString(sum[:4]) + ".json"
}

// hashedName is the form of what [fileName] returns.
var hashedName = regexp.MustCompile(`^[a-zA-Z0-9._-]{0,80}\.[0-9a-f]{8}\.json$`)

// fromFile makes Envoy read a resource from its file, and again whenever the file is replaced.
func fromFile(dir string, k Key) *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: filepath.Join(dir, Path(k))}},
	}
}
