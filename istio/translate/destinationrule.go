package translate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// destinationRules finds the DestinationRules for a host as Istio finds them (DR-SEL-01 to DR-SEL-05). Which of several
// counts is decided by [destinationRules.find] in order.go.
type destinationRules struct {
	namespace string // of the proxy
	labels    map[string]string
	// byNamespace holds the rules of each namespace.
	byNamespace map[string]*hostRules
}

// hostRules are the DestinationRules of one namespace by their full hosts. They are indexed because there may be as
// many as destinations, and each destination looks its own up.
type hostRules struct {
	byHost    map[string][]*resource.DestinationRule // in the order in which they are merged
	wildcards []string                               // hosts of byHost, the most specific first
}

// rootNamespace is Istio's root namespace: its DestinationRules apply to proxies of all namespaces (DR-SEL-01).
const rootNamespace = "istio-system"

func newDestinationRules(r *resource.Set, o *Options) *destinationRules {
	x := &destinationRules{namespace: o.Namespace, labels: o.Labels, byNamespace: map[string]*hostRules{}}
	for _, d := range r.DestinationRules {
		in := x.byNamespace[d.Namespace]
		if in == nil {
			in = &hostRules{byHost: map[string][]*resource.DestinationRule{}}
			x.byNamespace[d.Namespace] = in
		}
		host := names.FullName(d.Spec.Host, d.Namespace, o.ClusterDomain)
		if in.byHost[host] == nil && names.IsWildcard(host) {
			in.wildcards = append(in.wildcards, host)
		}
		in.byHost[host] = append(in.byHost[host], d)
	}
	for _, in := range x.byNamespace {
		slices.SortFunc(in.wildcards, moreSpecific)
		for _, list := range in.byHost {
			orderDestinationRules(list)
		}
	}
	return x
}

// destinationPolicy is the result of merging the DestinationRules for one host: all subsets, and one traffic policy.
type destinationPolicy struct {
	rules   []*resource.DestinationRule
	traffic *istio.TrafficPolicy
	subsets []*istio.Subset
}

// exports are what a rule is exported to. One with a workload selector is private (DR-SEL-03).
func exports(d *resource.DestinationRule) []string {
	if d.Spec.WorkloadSelector != nil {
		return []string{"."}
	}
	return d.Spec.ExportTo
}

// isLocal reports whether a DestinationRule is visible in its own namespace.
func isLocal(d *resource.DestinationRule) bool {
	e := exports(d)
	return len(e) == 0 || slices.Contains(e, "*") || slices.Contains(e, ".") || slices.Contains(e, d.Namespace)
}

// isPrivate reports whether a DestinationRule is visible in its own namespace only.
func isPrivate(d *resource.DestinationRule) bool {
	e := exports(d)
	return len(e) > 0 && (sameSet(e, []string{"."}) || sameSet(e, []string{d.Namespace}))
}

// exported finds the policies of a namespace that the proxy's namespace may use. The most specific host is chosen
// before exportTo is compared with the proxy's namespace, so that an exact host that is exported only to other
// namespaces hides a wildcard that is exported to all.
func (dr *destinationRules) exported(namespace, host string) []*destinationPolicy {
	found := dr.in(namespace, host, func(d *resource.DestinationRule) bool { return !isPrivate(d) })
	return slices.DeleteFunc(found, func(p *destinationPolicy) bool {
		e := exports(p.rules[0])
		return len(e) > 0 && !slices.Contains(e, "*") && !slices.Contains(e, dr.namespace)
	})
}

// in finds the policies for a host in one namespace: of the exact host, else of the longest wildcard that covers it.
// Only DestinationRules for which counts is true are used. Those with different exports or selectors make separate
// policies.
func (dr *destinationRules) in(namespace, host string, counts func(*resource.DestinationRule) bool) (found []*destinationPolicy) {
	in := dr.byNamespace[namespace]
	if in == nil {
		return nil
	}
	take := func(ruled string) {
		for _, d := range in.byHost[ruled] {
			if counts(d) {
				found = consolidate(found, d)
			}
		}
	}
	take(host)
	for _, w := range in.wildcards {
		if len(found) > 0 {
			break
		}
		if names.IsCoveredBy(host, w) {
			take(w)
		}
	}
	return found
}

// consolidate merges a DestinationRule into the policies before it, or appends a policy of its own (DR-SEL-04). A rule
// without a selector is merged into policies with one, too. A rule whose exports include those of a policy is merged
// into that policy, and also makes a policy of its own.
func consolidate(found []*destinationPolicy, d *resource.DestinationRule) []*destinationPolicy {
	apart := true
	for _, p := range found {
		first := p.rules[0]
		same := sameSet(exports(first), exports(d))
		if !same && (len(exports(first)) == 0 || !containsAll(exports(d), exports(first))) {
			apart = true
			continue
		}
		apart = !same
		a, b := first.Spec.WorkloadSelector, d.Spec.WorkloadSelector
		if a != nil && b != nil && !maps.Equal(a.MatchLabels, b.MatchLabels) {
			apart = true
			continue
		}
		if (a == nil) == (b == nil) {
			apart = false
		}
		p.merge(d)
	}
	if apart {
		p := &destinationPolicy{}
		p.merge(d)
		found = append(found, p)
	}
	return found
}

// merge adds a DestinationRule to a policy: the first definition of each subset counts, and the first traffic policy
// (DR-SEL-04).
func (p *destinationPolicy) merge(d *resource.DestinationRule) {
	p.rules = append(p.rules, d)
	if p.traffic == nil {
		p.traffic = d.Spec.TrafficPolicy
	}
	for _, s := range d.Spec.Subsets {
		if p.subset(s.GetName()) == nil {
			p.subsets = append(p.subsets, s)
		}
	}
}

func sameSet(a, b []string) bool { return containsAll(b, a) && containsAll(a, b) }

func containsAll(big, small []string) bool {
	return !slices.ContainsFunc(small, func(v string) bool { return !slices.Contains(big, v) })
}

func (p *destinationPolicy) subset(name string) *istio.Subset {
	if p == nil || name == "" {
		return nil
	}
	for _, s := range p.subsets {
		if s.GetName() == name {
			return s
		}
	}
	return nil
}

// consistentHash returns the settings from which the route to a destination gets its hash policy, or nil. A host that
// is not a known service has none, even if a DestinationRule has some for it.
func (ds *destinations) consistentHash(d *istio.Destination) *istio.LoadBalancerSettings_ConsistentHashLB {
	s := ds.services.find(d.GetHost())
	if s == nil {
		return nil
	}
	return ds.rules.find(d.GetHost(), s).consistentHash(d)
}

// consistentHash returns the first of these that is set: the subset's for the port, the subset's, the rule's for the
// port, the rule's. Settings of a port count only if the destination names the port. Settings without a consistent hash
// are skipped, although they do decide the cluster's load balancer (DR-HASH-04).
func (p *destinationPolicy) consistentHash(d *istio.Destination) *istio.LoadBalancerSettings_ConsistentHashLB {
	if p == nil {
		return nil
	}
	s, port := p.subset(d.GetSubset()), d.GetPort().GetNumber()
	return cmp.Or(
		portPolicy(s.GetTrafficPolicy(), port).GetLoadBalancer().GetConsistentHash(),
		s.GetTrafficPolicy().GetLoadBalancer().GetConsistentHash(),
		portPolicy(p.traffic, port).GetLoadBalancer().GetConsistentHash(),
		p.traffic.GetLoadBalancer().GetConsistentHash(),
	)
}

// warnIdleRules warns of DestinationRules that have no effect, because no service has their host.
func (ds *destinations) warnIdleRules(r *resource.Set) {
	known := map[string]bool{}
	for host := range ds.options.Endpoints {
		known[host] = true
	}
	for _, s := range r.Services {
		known[kubernetesHost(s, ds.options.ClusterDomain)] = true
	}
	for _, e := range r.ServiceEntries {
		for _, host := range e.Spec.Hosts {
			known[host] = true
		}
	}
	for ref := range ds.named {
		if _, ok := ds.override(ref); ok {
			known[ref.host] = true
		}
	}
	covers := func(wildcard string) bool {
		for k := range known {
			if names.IsCoveredBy(k, wildcard) {
				return true
			}
		}
		return false
	}
	for _, d := range r.DestinationRules {
		host := names.FullName(d.Spec.Host, d.Namespace, ds.options.ClusterDomain)
		if known[host] || names.IsWildcard(host) && covers(host) {
			continue
		}
		code, why := "", ""
		if !names.IsWildcard(host) {
			if why = ds.missing().leftOut(host); why != "" {
				why = ": " + why
			} else {
				why = ds.missing().near(host)
			}
		}
		if why != "" {
			code = CodeNoHost // without a name that may be meant, the service may be elsewhere
		}
		ds.out.findings.Add(diag.Warning, code, d.Object, "spec.host", "there is no Service or ServiceEntry with the host %q, so the DestinationRule has no effect%s", host, why)
	}
}

// portPolicy returns the settings of a traffic policy for a port, or nil. Port 0 has none.
func portPolicy(t *istio.TrafficPolicy, port uint32) *istio.TrafficPolicy_PortTrafficPolicy {
	if port == 0 {
		return nil
	}
	for _, p := range t.GetPortLevelSettings() {
		if p.GetPort().GetNumber() == port {
			return p
		}
	}
	return nil
}

// hashPolicy translates consistent hash settings; nil where they name no key (DR-HASH-02).
func hashPolicy(h *istio.LoadBalancerSettings_ConsistentHashLB) *plan.HashPolicy {
	switch key := h.GetHashKey().(type) {
	case *istio.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		return &plan.HashPolicy{Header: key.HttpHeaderName}
	case *istio.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		c := &plan.HashCookie{Name: key.HttpCookie.GetName(), Path: key.HttpCookie.GetPath(), TTL: optionalDuration(key.HttpCookie.GetTtl())}
		for _, a := range key.HttpCookie.GetAttributes() {
			c.Attributes = append(c.Attributes, plan.HashCookieAttribute{Name: a.GetName(), Value: a.GetValue()})
		}
		return &plan.HashPolicy{Cookie: c}
	case *istio.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		return &plan.HashPolicy{SourceIP: key.UseSourceIp}
	case *istio.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		return &plan.HashPolicy{Query: key.HttpQueryParameterName}
	default:
		return nil
	}
}

// names are namespace/name of the merged DestinationRules.
func (p *destinationPolicy) names() (out []string) {
	if p != nil {
		for _, d := range p.rules {
			out = append(out, d.Key())
		}
	}
	return out
}

// object is the DestinationRule whose traffic policy counts, for messages; the first one where none has a traffic
// policy.
func (p *destinationPolicy) object() *resource.Object {
	for _, d := range p.rules {
		if d.Spec.TrafficPolicy != nil {
			return d.Object
		}
	}
	return p.rules[0].Object
}

// subsetLabels are the labels by which a subset selects endpoints; none for the subset "". ok is false where no
// DestinationRule defines the subset (DR-POL-05).
func (p *destinationPolicy) subsetLabels(name string) (labels map[string]string, ok bool) {
	if name == "" {
		return nil, true
	}
	s := p.subset(name)
	return s.GetLabels(), s != nil
}

// subsetNames lists the subsets of a host, for messages.
func subsetNames(p *destinationPolicy) string {
	if p == nil {
		return "none"
	}
	var names []string
	for _, s := range p.subsets {
		names = append(names, s.GetName())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
