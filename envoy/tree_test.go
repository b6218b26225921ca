package envoy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// hostOf is a virtual host of path rules: "=/a" is a whole path, "/a" a prefix, "~/a" an expression, "/a+" one more
// condition.
func hostOf(rules ...string) *plan.VirtualHost {
	h := &plan.VirtualHost{Name: "a:80", Domains: []string{"a"}}
	for i, text := range rules {
		r := &plan.Rule{Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.Path{List: "http", Index: i}}, DirectResponse: &plan.DirectResponse{Status: 200}}
		r.Match.Path = plan.PathMatch{Kind: plan.Prefix, Value: strings.TrimSuffix(text, "+")}
		switch {
		case strings.HasPrefix(text, "="):
			r.Match.Path = plan.PathMatch{Kind: plan.Exact, Value: text[1:]}
		case strings.HasPrefix(text, "~"):
			r.Match.Path = plan.PathMatch{Kind: plan.Regex, Value: text[1:]}
		case strings.HasSuffix(text, "+"):
			r.Match.Headers = []plan.HeaderMatch{{Name: "x"}}
		}
		h.Rules = append(h.Rules, r)
	}
	return h
}

func TestTrees(t *testing.T) {
	for what, c := range map[string]struct {
		rules         []string
		exact, prefix []string
		whyNot        string
	}{
		"prefixes, longer ones first":       {[]string{"/api/v2", "/api", "/"}, nil, []string{"/", "/api", "/api/v2"}, ""},
		"a prefix that is never reached":    {[]string{"/api", "/api/v2"}, nil, []string{"/api"}, ""},
		"everything behind a catch-all":     {[]string{"/", "/api", "=/x"}, nil, []string{"/"}, ""},
		"whole paths alone":                 {[]string{"=/a", "=/a/b"}, nil, []string{"/a", "/a/b"}, ""},
		"a whole path under a later prefix": {[]string{"=/a/b", "/a"}, []string{"/a/b"}, []string{"/a", "/a/b?"}, ""},
		"a whole path under a prefix":       {[]string{"/a", "=/a/b"}, nil, []string{"/a"}, ""},
		"a whole path that occurs twice":    {[]string{"=/a", "=/a"}, nil, []string{"/a"}, ""},
		"a path with a query":               {[]string{"=/a?x", "/b"}, nil, []string{"/b"}, ""},
		"an expression":                     {[]string{"/a", "~/b"}, nil, nil, "default/a.http[1].match[0] matches on more than the beginning or the whole of a path"},
		"a header":                          {[]string{"/a+"}, nil, nil, "default/a.http[0].match[0] matches on more than a path"},
		"no rules":                          {nil, nil, nil, "there is nothing to find"},
	} {
		t.Run(what, func(t *testing.T) {
			tree, whyNot := pathTree(hostOf(c.rules...))
			assert.Equal(t, c.whyNot, whyNot)
			if tree != nil {
				assert.Equal(t, c.exact, slices.Sorted(maps.Keys(tree.exact)))
				assert.Equal(t, c.prefix, slices.Sorted(maps.Keys(tree.prefix)))
			}
		})
	}
}

// find looks a path up as Envoy does: the whole text, else the longest beginning; then the route's own match.
func (t *paths) find(path string) *plan.Rule {
	only, _, _ := strings.Cut(path, "?")
	r := t.exact[path]
	for n := len(path); r == nil && n > 0; n-- {
		r = t.prefix[path[:n]]
	}
	if r == nil || r.Match.Path.Kind == plan.Exact && r.Match.Path.Value != only || !strings.HasPrefix(only, r.Match.Path.Value) {
		return nil
	}
	return r
}

// TestTreesMeanTheSame holds trees against lists, on rules and requests made by chance.
func TestTreesMeanTheSame(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	path := func() string {
		var b strings.Builder
		for range dice.IntN(4) {
			fmt.Fprintf(&b, "/%c", 'a'+dice.IntN(2))
			if dice.IntN(5) == 0 {
				b.WriteByte("ab/"[dice.IntN(3)])
			}
		}
		if b.Len() == 0 {
			return "/"
		}
		return b.String()
	}
	found := 0
	for range 20_000 {
		var rules []string
		for range dice.IntN(7) + 1 {
			rules = append(rules, []string{"", "="}[dice.IntN(2)]+path())
		}
		h := hostOf(rules...)
		tree, whyNot := pathTree(h)
		require.Empty(t, whyNot)
		for range 10 {
			asked := path() + []string{"", "?", "?x=/a", "?/a"}[dice.IntN(4)]
			only, _, _ := strings.Cut(asked, "?")
			var want *plan.Rule
			for _, r := range h.Rules {
				if p := r.Match.Path; want == nil && (p.Kind == plan.Exact && p.Value == only || p.Kind == plan.Prefix && strings.HasPrefix(only, p.Value)) {
					want = r
				}
			}
			got := tree.find(asked)
			if want != nil {
				found++
			}
			require.Equal(t, want, got, "%q in %q", asked, rules)
		}
	}
	assert.Greater(t, found, 50_000)
}

func TestTheCheapestWayIsTaken(t *testing.T) {
	many := func(n int, format string) *plan.VirtualHost {
		var rules []string
		for i := range n {
			rules = append(rules, fmt.Sprintf(format, i))
		}
		return hostOf(rules...)
	}
	for what, c := range map[string]struct {
		host     *plan.VirtualHost
		strategy Strategy
		why      string
	}{
		"a few prefixes":        {many(10, "/p%d"), StrategyList, "10 rules are tried faster than a tree is searched"},
		"many prefixes":         {many(1000, "/p%d/"), StrategyTree, "all rules match on the path alone"},
		"many whole paths":      {many(1000, "=/p%d"), StrategyTree, "all rules match on the path alone"},
		"some expressions":      {many(50, "~/p%d/.*"), StrategyList, "trying 50 rules costs less than asking the filter"},
		"many expressions":      {many(1000, "~/p%d/.*"), StrategyFilter, "trying 1000 rules costs more than asking the filter; no tree: default/a.http[0].match[0] matches on more than the beginning"},
		"a thousand of headers": {many(2000, "/p%d+"), StrategyFilter, "costs more than asking the filter"},
	} {
		t.Run(what, func(t *testing.T) {
			choice := chooseStrategies(&plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{c.host}}, &Options{Matching: MatchingAuto}).choices[0]
			assert.Equal(t, c.strategy, choice.Strategy, "%v", choice.Cost)
			assert.Contains(t, choice.Why, c.why)
		})
	}
}
