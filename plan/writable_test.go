package plan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every text of a rule that Envoy writes is looked at, whoever made the plan.
func TestEveryTextIsLookedAt(t *testing.T) {
	const bad = "a\r\nb"
	change := HeaderOperations{Add: []HeaderAddition{{Name: "x", Value: bad}}}
	routed := func(change func(*Rule)) *Rule {
		r := &Rule{Name: "r", Route: &RouteAction{Weighted: true, Destinations: []Destination{{Cluster: "a"}, {Cluster: "b"}}}}
		change(r)
		return r
	}
	for what, r := range map[string]*Rule{
		"a request header":          routed(func(r *Rule) { r.RequestHeaders = change }),
		"a response header":         routed(func(r *Rule) { r.ResponseHeaders = change }),
		"a destination's headers":   routed(func(r *Rule) { r.Route.Destinations[1].RequestHeaders = change }),
		"a destination's response":  routed(func(r *Rule) { r.Route.Destinations[1].ResponseHeaders = change }),
		"a destination's authority": routed(func(r *Rule) { r.Route.Destinations[0].HostRewrite = bad }),
		"a header's name":           routed(func(r *Rule) { r.RequestHeaders.Add = []HeaderAddition{{Name: bad, Value: "v"}} }),
		"no name":                   routed(func(r *Rule) { r.RequestHeaders.Add = []HeaderAddition{{Value: "v"}} }),
		"a rewrite":                 routed(func(r *Rule) { r.Route.PrefixRewrite = bad }),
		"a rewrite by expression":   routed(func(r *Rule) { r.Route.RegexRewrite = &RegexRewrite{"a", bad} }),
		"a rewritten authority":     routed(func(r *Rule) { r.Route.HostRewrite = bad }),
		"a hash cookie's name":      routed(func(r *Rule) { r.Route.HashPolicies = []HashPolicy{{Cookie: &HashCookie{Name: bad}}} }),
		"a hash cookie's path":      routed(func(r *Rule) { r.Route.HashPolicies = []HashPolicy{{Cookie: &HashCookie{Name: "a", Path: bad}}} }),
		"a hash cookie's attribute": routed(func(r *Rule) {
			r.Route.HashPolicies = []HashPolicy{{Cookie: &HashCookie{Name: "a", Attributes: []HashCookieAttribute{{"b", bad}}}}}
		}),
		"CORS":              routed(func(r *Rule) { r.CORS = &CORSPolicy{ExposeHeaders: bad} }),
		"a redirect":        {Name: "r", Redirect: &Redirect{Path: bad}},
		"a redirect's host": {Name: "r", Redirect: &Redirect{Host: bad}},
	} {
		p := &Plan{Listeners: []*Listener{{Chains: []*FilterChain{{Routes: &RouteConfig{VirtualHosts: []*VirtualHost{{Rules: []*Rule{r}}}}}}}}}
		assert.Len(t, p.Unwritable(), 1, what)
	}
	fine := routed(func(r *Rule) {
		r.RequestHeaders.Add = []HeaderAddition{{Name: "x", Value: "a\tb ü %PROTOCOL%"}}
		r.Route.PrefixRewrite, r.Route.HostRewrite = "/a%20b", "a.test:80"
		r.Route.HashPolicies = []HashPolicy{{Cookie: &HashCookie{Name: "a", Path: "/"}}, {SourceIP: true}}
	})
	p := &Plan{Listeners: []*Listener{{Chains: []*FilterChain{{Routes: &RouteConfig{VirtualHosts: []*VirtualHost{{Rules: []*Rule{fine}}}}}}}}}
	assert.Empty(t, p.Unwritable())
}

// The name of a rule never ends a line of a log.
func TestNamesAreOneLine(t *testing.T) {
	r := &Rule{Origin: Origin{"VirtualService", "default", "a", EntryPath("http", 0)}, Name: "x\r\n127.0.0.1 \"forged\" \x00 ü"}
	require.Equal(t, `default/a.http[0]:x\r\n127.0.0.1 "forged" \x00 ü`, r.RouteName())
}
