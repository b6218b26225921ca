package envoy

import (
	"encoding/json"
	"fmt"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/plan"
)

// Watched is a configuration in files that Envoy watches: a bootstrap that names them, listeners with their routes and
// filter, and clusters. A file must be replaced by renaming another one onto it, clusters before the listeners that use
// them.
type Watched struct {
	Bootstrap *bootstrapv3.Bootstrap
	// Listeners and Clusters are what the two files hold; [ResourceFile] writes one.
	Listeners, Clusters []*anypb.Any
}

// WatchedFiles splits the configuration of a plan into what never changes and two files.
func WatchedFiles(p *plan.Plan, o Options, listenersFile, clustersFile string) (*Watched, error) {
	b, err := Bootstrap(p, o)
	if err != nil {
		return nil, err
	}
	w := &Watched{Bootstrap: b}
	for _, l := range b.StaticResources.Listeners {
		w.Listeners = append(w.Listeners, typed(l))
	}
	for _, c := range b.StaticResources.Clusters {
		w.Clusters = append(w.Clusters, typed(c))
	}
	b.StaticResources = nil
	b.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{LdsConfig: fromFile(listenersFile), CdsConfig: fromFile(clustersFile)}
	return w, validate(b)
}

func fromFile(path string) *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: path}},
	}
}

// MergeClusters is what stands in the file while listeners change from old to new: all new clusters, and those old ones
// that are no more. Of two with one name the new one counts.
func MergeClusters(old, next []*anypb.Any) ([]*anypb.Any, error) {
	var out []*anypb.Any
	seen := map[string]bool{}
	for _, list := range [][]*anypb.Any{next, old} {
		for _, r := range list {
			var c clusterv3.Cluster
			if err := r.UnmarshalTo(&c); err != nil {
				return nil, fmt.Errorf("a cluster of the file in force: %w", err)
			}
			if !seen[c.Name] {
				seen[c.Name] = true
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// ResourceFile is the content of a file of resources.
func ResourceFile(resources []*anypb.Any) ([]byte, error) {
	file := struct {
		Resources []json.RawMessage `json:"resources"`
	}{Resources: []json.RawMessage{}}
	for _, r := range resources {
		text, err := JSON(r)
		if err != nil {
			return nil, err
		}
		file.Resources = append(file.Resources, text)
	}
	return json.Marshal(&file)
}
