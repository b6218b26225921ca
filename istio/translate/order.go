package translate

import (
	"cmp"
	"slices"
	"strings"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Everything about order is in this file: in which order Istio tries resources, hosts and rules, and which of several
// wins where only one can. Code in other files goes through the lists in the order that is made here, and may take the
// first entry. What other files sort, such as clusters by name or conditions by header, they sort only so that the
// output is the same each time, in Istio's order where it has one; no resource, host or rule wins by it.

// byAge orders objects as Istio does: older first, then by name, then by namespace (VS-SEL-05). Timestamps have a
// resolution of one second, and objects from files mostly have none, so the name often decides.
func byAge(a, b *resource.Object) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
}

// orderVirtualServices keeps the VirtualServices that are visible to a namespace: private ones first, then those that
// are exported to a list of namespaces, then public ones, each group by age (VS-SEL-04). Among the public ones, those
// that were made from Gateway API routes of the namespace itself come first.
func orderVirtualServices(all []*boundVirtualService, namespace string, out *output) []*boundVirtualService {
	var kept []*boundVirtualService
	rank := make(map[*boundVirtualService]names.Visibility, len(all))
	for _, vs := range all {
		if v := names.VisibilityTo(namespace, vs.Namespace, vs.Spec.ExportTo); v != names.Hidden {
			rank[vs] = v
			kept = append(kept, vs)
		} else {
			out.drop(vs.Object, originOf(vs.VirtualService, plan.Path{}), plan.DropNotExported, plan.Origin{})
		}
	}
	slices.SortStableFunc(kept, func(a, b *boundVirtualService) int {
		late := func(vs *boundVirtualService) bool {
			return rank[vs] == names.Public && (!vs.IsRoute() || vs.Namespace != namespace)
		}
		return cmp.Or(cmp.Compare(rank[a], rank[b]), compareBool(late(a), late(b)), byAge(a.Object, b.Object))
	})
	return kept
}

// DecidedBy says why one of two VirtualServices comes first for a proxy in a namespace: "visibility", "age" or "name"
// (VS-SEL-04, VS-SEL-05).
func DecidedBy(a, b *resource.VirtualService, namespace string) string {
	switch {
	case names.VisibilityTo(namespace, a.Namespace, a.Spec.ExportTo) != names.VisibilityTo(namespace, b.Namespace, b.Spec.ExportTo):
		return "visibility"
	case !a.Created.Equal(b.Created):
		return "age"
	default:
		return "name"
	}
}

// orderServices lists all services in the order in which Istio goes through them: those that are exported to the
// namespace, then the public ones, then those that are hidden from it; each group by age, then by name and namespace.
// The name of a ServiceEntry's service is its host (SE-08).
func orderServices(r *resource.Set, namespace, domain string) []*service {
	var out []*service
	for _, s := range r.Services {
		made := kubernetesService(s, domain)
		made.visibility = names.VisibilityTo(namespace, s.Namespace, exportAnnotation(s))
		out = append(out, made)
	}
	for _, e := range r.ServiceEntries {
		visibility := names.VisibilityTo(namespace, e.Namespace, e.Spec.ExportTo)
		for _, host := range e.Spec.Hosts {
			made := entryService(e, host)
			made.visibility = visibility
			out = append(out, made)
		}
	}
	group := func(s *service) int {
		return slices.Index([]names.Visibility{names.Public, names.Hidden}, s.visibility) // -1 for exported ones
	}
	slices.SortStableFunc(out, func(a, b *service) int {
		return cmp.Or(cmp.Compare(group(a), group(b)), a.object().Created.Compare(b.object().Created), strings.Compare(a.name(), b.name()),
			strings.Compare(a.namespace, b.namespace), strings.Compare(a.object().Name, b.object().Name))
	})
	return out
}

// inScope keeps the services that a sidecar in a namespace uses: for each host, those of one namespace. That is the
// sidecar's own namespace where it has the host, even if it has only a ServiceEntry and another namespace has a
// Service; else that of a Kubernetes Service; else that of the first in order. The list is in order.
func inScope(ordered []*service, namespace string) []*service {
	chosen := map[string]*service{}
	for _, s := range ordered {
		switch first := chosen[s.host]; {
		case first == nil, first.namespace != namespace && s.namespace == namespace,
			first.namespace != namespace && first.kubernetes == nil && s.kubernetes != nil:
			chosen[s.host] = s
		}
	}
	return slices.DeleteFunc(ordered, func(s *service) bool { return chosen[s.host].namespace != s.namespace })
}

// orderBoundServices lists the Services that select the proxy, older first, then by host. A server of a Gateway binds the
// target port of the first one that has its port (GW-PORT-01).
func orderBoundServices(all []*resource.Service, o *Options) []*resource.Service {
	kept := slices.DeleteFunc(slices.Clone(all), func(s *resource.Service) bool {
		return s.Namespace != o.Namespace || len(s.Spec.Selector) == 0 || !names.Selects(s.Spec.Selector, o.Labels)
	})
	slices.SortStableFunc(kept, func(a, b *resource.Service) int { return byAge(a.Object, b.Object) })
	return kept
}

// byKey sorts objects by namespace and name, so that the endpoints of a cluster do not depend on the order of files.
func byKey[T any](all []T, object func(T) *resource.Object) []T {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b T) int {
		return cmp.Or(strings.Compare(object(a).Namespace, object(b).Namespace), strings.Compare(object(a).Name, object(b).Name))
	})
	return sorted
}

// servicesByHost sorts services by the alphabet of their hosts. Where two services without a VirtualService share a
// domain of the mesh, such as an address, the first one gets it (VS-MESH-04).
func servicesByHost(a, b *service) int { return strings.Compare(a.host, b.host) }

// aliasesByNamespace sorts the hosts of external-name Services by namespace, then by host.
func aliasesByNamespace(a, b string) int {
	_, restA, _ := strings.Cut(a, ".")
	_, restB, _ := strings.Cut(b, ".")
	return cmp.Or(strings.Compare(restA, restB), strings.Compare(a, b))
}

// orderGateways sorts Gateways by age: in every conflict between servers, the server of the earlier Gateway wins
// (GW-SEL-02).
func orderGateways(gateways []*resource.Gateway) []*resource.Gateway {
	sorted := slices.Clone(gateways)
	slices.SortStableFunc(sorted, func(a, b *resource.Gateway) int { return byAge(a.Object, b.Object) })
	return sorted
}

// orderDestinationRules sorts the DestinationRules of one namespace and host, in place, into the order in which they
// are merged: those with a workloadSelector first, then by age. The first traffic policy and the first subset of a name
// count (DR-SEL-04).
func orderDestinationRules(list []*resource.DestinationRule) {
	slices.SortStableFunc(list, func(a, b *resource.DestinationRule) int {
		return cmp.Or(compareBool(a.Spec.WorkloadSelector == nil, b.Spec.WorkloadSelector == nil), byAge(a.Object, b.Object))
	})
}

// find returns the policy of the DestinationRules for a host, or nil. It looks in three namespaces: the proxy's, that
// of the service s (nil: unknown), and the root namespace. The first namespace with any DestinationRule for the host
// decides alone (DR-SEL-01). A proxy in the root namespace looks there first as well, but only for DestinationRules
// that are private to that namespace: those that are exported to all must not hide the ones in the service's own
// namespace.
func (dr *destinationRules) find(host string, s *service) *destinationPolicy {
	mine := isLocal
	if dr.namespace == rootNamespace {
		mine = isPrivate
	}
	found := dr.in(dr.namespace, host, mine)
	if len(found) == 0 && s != nil {
		found = dr.exported(s.namespace, host)
	}
	if len(found) == 0 {
		found = dr.exported(rootNamespace, host)
	}
	return dr.choose(found)
}

// choose takes the first policy whose workloadSelector selects the proxy, else the last one without a workloadSelector
// (DR-SEL-03, DR-SEL-04); nil where there is neither.
func (dr *destinationRules) choose(found []*destinationPolicy) *destinationPolicy {
	var general *destinationPolicy
	for _, p := range found {
		switch first := p.rules[0]; {
		case first.Spec.WorkloadSelector == nil:
			general = p
		case first.Namespace == dr.namespace && names.Selects(first.Spec.WorkloadSelector.MatchLabels, dr.labels):
			return p
		}
	}
	return general
}

// catchAllLast moves the catch-all rules of a virtual host behind all others, and keeps the order within both groups
// (VS-ORD-02). Otherwise the "/" of one VirtualService would hide every rule of a younger one.
func catchAllLast(rules []*plan.Rule) []*plan.Rule {
	sorted := make([]*plan.Rule, 0, len(rules))
	for _, r := range rules {
		if !r.Match.IsCatchAll() {
			sorted = append(sorted, r)
		}
	}
	for _, r := range rules {
		if r.Match.IsCatchAll() {
			sorted = append(sorted, r)
		}
	}
	return sorted
}

// moreSpecific compares hosts: names before wildcards, then longer ones first, then by alphabet (VS-HOST-03).
func moreSpecific(a, b string) int {
	return cmp.Or(compareBool(names.IsWildcard(a), names.IsWildcard(b)), cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}

// virtualHostsByName sorts virtual hosts by name, as Istio does. No request depends on it: each domain is in one
// virtual host, and the most specific domain decides, wherever its virtual host stands.
func virtualHostsByName(a, b *plan.VirtualHost) int { return strings.Compare(a.Name, b.Name) }

// wildcardOwners finds for each service, by its host, the VirtualService that owns it: the one with the most specific
// host that covers the service, and of several with an equal host the first in order. Only the owner applies to the
// service by a wildcard host. An exact host beats every wildcard, whatever the ages are (VS-MESH-01, VS-MESH-02).
//
//	a (older): *.default.svc.cluster.local     b: reviews.default.svc.cluster.local
//
// gives reviews to b and ratings to a. On a port for which b has no rules, a still does not apply to reviews.
//
// Hosts are compared as they are written here, and in lower case where an owner is looked up, so a service whose host
// has capitals has no owner.
func wildcardOwners(ordered []*boundVirtualService, services []*service) map[string]*boundVirtualService {
	first := map[string]*boundVirtualService{} // by host
	var hosts []string
	for _, vs := range ordered {
		for _, h := range vs.Spec.Hosts {
			if first[h] == nil {
				first[h] = vs
				hosts = append(hosts, h)
			}
		}
	}
	slices.SortFunc(hosts, moreSpecific)
	owners := map[string]*boundVirtualService{}
	for _, s := range services {
		if i := slices.IndexFunc(hosts, func(h string) bool { return names.IsCoveredBy(s.host, h) }); i >= 0 {
			owners[s.host] = first[hosts[i]]
		}
	}
	return owners
}

// compareBool compares two conditions: false comes first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
