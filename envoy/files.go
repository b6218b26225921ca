package envoy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/plan"
)

// The names of the files that Envoy watches, below the folder of [Options.Dir]. A file must only ever be replaced by
// renaming another one onto it: Envoy does not notice anything else.
const (
	BootstrapFile = "bootstrap.json"
	ListenersFile = "listeners.json"
	ClustersFile  = "clusters.json"
	routesDir     = "routes"
	endpointsDir  = "endpoints"
	pluginsDir    = "plugins"
	secretsDir    = "secrets"
)

// Files are a configuration in files that Envoy watches: each kind of resource in its own, so that a change of endpoints,
// which stand with the clusters or in files of their own, touches neither routes nor the filter. Keys of the maps are paths below the folder.
type Files struct {
	Bootstrap *bootstrapv3.Bootstrap
	Listeners []*listenerv3.Listener
	Clusters  []*clusterv3.Cluster
	Routes    map[string]*routev3.RouteConfiguration
	Endpoints map[string]*endpointv3.ClusterLoadAssignment
	Plugins   map[string]*corev3.TypedExtensionConfig
	// Secrets may hold private keys.
	Secrets map[string][]byte
}

// WatchedFiles builds the files of a plan. Options.Dir must say where Envoy sees them.
func WatchedFiles(p *plan.Plan, o Options) (*Files, error) {
	b, err := begin(p, &o)
	if err != nil {
		return nil, err
	}
	b.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: fromFile(filepath.Join(o.Dir, ListenersFile)), CdsConfig: fromFile(filepath.Join(o.Dir, ClustersFile)),
	}
	f := &Files{
		Bootstrap: b,
		Routes:    map[string]*routev3.RouteConfiguration{},
		Endpoints: map[string]*endpointv3.ClusterLoadAssignment{},
		Plugins:   map[string]*corev3.TypedExtensionConfig{},
	}
	all := allWays(p, &o)
	for _, l := range p.Listeners {
		out, err := listener(l, all, &o)
		if err != nil {
			return nil, err
		}
		f.Listeners = append(f.Listeners, out)
	}
	for rc := range p.RouteConfigs() {
		w := all[rc]
		f.Routes[routesPath(rc.Name)] = routeConfiguration(rc, w, &o)
		if !w.filter {
			continue
		}
		config, err := w.pluginConfig(rc, &o)
		if err != nil {
			return nil, err
		}
		name := pluginName(rc)
		f.Plugins[pluginPath(name)] = &corev3.TypedExtensionConfig{Name: name, TypedConfig: typed(wasmFilter(config, &o))}
	}
	o.ownEndpoints = ownEndpoints(p)
	for _, c := range p.Clusters {
		if o.ownEndpoints[c] {
			f.Endpoints[endpointsPath(c.Name)] = loadAssignment(c)
		}
		f.Clusters = append(f.Clusters, cluster(c, &o))
	}
	if f.Secrets, err = secrets(p); err != nil {
		return nil, err
	}
	return f, f.validate()
}

// Watches is how many instances of inotify Envoy needs for the files: one for each, and one more for the folders of a
// secret's own files. Linux allows a user 128 of all processes together, unless fs.inotify.max_user_instances says otherwise;
// an Envoy that gets none ends at once.
func (f *Files) Watches() int {
	n := 2 + len(f.Routes) + len(f.Endpoints) + len(f.Plugins) + len(f.Secrets) // 2: listeners and clusters
	for _, text := range f.Secrets {
		if bytes.Contains(text, []byte(`"filename"`)) {
			n++
		}
	}
	return n
}

// validate checks everything by the rules of Envoy's API.
func (f *Files) validate() error {
	var all []proto.Message
	all = append(all, f.Bootstrap)
	for _, m := range f.Listeners {
		all = append(all, m)
	}
	for _, m := range f.Clusters {
		all = append(all, m)
	}
	for _, m := range f.Routes {
		all = append(all, m)
	}
	for _, m := range f.Endpoints {
		all = append(all, m)
	}
	for _, m := range f.Plugins {
		all = append(all, m)
	}
	for _, m := range all {
		if err := validate(m); err != nil {
			return err
		}
	}
	return nil
}

// dynamic says that what changes lives in files that Envoy watches.
func (o *Options) dynamic() bool { return o.Dir != "" }

func (o *Options) watched(path string) *corev3.ConfigSource {
	return fromFile(filepath.Join(o.Dir, path))
}

func routesPath(name string) string    { return filepath.Join(routesDir, fileName(name)) }
func endpointsPath(name string) string { return filepath.Join(endpointsDir, fileName(name)) }
func pluginPath(name string) string    { return filepath.Join(pluginsDir, fileName(name)) }

// SecretPath is the file of a secret, below the folder.
func SecretPath(name string) string { return filepath.Join(secretsDir, fileName(name)) }

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

func fromFile(path string) *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: path}},
	}
}

// ResourceFile is the content of a file of resources.
func ResourceFile[M proto.Message](resources ...M) ([]byte, error) {
	file := struct {
		Resources []json.RawMessage `json:"resources"`
	}{Resources: []json.RawMessage{}}
	for _, r := range resources {
		text, err := JSON(typed(r))
		if err != nil {
			return nil, err
		}
		file.Resources = append(file.Resources, text)
	}
	return json.Marshal(&file)
}

// ReadResources reads what [ResourceFile] wrote.
func ReadResources[M any, P interface {
	*M
	proto.Message
}](text []byte) ([]P, error) {
	var file struct {
		Resources []json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	var out []P
	for _, r := range file.Resources {
		var a anypb.Any
		if err := protojson.Unmarshal(r, &a); err != nil {
			return nil, err
		}
		m := P(new(M))
		if err := a.UnmarshalTo(m); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Message is any message of Envoy's API.
type Message = proto.Message

// ResourceKind is what a watched file holds.
type ResourceKind int

// The kinds of watched files.
const (
	NoResources ResourceKind = iota
	ListenerResources
	ClusterResources
	RouteResources
	EndpointResources
	PluginResources
	SecretResources
)

// kindsOfDirs are the kinds of files in the folders below [Options.Dir].
var kindsOfDirs = map[string]ResourceKind{
	routesDir: RouteResources, endpointsDir: EndpointResources, pluginsDir: PluginResources, secretsDir: SecretResources,
}

// WatchedResource says what a file below [Options.Dir] holds.
func WatchedResource(path string) ResourceKind {
	switch path {
	case ListenersFile:
		return ListenerResources
	case ClustersFile:
		return ClusterResources
	default:
		return kindsOfDirs[filepath.Dir(path)]
	}
}

// IsWatchedName says whether a path is one that [WatchedFiles] could give to a file.
func IsWatchedName(path string) bool {
	switch WatchedResource(path) {
	case NoResources:
		return path == BootstrapFile
	case ListenerResources, ClusterResources:
		return true
	default:
		return hashedName.MatchString(filepath.Base(path))
	}
}

// hashedName is the form of what [fileName] returns.
var hashedName = regexp.MustCompile(`^[a-zA-Z0-9._-]{0,80}\.[0-9a-f]{8}\.json$`)

// IsWatchedFile says whether a file below the folder was written by [WatchedFiles], not by somebody else: it is named
// after the resource in it.
func IsWatchedFile(path string, text []byte) bool {
	switch WatchedResource(path) {
	case NoResources, ListenerResources, ClusterResources:
		return false // they always stay
	default:
		name := ResourceName(text)
		return name != "" && filepath.Base(path) == fileName(name)
	}
}

// ResourceName is the name of the only resource of a file; "" where there are none or more, or it is no file of resources.
func ResourceName(text []byte) string {
	var file struct {
		Resources []struct {
			Name        string `json:"name"`
			ClusterName string `json:"cluster_name"` // of endpoints
		} `json:"resources"`
	}
	if json.Unmarshal(text, &file) != nil || len(file.Resources) != 1 {
		return ""
	}
	return file.Resources[0].Name + file.Resources[0].ClusterName
}
