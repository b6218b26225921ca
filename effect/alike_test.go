package effect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// TestCompare says of two rules whether somebody notices which of them took a request.
func TestCompare(t *testing.T) {
	to := func(kind plan.MatchKind, path, rewrite string, more ...func(*plan.Rule)) *plan.Rule {
		r := &plan.Rule{Match: plan.Match{Path: plan.PathMatch{Kind: kind, Value: path}}, Route: &plan.RouteAction{
			Destinations: []plan.Destination{{Cluster: "a"}}, PrefixRewrite: rewrite,
		}}
		for _, change := range more {
			change(r)
		}
		return r
	}
	split := func(weights ...uint32) func(*plan.Rule) {
		return func(r *plan.Rule) {
			r.Route.Weighted, r.Route.Destinations = true, nil
			for i, w := range weights {
				r.Route.Destinations = append(r.Route.Destinations, plan.Destination{Cluster: string(rune('a' + i)), Weight: w})
			}
		}
	}
	regex := func(pattern string) func(*plan.Rule) {
		return func(r *plan.Rule) { r.Route.RegexRewrite = &plan.RegexRewrite{Pattern: pattern, Substitution: "x"} }
	}
	headers := func(names ...string) func(*plan.Rule) {
		return func(r *plan.Rule) {
			for _, n := range names {
				r.RequestHeaders.Add = append(r.RequestHeaders.Add, plan.HeaderAddition{Name: n, Value: "1"})
			}
		}
	}
	redirect := func(path, prefix string) func(*plan.Rule) {
		return func(r *plan.Rule) {
			r.Route, r.Redirect = nil, &plan.Redirect{Status: 301, Path: path, PrefixRewrite: prefix}
		}
	}
	same, differ, unsure := effect.Likeness{Same: true}, effect.Likeness{}, effect.Likeness{Unsure: true}
	for sentence, c := range map[string]struct {
		a, b *plan.Rule
		want effect.Likeness
	}{
		"no rule is like no rule":                       {nil, nil, same},
		"a rule is not like none":                       {to(plan.Prefix, "/", ""), nil, differ},
		"names and matches do not count":                {to(plan.Prefix, "/", "", func(r *plan.Rule) { r.Name = "x" }), to(plan.Prefix, "/a", ""), same},
		"timeouts count":                                {to(plan.Prefix, "/", "", func(r *plan.Rule) { r.Route.Timeout = time.Second }), to(plan.Prefix, "/", ""), differ},
		"weights count in proportion":                   {to(plan.Prefix, "/", "", split(1, 1)), to(plan.Prefix, "/", "", split(50, 50)), same},
		"other weights do not":                          {to(plan.Prefix, "/", "", split(1, 2)), to(plan.Prefix, "/", "", split(50, 50)), differ},
		"a weight of 0 is none":                         {to(plan.Prefix, "/", "", split(1, 0)), to(plan.Prefix, "/", ""), same},
		"the order of other headers does not count":     {to(plan.Prefix, "/", "", headers("a", "b")), to(plan.Prefix, "/", "", headers("b", "a")), same},
		"rewrites of prefixes may agree":                {to(plan.Prefix, "/a", "/x"), to(plan.Prefix, "/a/b", "/x/b"), same},
		"or not":                                        {to(plan.Prefix, "/a", "/x"), to(plan.Prefix, "/a/b", "/x/c"), differ},
		"or have other lengths":                         {to(plan.Prefix, "/a", "/x"), to(plan.Prefix, "/a/b", "/x"), differ},
		"a rewrite may change nothing":                  {to(plan.Prefix, "/a", "/a"), to(plan.Prefix, "/", ""), same},
		"an exact path is rewritten as a whole":         {to(plan.Prefix, "/a", "/x"), to(plan.Exact, "/a/b", "/x/b"), effect.Likeness{Path: "/a/b"}},
		"and is never so":                               {to(plan.Prefix, "/a", "/x"), to(plan.Exact, "/a/b", "/y"), differ},
		"an exact path that is kept":                    {to(plan.Prefix, "/", ""), to(plan.Exact, "/a", ""), effect.Likeness{Path: "/a"}},
		"equal expressions rewrite alike":               {to(plan.Prefix, "/", "", regex("a")), to(plan.Prefix, "/a", "", regex("a")), same},
		"others are tried out":                          {to(plan.Prefix, "/", "", regex("a")), to(plan.Prefix, "/a", "", regex("b")), unsure},
		"prefixes in any case are tried out":            {to(plan.Prefix, "/a", "/x"), to(plan.Prefix, "/A/b", "/x/b", func(r *plan.Rule) { r.Match.Path.IgnoreCase = true }), unsure},
		"redirects to one path":                         {to(plan.Prefix, "/a", "", redirect("/x", "")), to(plan.Prefix, "/b", "", redirect("/x", "")), same},
		"redirects to a path and to a prefix":           {to(plan.Prefix, "/a", "", redirect("/x/b", "")), to(plan.Prefix, "/a", "", redirect("", "/x")), effect.Likeness{Path: "/a/b"}},
		"redirects that replace the query, and not":     {to(plan.Prefix, "/a", "", redirect("/x?y", "")), to(plan.Prefix, "/a", "", redirect("/x", "")), differ},
		"headers of a request that no destination gets": {to(plan.Prefix, "/a", "", redirect("/x", ""), headers("a")), to(plan.Prefix, "/a", "", redirect("/x", "")), same},
		"mirrors of all requests": {
			to(plan.Prefix, "/", "", func(r *plan.Rule) { r.Route.Mirrors = []plan.Mirror{{Cluster: "m", Numerator: 100, Denominator: 100}} }),
			to(plan.Prefix, "/", "", func(r *plan.Rule) {
				r.Route.Mirrors = []plan.Mirror{{Cluster: "m", Numerator: 1_000_000, Denominator: 1_000_000}}
			}), same,
		},
		"the order of reasons to try again": {
			to(plan.Prefix, "/", "", func(r *plan.Rule) { r.Route.Retry = &plan.RetryPolicy{On: "a,b"} }),
			to(plan.Prefix, "/", "", func(r *plan.Rule) { r.Route.Retry = &plan.RetryPolicy{On: "b,a"} }), same,
		},
		"a body that is empty": {
			&plan.Rule{DirectResponse: &plan.DirectResponse{Status: 200}}, &plan.Rule{DirectResponse: &plan.DirectResponse{Status: 200, Body: []byte{}}}, same,
		},
		"a slash has no case":                        {to(plan.Prefix, "/", ""), to(plan.Prefix, "/", "/", func(r *plan.Rule) { r.Match.Path.IgnoreCase = true }), same},
		"a redirect and a destination":               {to(plan.Prefix, "/a", "", redirect("/x", "")), to(plan.Prefix, "/a", "/x"), differ},
		"the path of a rule without one is replaced": {to(plan.Present, "", "/x/"), to(plan.Prefix, "/", "/x/"), same},
	} {
		assert.Equal(t, c.want, effect.Compare(c.a, c.b), sentence)
		assert.Equal(t, c.want, effect.Compare(c.b, c.a), sentence)
	}
}
