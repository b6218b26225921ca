package envoy

import (
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/proto"
)

// Type is the URL of a type of resource that xDS delivers.
type Type string

// The types of resources.
const (
	ListenerType  Type = "type.googleapis.com/envoy.config.listener.v3.Listener"
	ClusterType   Type = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	RouteType     Type = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	HostType      Type = "type.googleapis.com/envoy.config.route.v3.VirtualHost" // of route configurations that do not have theirs in them
	EndpointType  Type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	ExtensionType Type = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig" // the filter with its plugin configuration
	SecretType    Type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// Types are all types of resources.
var Types = []Type{ListenerType, ClusterType, RouteType, HostType, EndpointType, ExtensionType, SecretType}

// Short is the name of the type without its package, for people.
func (t Type) Short() string { return string(t[strings.LastIndexByte(string(t), '.')+1:]) }

// Key is what xDS knows a resource by.
type Key struct {
	Type Type
	Name string
}

// KeyOf is the key of a message that is a resource.
func KeyOf(m proto.Message) Key {
	k := Key{Type: Type("type.googleapis.com/" + m.ProtoReflect().Descriptor().FullName())}
	switch m := m.(type) {
	case interface{ GetClusterName() string }: // endpoints
		k.Name = m.GetClusterName()
	case interface{ GetName() string }:
		k.Name = m.GetName()
	}
	return k
}

// Resource is a message under its key. It is not changed once it is in a set of resources.
type Resource struct {
	Key
	Message proto.Message
}

// Resources are the configuration of an Envoy: a bootstrap, and the resources that do not stand in it or in one another.
// The zero value has none.
type Resources struct {
	// Bootstrap is what Envoy starts with; it names the sources of the listeners and clusters that are not in it. With
	// [Options.Control] it is nil: that of [ControlledBootstrap] is the same for all resources.
	Bootstrap *bootstrapv3.Bootstrap

	byType map[Type][]Resource
	index  map[Key]int // places in byType
}

// Set adds messages under their keys, behind the others of their type, or each in the place of the one with its key.
func (r *Resources) Set(messages ...proto.Message) {
	if r.index == nil {
		r.byType, r.index = map[Type][]Resource{}, map[Key]int{}
	}
	for _, m := range messages {
		k := KeyOf(m)
		if i, ok := r.index[k]; ok {
			r.byType[k.Type][i].Message = m
			continue
		}
		r.index[k] = len(r.byType[k.Type])
		r.byType[k.Type] = append(r.byType[k.Type], Resource{k, m})
	}
}

// Get is the resource of a key, or nil.
func (r *Resources) Get(k Key) proto.Message {
	if i, ok := r.index[k]; ok {
		return r.byType[k.Type][i].Message
	}
	return nil
}

// OfType are the resources of a type, in the order in which the plan has them.
func (r *Resources) OfType(t Type) []Resource { return r.byType[t] }

// validate checks everything by the rules of Envoy's API, except for what is packed, which was validated before.
func (r *Resources) validate() error {
	if r.Bootstrap != nil {
		if err := validate(r.Bootstrap); err != nil {
			return err
		}
	}
	for _, t := range Types {
		for _, resource := range r.byType[t] {
			if err := validate(resource.Message); err != nil {
				return err
			}
		}
	}
	return nil
}
