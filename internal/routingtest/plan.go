package routingtest

import (
	"cmp"
	"strconv"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// VirtualHost returns virtual host i of a configuration as the model has it. Each rule is called by its outcome, or by
// its number if it has several, and answers by itself. Rules that never match are left out.
func VirtualHost(c *routing.Config, i int) *plan.VirtualHost {
	h := &plan.VirtualHost{Name: c.VirtualHosts[i].Name, Domains: c.VirtualHosts[i].Domains}
	for n, u := range c.VirtualHosts[i].Rules {
		if u.Never {
			continue
		}
		r := &plan.Rule{Name: cmp.Or(u.Outcome, strconv.Itoa(n)), DirectResponse: &plan.DirectResponse{Status: 200}}
		if p := u.Path; p != nil {
			r.Match.Path.Kind, r.Match.Path.Value = condition(c, p.StringMatch)
			r.Match.Path.IgnoreCase = p.IgnoreCase
			if p.Separated != nil {
				r.Match.Path.Kind, r.Match.Path.Value = plan.Separated, *p.Separated
			}
		}
		for _, x := range u.Headers {
			kind, value := condition(c, x.StringMatch)
			r.Match.Headers = append(r.Match.Headers, plan.HeaderMatch{Name: x.Name, Kind: kind, Value: value, Invert: x.Invert, MissingAsEmpty: x.MissingAsEmpty})
		}
		for _, x := range u.Query {
			kind, value := condition(c, x.StringMatch)
			r.Match.Query = append(r.Match.Query, plan.QueryMatch{Name: x.Name, Kind: kind, Value: value})
		}
		r.Seal()
		h.Rules = append(h.Rules, r)
	}
	return h
}

func condition(c *routing.Config, m routing.StringMatch) (plan.MatchKind, string) {
	switch {
	case m.Exact != nil:
		return plan.Exact, *m.Exact
	case m.Prefix != nil:
		return plan.Prefix, *m.Prefix
	case m.Regex != nil:
		return plan.Regex, c.Regexes[*m.Regex].Pattern
	default:
		return plan.Present, ""
	}
}
