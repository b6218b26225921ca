package resource

import (
	"slices"
	"strings"
	"time"

	istio "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
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
	// AuthorizationPolicies are not applied. They are here so that their paths can be compared with those of rules.
	AuthorizationPolicies []*AuthorizationPolicy

	// Refused are objects that could not be decoded, or were removed with [Set.Without]. What needs them is affected.
	Refused []Refused
}

// Refused is an object that is not used.
type Refused struct {
	*Object
	// Hosts are those of a VirtualService, a ServiceEntry or a DestinationRule, as written.
	Hosts []string
}

// Object is the part that all resources have in common.
type Object struct {
	Kind, Namespace, Name string
	Labels, Annotations   map[string]string // of an object from a file, without kubectl's last-applied-configuration
	// Generation counts the changes of the spec in a cluster; 0 where it is not known.
	Generation int64
	// Created decides which of two objects is older. Objects from files without a creationTimestamp all have the same
	// time.
	Created time.Time

	// Placeholder is the first text such as ${HOST} or {{ .Values.host }} in the document, which another program may have
	// had to replace.
	Placeholder string

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

// Reads reports whether there are objects of a kind in a set.
func Reads(kind string) bool {
	for key := range kinds {
		if strings.HasSuffix(key, "/"+kind) {
			return true
		}
	}
	return false
}

// Key is namespace/name.
func (o *Object) Key() string { return o.Namespace + "/" + o.Name }

// Place is where a field, or the nearest parent that the document has, is in its file; the zero value for an object
// that was not read from a file.
func (o *Object) Place(field string) diag.Place {
	if o == nil {
		return diag.Place{}
	}
	return o.document.at(field)
}

// PlaceholderIn is the first text such as ${HOST} or {{ .Values.host }} in a field of an object that was read from a
// file, or in the text that stands in place of its parent; "" for none.
func (o *Object) PlaceholderIn(field string) string {
	if o.Placeholder == "" {
		return ""
	}
	return o.document.placeholderIn(field)
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
	// AuthorizationPolicy says which requests are let in.
	AuthorizationPolicy struct {
		*Object
		Spec *security.AuthorizationPolicy
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
	removed := func(o *Object) bool { return refused[o] }
	out.Gateways = without(r.Gateways, removed)
	out.VirtualServices = without(r.VirtualServices, removed)
	out.DestinationRules = without(r.DestinationRules, removed)
	out.ServiceEntries = without(r.ServiceEntries, removed)
	out.WorkloadEntries = without(r.WorkloadEntries, removed)
	out.Refused = slices.Clone(r.Refused)
	hosts := map[*Object][]string{}
	for _, vs := range r.VirtualServices {
		hosts[vs.Object] = vs.Spec.GetHosts()
	}
	for _, e := range r.ServiceEntries {
		hosts[e.Object] = e.Spec.GetHosts()
	}
	for _, d := range r.DestinationRules {
		if host := d.Spec.GetHost(); host != "" {
			hosts[d.Object] = []string{host}
		}
	}
	for _, o := range all {
		if !slices.ContainsFunc(r.Refused, func(known Refused) bool { return known.Object == o }) {
			out.Refused = append(out.Refused, Refused{o, hosts[o]})
		}
	}
	return &out
}

// Latest returns a copy of the set in which, of objects with the same kind, namespace and name, only the last one is, as
// after they were given to kubectl apply one after the other. It adds a warning for each that is replaced.
func (r *Set) Latest(findings *diag.Findings) *Set {
	out := *r
	out.Gateways = latest(r.Gateways, findings)
	out.VirtualServices = latest(r.VirtualServices, findings)
	out.DestinationRules = latest(r.DestinationRules, findings)
	out.ServiceEntries = latest(r.ServiceEntries, findings)
	out.WorkloadEntries = latest(r.WorkloadEntries, findings)
	out.Services = latest(r.Services, findings)
	out.EndpointSlices = latest(r.EndpointSlices, findings)
	out.Pods = latest(r.Pods, findings)
	out.Secrets = latest(r.Secrets, findings)
	out.Namespaces = latest(r.Namespaces, findings)
	return &out
}

// Keep returns a copy of the set with objects of an earlier one: those that are refused now, and those of broken files
// that are not in the set. It adds a warning for each object that was refused.
func (r *Set) Keep(before *Set, broken []string, findings *diag.Findings) *Set {
	k := &keeper{refused: map[string]bool{}, broken: broken, kept: map[string]bool{}, findings: findings}
	for _, o := range r.Refused {
		k.refused[o.Kind+" "+o.Key()] = true
	}
	out := *r
	out.Gateways = keep(k, r.Gateways, before.Gateways)
	out.VirtualServices = keep(k, r.VirtualServices, before.VirtualServices)
	out.DestinationRules = keep(k, r.DestinationRules, before.DestinationRules)
	out.ServiceEntries = keep(k, r.ServiceEntries, before.ServiceEntries)
	out.WorkloadEntries = keep(k, r.WorkloadEntries, before.WorkloadEntries)
	out.Services = keep(k, r.Services, before.Services)
	out.EndpointSlices = keep(k, r.EndpointSlices, before.EndpointSlices)
	out.Pods = keep(k, r.Pods, before.Pods)
	out.Secrets = keep(k, r.Secrets, before.Secrets)
	out.Namespaces = keep(k, r.Namespaces, before.Namespaces)
	out.Refused = slices.DeleteFunc(slices.Clone(r.Refused), func(o Refused) bool { return k.kept[o.Kind+" "+o.Key()] })
	return &out
}

// keeper decides which objects of an earlier set are kept.
type keeper struct {
	refused  map[string]bool // by kind and key
	broken   []string        // files
	kept     map[string]bool
	findings *diag.Findings
}

// isBroken reports whether a file cannot be read completely; "" is for an object from no file.
func (k *keeper) isBroken(file string) bool { return file != "" && slices.Contains(k.broken, file) }

func keep[T embedder](k *keeper, now, before []T) []T {
	there := make(map[string]bool, len(now))
	for _, t := range now {
		there[t.self().Key()] = true
	}
	out := slices.Clone(now)
	for _, t := range before {
		o := t.self()
		id := o.Kind + " " + o.Key()
		if there[o.Key()] || !k.refused[id] && !k.isBroken(o.Place("").File) {
			continue
		}
		out = append(out, t)
		k.kept[id] = true
		k.findings.Add(diag.Warning, "", o, "", "goes on being served as it was before, since what is there now cannot be used")
	}
	return out
}

// self is the object itself, for lists of what embeds one.
func (o *Object) self() *Object { return o }

type embedder interface{ self() *Object }

func without[T embedder](all []T, removed func(*Object) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return removed(t.self()) })
}

func latest[T embedder](all []T, findings *diag.Findings) []T {
	last := make(map[string]*Object, len(all))
	for _, t := range all {
		last[t.self().Key()] = t.self()
	}
	if len(last) == len(all) {
		return all
	}
	return without(all, func(o *Object) bool {
		by := last[o.Key()]
		if by == o {
			return false
		}
		before := o.Place("").String()
		if before == "" {
			before = "the list"
		}
		findings.Add(diag.Warning, "VAL-ANY-07", by, "metadata.name", "replaces the one of this name in %s, as with kubectl apply; give one of them another name or namespace if both are meant", before)
		return true
	})
}
