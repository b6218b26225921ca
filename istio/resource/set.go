package resource

import (
	"slices"
	"time"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"

	"waymark.dev/waymark/diag"
)

// Set is a set of resources. Lists that were read from files are in the order of the files.
type Set struct {
	Gateways         []*Gateway
	VirtualServices  []*VirtualService
	DestinationRules []*DestinationRule
	ServiceEntries   []*ServiceEntry
	Services         []*Service
	EndpointSlices   []*EndpointSlice
	Pods             []*Pod
	Namespaces       []*Object
	WorkloadEntries  []*WorkloadEntry
	Secrets          []*Secret

	// Refused are objects that were removed with [Set.Without]. References to them are not reported as missing.
	Refused []*Object
}

// Object is the part that all resources have in common.
type Object struct {
	Kind, Namespace, Name string
	Labels, Annotations   map[string]string
	// Created decides which of two objects is older. Objects from files without a creationTimestamp all have the same
	// time.
	Created time.Time

	document *document // nil for an object that was read from no file
}

// String is Kind namespace/name, without the parts that are not known; "" for nil.
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

// Place is where a field, or the nearest parent that the document has, is in its file; the zero value for an object
// that was not read from a file.
func (o *Object) Place(field string) diag.Place {
	if o == nil || o.document == nil {
		return diag.Place{}
	}
	return o.document.at(field)
}

// The resources of Istio and Kubernetes that Waymark reads.
type (
	// Gateway has the ports, hosts and certificates that a proxy serves.
	Gateway struct {
		*Object
		Spec *istio.Gateway
	}
	// VirtualService has the rules for hosts.
	VirtualService struct {
		*Object
		Spec *istio.VirtualService
	}
	// DestinationRule has subsets and policies of a destination.
	DestinationRule struct {
		*Object
		Spec *istio.DestinationRule
	}
	// ServiceEntry adds a service that Kubernetes does not have.
	ServiceEntry struct {
		*Object
		Spec *istio.ServiceEntry
	}
	// WorkloadEntry adds an endpoint that is not a Pod.
	WorkloadEntry struct {
		*Object
		Spec *istio.WorkloadEntry
	}
	// Secret has a certificate. Its data is never printed.
	Secret struct {
		*Object
		Data map[string][]byte
	}
	// Service is a Kubernetes service.
	Service struct {
		*Object
		Spec core.ServiceSpec
	}
	// EndpointSlice has addresses of a Kubernetes service.
	EndpointSlice struct {
		*Object
		Ports     []discovery.EndpointPort
		Endpoints []discovery.Endpoint
	}
	// Pod has the labels that subsets are compared with, and the numbers of ports that Services give by name.
	Pod struct {
		*Object
		Spec   core.PodSpec
		Status core.PodStatus
		// Deleted means that the Pod is shutting down.
		Deleted bool
	}
)

// routeSemantics is the annotation of VirtualServices that Istio makes from resources of other APIs (VS-MATCH-06).
const routeSemantics = "internal.istio.io/route-semantics"

// IsIngress reports whether a VirtualService was made from an Ingress. A path prefix ends at a segment border then.
func (vs *VirtualService) IsIngress() bool { return vs.Annotations[routeSemantics] == "ingress" }

// IsRoute reports whether a VirtualService was made from a route of the Gateway API. A path prefix ends at a segment
// border then, and host names are not expanded (VS-NAME-01).
func (vs *VirtualService) IsRoute() bool { return vs.Annotations[routeSemantics] == "gateway" }

// defaultCreated is used for a missing creationTimestamp, so that age does not decide between objects from files.
var defaultCreated = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Without returns a copy of the set without some objects, which are added to its Refused. Only objects of Istio kinds
// are removed.
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
