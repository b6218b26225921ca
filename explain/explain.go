// Package explain says what happens to a request and why: which listener, filter chain and virtual host it gets, which
// rules it is compared with, in order, which condition fails for each, and what the rule does that takes it.
//
// It decides nothing. Package verdict decides, and walks through the same compiled rules; this package puts the walk
// into the words of a VirtualService, and adds what is near where nothing matches: rules that lack little, and hosts
// whose names differ by little.
//
// The hard case is a rule that is not there. A rule of a VirtualService for the host that the listener does not have, for
// instance because its match names another port, is listed in Dropped with the reason.
package explain

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// Explanation is what happens to one request, and why. Lists are never nil, so that they are lists in JSON.
type Explanation struct {
	Request verdict.Request `json:"request"`
	// Listener is nil if no listener takes the request, or if listeners differ.
	Listener *Listener `json:"listener"`
	// Chain is the filter chain that the server name of a TLS connection selects, or that forwards bytes; nil for plain
	// HTTP.
	Chain *Chain `json:"chain,omitempty"`
	// VirtualHost is nil if none has the request's host.
	VirtualHost *VirtualHost `json:"virtualHost"`
	// Tried are the rules that the request is compared with, in order, up to the one that takes it.
	Tried []Tried `json:"tried"`
	// Dropped are the rules for the host that the listener does not have.
	Dropped []Dropped `json:"dropped"`
	// Resources are the resources that took part, as far as they are in files.
	Resources []Resource `json:"resources"`
	// Decision is the verdict of [verdict.Judge.Decide].
	Decision *verdict.Verdict `json:"decision"`
	// Nearest are the rules that lack the fewest conditions, if no rule takes the request; at most mostNear.
	Nearest []Nearest `json:"nearest"`
	// NearHosts are hosts whose names differ by little from the request's, if no virtual host or filter chain has it; at
	// most mostNear.
	NearHosts []string `json:"nearHosts,omitempty"`
	// Listeners are the explanations of the listeners, if they differ.
	Listeners []*Explanation `json:"listeners,omitempty"`

	walk *verdict.Walk // nil where there is no listener
}

// Listener is the listener that takes a request. Proxy is set if the plan is that of several proxies.
type Listener struct {
	Port     uint32   `json:"port"`
	Proxy    string   `json:"proxy,omitempty"`
	Gateways []string `json:"gateways"`
}

// Chain is a filter chain. TLS is the mode in which it terminates TLS, such as SIMPLE; PASSTHROUGH if it forwards it
// without terminating it; "" if it does not look at TLS.
type Chain struct {
	TLS         string   `json:"tls,omitempty"`
	ServerNames []string `json:"serverNames"`
	Why         string   `json:"why"`
	// Rule is the rule of tcp[] or tls[] that forwards the connection, if one does.
	Rule string `json:"rule,omitempty"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// VirtualHost is the virtual host that takes a request: by which of its domains, and which others it was preferred to.
type VirtualHost struct {
	Domain     string       `json:"domain"`
	Why        string       `json:"why"`
	PassedOver []PassedOver `json:"passedOver"`
}

// PassedOver is a domain that has the request's host, too.
type PassedOver struct {
	Domain string `json:"domain"`
	Why    string `json:"why"`
}

// The results of a comparison.
const (
	Failed  = "failed"
	Matched = "matched"
)

// Tried is one rule that a request was compared with. Failed is the first condition that it does not meet; nil for the
// rule that takes it.
type Tried struct {
	Rule   string     `json:"rule"`
	File   string     `json:"file"`
	Line   int        `json:"line"`
	Result string     `json:"result"`
	Failed *Condition `json:"failed,omitempty"`
}

// Dropped is a rule that the listener does not have. Rule is the VirtualService, as namespace/name, if none of its rules
// is there.
type Dropped struct {
	Rule string `json:"rule"`
	File string `json:"file"`
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Nearest is a rule that would take the request if it met the conditions in Missing.
type Nearest struct {
	Rule    string   `json:"rule"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Missing []string `json:"missing"`

	conditions []Condition
}

// Resource is a resource that took part: the Gateways of the listener, the VirtualService of the rule with its delegate,
// and the DestinationRules of the destinations. Name is Kind/namespace/name.
type Resource struct {
	Name string `json:"resource"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// mostNear bounds the rules and the hosts that are near.
const mostNear = 5

// Explainer explains requests, one at a time.
type Explainer struct {
	judge  *verdict.Judge
	plan   *plan.Plan
	bound  []boundHosts
	places map[string]diag.Place // of resources, by Kind/namespace/name
	// services are the VirtualServices, by namespace/name.
	services map[string]*resource.VirtualService
	// policies are the DestinationRules of clusters, by the name of the cluster.
	policies map[string][]string
	served   map[*plan.RouteConfig]map[string]bool // see isServed
}

// New makes an explainer of a plan. judge decides on the plan, set is what the plan was made from, and clusterDomain ends
// the full names of services.
func New(p *plan.Plan, judge *verdict.Judge, set *resource.Set, clusterDomain string) *Explainer {
	x := &Explainer{
		judge: judge, plan: p, bound: hostsOf(set, clusterDomain), places: placesOf(set),
		services: map[string]*resource.VirtualService{}, policies: map[string][]string{}, served: map[*plan.RouteConfig]map[string]bool{},
	}
	for _, vs := range set.VirtualServices {
		x.services[vs.Key()] = vs
	}
	for _, c := range p.Clusters {
		x.policies[c.Name] = c.Rules
	}
	return x
}

// Explain explains what [verdict.Judge.Decide] decides.
func (x *Explainer) Explain(r verdict.Request) *Explanation {
	v := x.judge.Decide(r)
	if v.Kind == verdict.Differs {
		e := empty(r, v)
		for _, l := range v.Listeners {
			e.Listeners = append(e.Listeners, x.on(r, l))
		}
		return e
	}
	return x.on(r, v)
}

func empty(r verdict.Request, v *verdict.Verdict) *Explanation {
	return &Explanation{Request: r, Decision: v, Tried: []Tried{}, Dropped: []Dropped{}, Nearest: []Nearest{}, Resources: []Resource{}}
}

// on explains the verdict of one listener.
func (x *Explainer) on(r verdict.Request, v *verdict.Verdict) *Explanation {
	e := empty(r, v)
	l := v.Listener()
	if l == nil {
		return e
	}
	w := x.judge.Walk(l, r)
	e.walk = w
	e.Listener = &Listener{Port: l.Port, Proxy: l.Proxy, Gateways: gatewaysOf(l, w.Chain)}
	if w.Chain != nil {
		e.Chain = chain(w, r)
	}
	for _, s := range w.Steps {
		t := Tried{Rule: s.Rule.String(), File: s.Rule.Source.File, Line: s.Rule.Source.Line, Result: Matched}
		if len(s.Unmet) > 0 {
			t.Result = Failed
			t.Failed = &x.conditions(s.Rule, s.Unmet[:1], w)[0]
		}
		e.Tried = append(e.Tried, t)
	}
	e.Resources = x.resources(e.Listener.Gateways, w)
	switch {
	case w.Chain == nil && r.SNI != "":
		e.NearHosts = x.nearHosts(r.SNI)
	case w.Chain == nil || w.Chain.Routes == nil:
	case w.Host != nil:
		e.VirtualHost = virtualHost(w)
		e.Dropped = x.dropped(w)
		if w.Rule() == nil {
			e.Nearest = x.nearest(w)
		}
	case v.Kind == verdict.NoVirtualHost:
		e.Dropped = x.dropped(w)
		e.NearHosts = x.nearHosts(w.Received.Authority)
	}
	return e
}

// gatewaysOf are the Gateways of a chain, or of all chains of a listener if no chain takes the connection.
func gatewaysOf(l *plan.Listener, c *plan.FilterChain) []string {
	if c != nil {
		return append([]string{}, c.Gateways...)
	}
	out := []string{}
	for _, c := range l.Chains {
		for _, g := range c.Gateways {
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// chain describes the filter chain of a walk; nil for a chain of plain HTTP.
func chain(w *verdict.Walk, r verdict.Request) *Chain {
	c := w.Chain
	out := &Chain{ServerNames: append([]string{}, c.ServerNames...)}
	switch {
	case c.TLS != nil:
		out.TLS = c.TLS.Mode
	case c.Passthrough:
		out.TLS = "PASSTHROUGH"
	case c.Routes != nil:
		return nil
	}
	sni := strings.ToLower(r.SNI)
	switch {
	case len(c.ServerNames) == 0:
		out.Why = "takes every connection that no chain with server names takes"
	case slices.Contains(c.ServerNames, sni):
		out.Why = "has the server name " + sni
	default:
		covers := "" // the longest is the one that counts
		for _, name := range c.ServerNames {
			if strings.HasPrefix(name, "*.") && strings.HasSuffix(sni, name[1:]) && len(name) > len(covers) {
				covers = name
			}
		}
		out.Why = fmt.Sprintf("has the server name %s, which covers %s", covers, sni)
	}
	if t := w.TCP(); t != nil {
		out.Rule, out.File, out.Line = t.Origin.String(), t.Source.File, t.Source.Line
	}
	return out
}

// virtualHost describes the virtual host of a walk, and which others have the request's host, too (VS-GW-05).
func virtualHost(w *verdict.Walk) *VirtualHost {
	domain := effect.Domain(w.Host, w.Received.Authority)
	out := &VirtualHost{Domain: domain, Why: "exact", PassedOver: []PassedOver{}}
	switch {
	case domain == "*":
		out.Why = "any host"
	case strings.HasPrefix(domain, "*"):
		out.Why = "suffix wildcard"
	}
	for _, h := range w.Chain.Routes.VirtualHosts {
		if other := effect.Domain(h, w.Received.Authority); h != w.Host && other != "" {
			out.PassedOver = append(out.PassedOver, PassedOver{other, "less specific"})
		}
	}
	return out
}

// nearest are the rules that lack the fewest conditions; of two that lack as many, one whose path matches comes first.
// Rules that no request meets are left out.
func (x *Explainer) nearest(w *verdict.Walk) []Nearest {
	steps := slices.DeleteFunc(slices.Clone(w.Steps), func(s verdict.Step) bool {
		return slices.ContainsFunc(s.Unmet, func(u routing.Unmet) bool { return u.Part == routing.NeverPart })
	})
	rank := func(s verdict.Step) int {
		n := 2 * len(s.Unmet)
		if len(s.Unmet) > 0 && s.Unmet[0].Part == routing.PathPart {
			n++
		}
		return n
	}
	slices.SortStableFunc(steps, func(a, b verdict.Step) int { return rank(a) - rank(b) })
	out := []Nearest{}
	for _, s := range steps {
		if len(out) == mostNear || len(s.Unmet) > len(steps[0].Unmet) {
			break
		}
		n := Nearest{Rule: s.Rule.String(), File: s.Rule.Source.File, Line: s.Rule.Source.Line, conditions: x.conditions(s.Rule, s.Unmet, w)}
		for _, c := range n.conditions {
			n.Missing = append(n.Missing, c.Field)
		}
		out = append(out, n)
	}
	return out
}

// nearHosts are the domains and the server names of all listeners that differ by little from a host.
func (x *Explainer) nearHosts(authority string) []string {
	var all []string
	for _, l := range x.plan.Listeners {
		for _, c := range l.Chains {
			all = append(all, c.ServerNames...)
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				all = append(all, h.Domains...)
			}
		}
	}
	near := resource.Near(strings.ToLower(routing.Host(authority)), all)
	return near[:min(len(near), mostNear)]
}
