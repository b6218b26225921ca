package translate

import (
	"cmp"
	"slices"
	"strings"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Everything about order is in this file: what is tried before what, and who wins where only one can.

// byAge orders objects as Istio does: older first, then by name, then by namespace (VS-SEL-05). Timestamps have a
// resolution of one second, and objects from files mostly have none, so the name decides more often than the age.
func byAge(a, b *resource.Object) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
}

// orderVirtualServices keeps what is visible to a namespace, private ones first, then exported ones, then public ones,
// each by age (VS-SEL-04). Of the public ones those come first that were made of the namespace's own routes of the
// Gateway API.
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

// orderServiceEntries keeps what is visible to a namespace, in the order in which they may name a host: as
// VirtualServices, save that age is followed by the namespace, since Istio knows a service by its host (SE-08).
func orderServiceEntries(all []*resource.ServiceEntry, namespace string) []*resource.ServiceEntry {
	rank := func(e *resource.ServiceEntry) names.Visibility {
		return names.VisibilityTo(namespace, e.Namespace, e.Spec.ExportTo)
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(e *resource.ServiceEntry) bool { return rank(e) == names.Hidden })
	slices.SortStableFunc(kept, func(a, b *resource.ServiceEntry) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Created.Compare(b.Created), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return kept
}

// orderGateways puts older Gateways first: in every conflict between servers the earlier one wins (GW-SEL-02).
func orderGateways(gateways []*resource.Gateway) []*resource.Gateway {
	sorted := slices.Clone(gateways)
	slices.SortStableFunc(sorted, func(a, b *resource.Gateway) int { return byAge(a.Object, b.Object) })
	return sorted
}

// isCatchAll has the precise meaning of VS-ORD-03: the path is the prefix "/" or the regex ".*", and there are neither
// headers (method, scheme and authority are headers) nor query parameters nor claims of a JWT. The prefix "" and the regex "/.*" match as
// much and are not catch-all.
func isCatchAll(m *plan.Match) bool {
	if len(m.Headers) > 0 || len(m.Query) > 0 || len(m.Claims) > 0 {
		return false
	}
	switch m.Path.Kind {
	case plan.Prefix, plan.Separated:
		return m.Path.Value == "/"
	case plan.Regex:
		return m.Path.Value == ".*"
	default:
		return m.Path.Kind == plan.Present
	}
}

// catchAllLast moves the catch-all rules of a virtual host behind all others, and keeps the order within both groups
// (VS-ORD-02). Without it the "/" of one VirtualService would hide every rule of a younger one.
func catchAllLast(rules []*plan.Rule) []*plan.Rule {
	sorted := make([]*plan.Rule, 0, len(rules))
	for _, r := range rules {
		if !isCatchAll(&r.Match) {
			sorted = append(sorted, r)
		}
	}
	for _, r := range rules {
		if isCatchAll(&r.Match) {
			sorted = append(sorted, r)
		}
	}
	return sorted
}

// moreSpecific orders hosts: names before wildcards, then longer ones first, then by alphabet (VS-HOST-03).
func moreSpecific(a, b string) int {
	return cmp.Or(compareBool(names.IsWildcard(a), names.IsWildcard(b)), cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}

// wildcardOwners says for each service which one of the VirtualServices, in order, its most specific host is of. Only that
// one may reach the service by a wildcard: an exact host beats every wildcard, whatever their ages, and a longer wildcard
// beats a shorter one; of equal hosts the first VirtualService's counts (VS-MESH-01, VS-MESH-02).
//
//	a (older): *.default.svc.cluster.local     b: reviews.default.svc.cluster.local
//
// gives reviews to b and ratings to a. Where b has no rules for a port, a still does not reach reviews.
func wildcardOwners(ordered []*boundVirtualService, services []*service) map[*service]*boundVirtualService {
	first := map[string]*boundVirtualService{} // by host
	var hosts []string
	for _, vs := range ordered {
		for _, h := range vs.Spec.Hosts {
			if h = strings.ToLower(h); first[h] == nil {
				first[h] = vs
				hosts = append(hosts, h)
			}
		}
	}
	slices.SortFunc(hosts, moreSpecific)
	owners := map[*service]*boundVirtualService{}
	for _, s := range services {
		if i := slices.IndexFunc(hosts, func(h string) bool { return names.IsCoveredBy(strings.ToLower(s.host), h) }); i >= 0 {
			owners[s] = first[hosts[i]]
		}
	}
	return owners
}

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
