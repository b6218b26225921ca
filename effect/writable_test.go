package effect

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/plan"
)

// Every text of a rule that Envoy writes is looked at, whoever made the plan.
func TestEveryTextIsLookedAt(t *testing.T) {
	const bad = "a\r\nb"
	change := plan.HeaderOperations{Add: []plan.HeaderAddition{{Name: "x", Value: bad}}}
	routed := func(change func(*plan.Rule)) *plan.Rule {
		r := &plan.Rule{Name: "r", Route: &plan.RouteAction{Weighted: true, Destinations: []plan.Destination{{Cluster: "a"}, {Cluster: "b"}}}}
		change(r)
		return r
	}
	for what, r := range map[string]*plan.Rule{
		"a request header":          routed(func(r *plan.Rule) { r.RequestHeaders = change }),
		"a response header":         routed(func(r *plan.Rule) { r.ResponseHeaders = change }),
		"a destination's headers":   routed(func(r *plan.Rule) { r.Route.Destinations[1].RequestHeaders = change }),
		"a destination's response":  routed(func(r *plan.Rule) { r.Route.Destinations[1].ResponseHeaders = change }),
		"a destination's authority": routed(func(r *plan.Rule) { r.Route.Destinations[0].HostRewrite = bad }),
		"a header's name":           routed(func(r *plan.Rule) { r.RequestHeaders.Add = []plan.HeaderAddition{{Name: bad, Value: "v"}} }),
		"no name":                   routed(func(r *plan.Rule) { r.RequestHeaders.Add = []plan.HeaderAddition{{Value: "v"}} }),
		"a rewrite":                 routed(func(r *plan.Rule) { r.Route.PrefixRewrite = bad }),
		"a rewrite by expression":   routed(func(r *plan.Rule) { r.Route.RegexRewrite = &plan.RegexRewrite{Pattern: "a", Substitution: bad} }),
		"a rewritten authority":     routed(func(r *plan.Rule) { r.Route.HostRewrite = bad }),
		"a hash cookie's name":      routed(func(r *plan.Rule) { r.Route.HashPolicies = []plan.HashPolicy{{Cookie: &plan.HashCookie{Name: bad}}} }),
		"a hash cookie's path": routed(func(r *plan.Rule) {
			r.Route.HashPolicies = []plan.HashPolicy{{Cookie: &plan.HashCookie{Name: "a", Path: bad}}}
		}),
		"a hash cookie's attribute": routed(func(r *plan.Rule) {
			r.Route.HashPolicies = []plan.HashPolicy{{Cookie: &plan.HashCookie{Name: "a", Attributes: []plan.HashCookieAttribute{{Name: "b", Value: bad}}}}}
		}),
		"CORS":              routed(func(r *plan.Rule) { r.CORS = &plan.CORSPolicy{ExposeHeaders: bad} }),
		"a redirect":        {Name: "r", Redirect: &plan.Redirect{Path: bad}},
		"a redirect's host": {Name: "r", Redirect: &plan.Redirect{Host: bad}},
	} {
		p := &plan.Plan{Listeners: []*plan.Listener{{Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Rules: []*plan.Rule{r}}}}}}}}}
		assert.Len(t, Unwritable(p), 1, what)
	}
	fine := routed(func(r *plan.Rule) {
		r.RequestHeaders.Add = []plan.HeaderAddition{{Name: "x", Value: "a\tb ü %PROTOCOL%"}}
		r.Route.PrefixRewrite, r.Route.HostRewrite = "/a%20b", "a.test:80"
		r.Route.HashPolicies = []plan.HashPolicy{{Cookie: &plan.HashCookie{Name: "a", Path: "/"}}, {SourceIP: true}}
	})
	p := &plan.Plan{Listeners: []*plan.Listener{{Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Rules: []*plan.Rule{fine}}}}}}}}}
	assert.Empty(t, Unwritable(p))
}
