package resource

import (
	"slices"
	"time"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"

	"waymark.dev/waymark/diag"
)

// Set is a set of resources. Those that were read are in the order of the files.
type Set struct {
	Gateways         []*Gateway
	VirtualServices  []*VirtualService
	DestinationRules []*DestinationRule
	ServiceEntries   []*ServiceEntry
	Services         []*Service
	EndpointSlices   []*EndpointSlice
	Namespaces       []*Object
	WorkloadEntries  []*WorkloadEntry
	Secrets          []*Secret

	// Refused are objects that were taken out, see [Set.Without]: what refers to one of them is not to be blamed.
	Refused []*Object
}

// Object is what all resources have in common.
type Object struct {
	Kind, Namespace, Name string
	Labels, Annotations   map[string]string
	// Created decides which of two objects is older. From files it mostly is unknown, and the same for all.
	Created time.Time

	document *document // nil for an object that was read from no file
}

// String is Kind namespace/name, as far as they are known.
func (o *Object) String() string {
	switch {
	case o == nil:
		return ""
	case o.Name == "":
		return o.Kind
	case o.Namespace == "":
		return o.Kind + " " + o.Name
	default:
		return o.Kind + " " + o.Key()
	}
}

// Key is namespace/name.
func (o *Object) Key() string { return o.Namespace + "/" + o.Name }

// Place is where a field, or the nearest parent that is there, was written; nowhere for an object that was read from no
// file.
func (o *Object) Place(field string) diag.Place {
	if o == nil || o.document == nil {
		return diag.Place{}
	}
	return o.document.at(field)
}

// The resources of Istio and Kubernetes that Waymark reads.
type (
	// Gateway says which ports, hosts and certificates a proxy serves.
	Gateway struct {
		*Object
		Spec *istio.Gateway
	}
	// VirtualService holds rules for hosts.
	VirtualService struct {
		*Object
		Spec *istio.VirtualService
	}
	// DestinationRule holds subsets and policies of a destination.
	DestinationRule struct {
		*Object
		Spec *istio.DestinationRule
	}
	// ServiceEntry makes a service known by hand.
	ServiceEntry struct {
		*Object
		Spec *istio.ServiceEntry
	}
	// WorkloadEntry is an endpoint that is known by hand.
	WorkloadEntry struct {
		*Object
		Spec *istio.WorkloadEntry
	}
	// Secret holds a certificate. What is in it is never printed.
	Secret struct {
		*Object
		Data map[string][]byte
	}
	// Service is a Kubernetes service.
	Service struct {
		*Object
		Spec core.ServiceSpec
	}
	// EndpointSlice holds addresses of a Kubernetes service.
	EndpointSlice struct {
		*Object
		Ports     []discovery.EndpointPort
		Endpoints []discovery.Endpoint
	}
)

// routeSemantics is the annotation of VirtualServices that Istio makes of other APIs (VS-MATCH-06).
const routeSemantics = "internal.istio.io/route-semantics"

// IsIngress says that a VirtualService was made of an Ingress. Prefixes of paths end at segment borders then.
func (vs *VirtualService) IsIngress() bool { return vs.Annotations[routeSemantics] == "ingress" }

// IsRoute says that it was made of a route of the Gateway API. Prefixes of paths end at segment borders then, and names are
// written out already (VS-NAME-01).
func (vs *VirtualService) IsRoute() bool { return vs.Annotations[routeSemantics] == "gateway" }

// defaultCreated stands in for a missing creationTimestamp, so that age never decides between objects from files.
var defaultCreated = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Without is the set without some objects, which it notes as refused.
func (r *Set) Without(all []*Object) *Set {
	refused := make(map[*Object]bool, len(all))
	for _, o := range all {
		refused[o] = true
	}
	out := *r
	out.Gateways = without(r.Gateways, func(gw *Gateway) bool { return refused[gw.Object] })
	out.VirtualServices = without(r.VirtualServices, func(vs *VirtualService) bool { return refused[vs.Object] })
	out.DestinationRules = without(r.DestinationRules, func(dr *DestinationRule) bool { return refused[dr.Object] })
	out.ServiceEntries = without(r.ServiceEntries, func(se *ServiceEntry) bool { return refused[se.Object] })
	out.WorkloadEntries = without(r.WorkloadEntries, func(we *WorkloadEntry) bool { return refused[we.Object] })
	out.Refused = slices.Concat(r.Refused, all)
	return &out
}

func without[T any](all []T, isRefused func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), isRefused)
}
