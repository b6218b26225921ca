package space

import (
	"iter"
	"slices"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// Candidates visits the pairs of a rule of the first plan and a rule of the second that may take one request, in order. -1 is
// that no rule takes it. Pairs are left out that cannot be: if the second list has the same conditions as rule a at index k,
// what rule a takes is taken there by rule k or one before it, and the other way round.
func (s *Space) Candidates(visit func(a, b int)) {
	old, now := s.views[0].rules, s.views[1].rules
	lastNow, lastOld := twins(old, now), twins(now, old)
	for a := range old {
		for b := range now[:min(len(now), lastNow[a]+1)] {
			if a <= lastOld[b] {
				visit(a, b)
			}
		}
		if lastNow[a] == len(now) {
			visit(a, -1)
		}
	}
	for b := range now {
		if lastOld[b] == len(old) {
			visit(-1, b)
		}
	}
}

// twins returns for each rule of a list the first index in another list of a rule with the same conditions, or the length
// of that list.
func twins(list, other []*rule) []int {
	first := map[string]int{}
	for i := len(other) - 1; i >= 0; i-- {
		first[other[i].key] = i
	}
	out := make([]int, len(list))
	for i, r := range list {
		at, ok := first[r.key]
		if out[i] = at; !ok {
			out[i] = len(other)
		}
	}
	return out
}

// Earlier are the rules before rule a of the first plan, and before rule b of the second, that match some request which both
// match, each once, at most as many as are asked for.
func (s *Space) Earlier(a, b, most int) (out []*plan.Rule) {
	seen := map[string]bool{}
	for view, end := range []int{a, b} {
		if end < 0 {
			end = len(s.views[view].rules)
		}
		for i, r := range s.views[view].rules[:end] {
			if len(out) == most {
				return out
			}
			if r.never || r.excludes(s.rule(0, a)) || r.excludes(s.rule(1, b)) || seen[r.key] {
				continue
			}
			if s.meets(append(s.pair(a, 1, b, nil), s.conditionsOf(view, i)...)) {
				seen[r.key] = true
				out = append(out, r.Rule)
			}
		}
	}
	return out
}

// rule is a rule of a view; nil for -1.
func (s *Space) rule(view, i int) *rule {
	if i < 0 {
		return nil
	}
	return s.views[view].rules[i]
}

// excludes reports whether the paths of two rules begin in different ways, so that no request matches both.
func (r *rule) excludes(o *rule) bool {
	return o != nil && r.path != nil && o.path != nil && r.path.begin.excludes(o.path.begin)
}

// meets reports whether requirements may be met together: each part on its own has a value, as far as is known.
func (s *Space) meets(required []requirement) bool {
	work := &budget{Budget}
	for p, list := range byPart(required, func(r requirement) *part { return r.part }) {
		if p.solve(list, work).found == no {
			return false
		}
	}
	return true
}

// byPart visits conditions grouped by the part that they are on, in the order in which parts occur first: what is found for a
// part must not depend on the order of a map.
func byPart[C any](all []C, partOf func(C) *part) iter.Seq2[*part, []C] {
	groups := map[*part][]C{}
	var order []*part
	for _, c := range all {
		p := partOf(c)
		if groups[p] == nil {
			order = append(order, p)
		}
		groups[p] = append(groups[p], c)
	}
	return func(yield func(*part, []C) bool) {
		for _, p := range order {
			if !yield(p, groups[p]) {
				return
			}
		}
	}
}

// Partner is the place of another plan where a request of a place arrives. Its Host is nil if the plan has no virtual host
// for the request, or only that for hosts that a sidecar does not know; its Listener is nil if there is no such listener.
func Partner(at Place, other *plan.Plan) Place {
	l := PartnerOf(at.Listener, other)
	if l == nil {
		return Place{}
	}
	i := effect.ChainFor(l, at.serverName(at.Domain))
	if i < 0 {
		return Place{Listener: l}
	}
	c := l.Chains[i]
	if c.Routes == nil || (c.TLS == nil) != (at.Chain.TLS == nil) {
		return Place{Listener: l}
	}
	out := Place{Listener: l, Chain: c}
	if h := effect.HostFor(c.Routes, at.Domain); h != nil && !IsOther(h) { // a wildcard is covered as its names are
		out.Host, out.Domain = h, effect.Domain(h, at.Domain)
	}
	return out
}

// PartnerOf is the listener of another plan that stands for a listener; nil if there is none.
func PartnerOf(l *plan.Listener, other *plan.Plan) *plan.Listener {
	for _, o := range other.Listeners {
		if o.Port == l.Port && o.Proxy == l.Proxy && o.Bind == l.Bind {
			return o
		}
	}
	return nil
}

// IsOther reports whether a virtual host is that of a sidecar for hosts that are not known.
func IsOther(h *plan.VirtualHost) bool {
	return len(h.Rules) == 1 && h.Rules[0].VirtualService() == "" && slices.Equal(h.Domains, []string{"*"})
}

// MoreSpecific are the domains of a route configuration that take requests from a domain.
func MoreSpecific(rc *plan.RouteConfig, domain string) (out []string) {
	if !strings.HasPrefix(domain, "*") {
		return nil
	}
	for _, h := range rc.VirtualHosts {
		for _, d := range h.Domains {
			if d != domain && len(d) > len(domain)-1 && strings.HasSuffix(d, domain[1:]) {
				out = append(out, d)
			}
		}
	}
	return out
}
