package gateway

import (
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/plan"
)

// rules of destinations, found as Istio finds them (DR-SEL-01 to DR-SEL-05).
type destinationRules struct {
	domain    string
	namespace string // of the proxy
	root      string // the root namespace
	labels    map[string]string
	// byNamespace holds the rules of each namespace, in the order in which they are merged.
	byNamespace map[string][]*DestinationRule
}

// rootNamespace is where rules for everybody stand.
const rootNamespace = "istio-system"

func newDestinationRules(r *Resources, o *Options) *destinationRules {
	x := &destinationRules{domain: o.ClusterDomain, namespace: o.Namespace, root: rootNamespace, labels: o.Labels, byNamespace: map[string][]*DestinationRule{}}
	for _, d := range r.DestinationRules {
		if s := d.Spec.WorkloadSelector; s != nil && (d.Namespace != o.Namespace || !subset(s.MatchLabels, o.Labels)) {
			continue // for other proxies (DR-SEL-03)
		}
		x.byNamespace[d.Namespace] = append(x.byNamespace[d.Namespace], d)
	}
	for _, list := range x.byNamespace {
		slices.SortStableFunc(list, func(a, b *DestinationRule) int {
			if c := compareBool(a.Spec.WorkloadSelector == nil, b.Spec.WorkloadSelector == nil); c != 0 {
				return c // those with a selector first (DR-SEL-04)
			}
			return byAge(&a.Object, &b.Object)
		})
	}
	return x
}

func subset(small, big map[string]string) bool {
	for k, v := range small {
		if got, ok := big[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// destinationPolicy is what all rules for one host say together.
type destinationPolicy struct {
	rules   []*DestinationRule
	traffic *istio.TrafficPolicy
	subsets []*istio.Subset
}

// find returns the policy for a host, or nil. It looks in the proxy's namespace, the service's and the root namespace;
// the first with any rule for the host wins altogether.
func (x *destinationRules) find(host string, s *service) *destinationPolicy {
	if x.namespace != x.root {
		if p := x.in(x.namespace, host, false); p != nil {
			return p
		}
	}
	if s != nil {
		if p := x.in(s.namespace, host, true); p != nil {
			return p
		}
	}
	return x.in(x.root, host, true)
}

// in looks in one namespace: the exact host, else the longest wildcard that takes it.
func (x *destinationRules) in(namespace, host string, exportedOnly bool) *destinationPolicy {
	best := ""
	for _, d := range x.byNamespace[namespace] {
		h := fullName(d.Spec.Host, namespace, x.domain)
		if exportedOnly && visibilityTo(x.namespace, d.Namespace, d.Spec.ExportTo) == hidden {
			continue
		}
		if isSubset(host, h) && (best == "" || moreSpecific(h, best) < 0) {
			best = h
		}
	}
	if best == "" {
		return nil
	}
	p := &destinationPolicy{}
	var export []string
	for _, d := range x.byNamespace[namespace] {
		if fullName(d.Spec.Host, namespace, x.domain) != best || (exportedOnly && visibilityTo(x.namespace, d.Namespace, d.Spec.ExportTo) == hidden) {
			continue
		}
		if len(p.rules) > 0 && !sameSet(export, d.Spec.ExportTo) {
			continue // rules with other exports are kept apart, the first is found
		}
		export = d.Spec.ExportTo
		p.merge(d)
	}
	return p
}

// merge unites the subsets, the first definition of a name counting, and takes the first traffic policy (DR-SEL-04).
func (p *destinationPolicy) merge(d *DestinationRule) {
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

func sameSet(a, b []string) bool {
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	for _, v := range b {
		if !slices.Contains(a, v) {
			return false
		}
	}
	return true
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

// consistentHash finds the settings that give the route of a destination its hash policy: the subset's for the port,
// the subset's, the rule's for the port, the rule's. Settings of a port count only if the destination names the port
// (DR-HASH-04).
func (p *destinationPolicy) consistentHash(d *istio.Destination) *istio.LoadBalancerSettings_ConsistentHashLB {
	if p == nil {
		return nil
	}
	hash := p.traffic.GetLoadBalancer().GetConsistentHash()
	if h := portPolicy(p.traffic, d.GetPort().GetNumber()); h != nil {
		hash = h.GetLoadBalancer().GetConsistentHash()
	}
	if s := p.subset(d.GetSubset()); s != nil {
		if h := s.GetTrafficPolicy().GetLoadBalancer().GetConsistentHash(); h != nil {
			hash = h
		}
		if h := portPolicy(s.GetTrafficPolicy(), d.GetPort().GetNumber()); h != nil {
			hash = h.GetLoadBalancer().GetConsistentHash()
		}
	}
	return hash
}

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

// hashPolicy is the plan's form of a consistent hash, or nil where it has no key (DR-HASH-02).
func hashPolicy(h *istio.LoadBalancerSettings_ConsistentHashLB) *plan.HashPolicy {
	switch key := h.GetHashKey().(type) {
	case *istio.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		return &plan.HashPolicy{Header: key.HttpHeaderName}
	case *istio.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		c := &plan.HashCookie{Name: key.HttpCookie.GetName(), Path: key.HttpCookie.GetPath()}
		if ttl := key.HttpCookie.GetTtl(); ttl != nil {
			d := ttl.AsDuration()
			c.TTL = &d
		}
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

// names are namespace/name of the rules, and object is the one whose traffic policy counts, for messages.
func (p *destinationPolicy) names() (out []string) {
	if p != nil {
		for _, d := range p.rules {
			out = append(out, d.Key())
		}
	}
	return out
}

func (p *destinationPolicy) object() *Object {
	for _, d := range p.rules {
		if d.Spec.TrafficPolicy != nil {
			return &d.Object
		}
	}
	return &p.rules[0].Object
}

// subsetLabels are the labels that choose a cluster's endpoints; ok is false where no rule defines the subset
// (DR-POL-05).
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
