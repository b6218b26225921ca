package files

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/envoy"
)

// encode is the content of a file of resources, the same for the same resources. Its version is a hash of them, by which
// Envoy's statistics tell which content it has taken last.
func encode(resources []envoy.Resource) ([]byte, error) {
	all := []json.RawMessage{}
	for _, r := range resources {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
		if err != nil {
			return nil, err
		}
		text, err := envoy.JSON(&anypb.Any{TypeUrl: string(r.Type), Value: value})
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return fmt.Appendf(nil, `{"version_info":"%x","resources":%s}`, sum[:8], text), nil
}

var versioned = regexp.MustCompile(`^\{"version_info":"([0-9a-f]{16})",`)

// versionOf is the version of a file that [encode] wrote, or "".
func versionOf(text []byte) string {
	if m := versioned.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// decode reads what [encode] wrote.
func decode(text []byte) ([]proto.Message, error) {
	var file struct {
		Resources []json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	var out []proto.Message
	for _, r := range file.Resources {
		var packed anypb.Any
		if err := protojson.Unmarshal(r, &packed); err != nil {
			return nil, err
		}
		m, err := packed.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// onlyKey is the key of the only resource of a file, without a look at the rest of it; the zero value where there are none
// or more, or where it is not a file of resources.
func onlyKey(text []byte) envoy.Key {
	var file struct {
		Resources []struct {
			Type        envoy.Type `json:"@type"`
			Name        string     `json:"name"`
			ClusterName string     `json:"cluster_name"` // of endpoints
		} `json:"resources"`
	}
	if json.Unmarshal(text, &file) != nil || len(file.Resources) != 1 {
		return envoy.Key{}
	}
	r := file.Resources[0]
	return envoy.Key{Type: r.Type, Name: r.Name + r.ClusterName}
}
