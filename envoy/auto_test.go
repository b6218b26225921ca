package envoy

import (
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/plan"
)

// Each virtual host has a strategy of its own. The filter's configuration has those that the filter decides for, and no
// other; a rule that the filter cannot decide is never left to it, however cheap it is.
func TestStrategies(t *testing.T) {
	named := func(name string, h *plan.VirtualHost) *plan.VirtualHost {
		h.Name, h.Domains = name, []string{name + ".test"}
		for _, r := range h.Rules {
			r.Seal()
		}
		return h
	}
	claims := named("claims", hostOf("~.*/a", "~.*/b"))
	claims.Rules[1].Match.Claims = []plan.ClaimMatch{{Path: []string{"group"}, Kind: plan.Exact, Value: "admin"}}
	costly := named("costly", hostOf("~(.*a.{400}b|.*b.{400}a){2}", "~.*/b"))
	rc := &plan.RouteConfig{Name: "http.80", VirtualHosts: []*plan.VirtualHost{
		named("presence", hostOf("/ a", "/ b", "/ c")), claims, costly, named("paths", hostOf("/a", "/b", "/c")),
	}}
	for _, choice := range chooseStrategies(rc, &Options{Matching: MatchingFilter}).choices {
		want := StrategyFilter
		if choice.VirtualHost == "claims" || choice.VirtualHost == "costly" { // which it cannot decide for
			want = StrategyList
		}
		assert.Equal(t, want, choice.Strategy, choice.VirtualHost)
	}
	for what, c := range map[string]struct {
		costs Costs
		want  map[string]Strategy
	}{
		"the filter is cheap":    {Costs{Path: 1, Regex: 1, Header: 1, Tree: 0.01, Level: 0.01, Filter: 0.8}, map[string]Strategy{"presence": StrategyFilter, "claims": StrategyList, "costly": StrategyList, "paths": StrategyTree}},
		"the filter costs much":  {Costs{Path: 1, Regex: 1, Header: 1, Tree: 90, Filter: 99}, map[string]Strategy{"presence": StrategyList, "claims": StrategyList, "costly": StrategyList, "paths": StrategyList}},
		"a tree costs even more": {Costs{Path: 1, Regex: 1, Header: 1, Tree: 90, Filter: 0.1}, map[string]Strategy{"presence": StrategyFilter, "claims": StrategyList, "costly": StrategyList, "paths": StrategyFilter}},
	} {
		t.Run(what, func(t *testing.T) {
			o := &Options{Matching: MatchingAuto, Costs: &c.costs}
			s := chooseStrategies(rc, o)
			config, err := s.pluginConfig(rc, o)
			require.NoError(t, err)
			usesFilter := false
			for i, choice := range s.choices {
				h := rc.VirtualHosts[i]
				assert.Equal(t, c.want[h.Name], choice.Strategy, "%s: %s", h.Name, choice.Why)
				assert.Equal(t, choice.Strategy == StrategyFilter, strings.Contains(string(config), h.Domains[0]), h.Name)
				usesFilter = usesFilter || choice.Strategy == StrategyFilter
			}
			assert.Equal(t, usesFilter, s.filter)
		})
	}
}

func TestTheCheapestWayIsTaken(t *testing.T) {
	many := func(n int, format string) (rules []string) {
		for i := range n {
			rules = append(rules, fmt.Sprintf(format, i))
		}
		return rules
	}
	for what, c := range map[string]struct {
		rules    []string
		strategy Strategy
		why      string
	}{
		"a few prefixes":                 {many(10, "/p%d"), StrategyList, "trying 10 rules costs least; a look-up in a tree costs as much as that"},
		"many prefixes":                  {many(1000, "/p%d/"), StrategyTree, "by path: 1000 keys, at most 1 rule at each"},
		"many whole paths":               {many(1000, "=/p%d"), StrategyTree, "by path: 1000 keys"},
		"many expressions with a start":  {many(1000, "~/p%d/.*"), StrategyTree, "by path: 1000 keys"},
		"some expressions without one":   {many(50, "~.*/p%d/.*"), StrategyList, "trying 50 rules costs least; no tree: neither the beginning"},
		"many expressions without one":   {many(1000, "~.*/p%d/.*"), StrategyFilter, "the filter costs less than trying 1000 rules; no tree: "},
		"many headers that few ask for":  {many(2000, "/p x%d"), StrategyFilter, "the filter costs less than trying 2000 rules; no tree: "},
		"many values of a header":        {many(2000, "/p x=%d"), StrategyTree, "by x: 2000 keys, at most 1 rule at each; 2000 rules for a request in which a header that is looked up is repeated"},
		"many that nothing divides well": {append(many(200, "/p%d"), many(400, "~.*%d")...), StrategyFilter, "a tree by path"},
	} {
		t.Run(what, func(t *testing.T) {
			choice := chooseStrategies(&plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{hostOf(c.rules...)}}, &Options{Matching: MatchingAuto, Minor: 40}).choices[0]
			assert.Equal(t, c.strategy, choice.Strategy, "%v", choice.Cost)
			assert.Contains(t, choice.Why, c.why)
		})
	}
}

// The trees of a route configuration share what there may be of copies, and a tree that gains little is not worth them.
func TestManyTreesAreNotLargeTogether(t *testing.T) {
	rc, rules, routes, trees := &plan.RouteConfig{}, 0, 0, 0
	for i := range 50 {
		var texts []string
		for k := range 40 {
			texts = append(texts, fmt.Sprintf(" x%d=1", k))
		}
		for k := range 60 {
			texts = append(texts, fmt.Sprintf("/p%d/", k))
		}
		h := hostOf(texts...)
		h.Name = fmt.Sprint(i)
		rules += len(h.Rules)
		rc.VirtualHosts = append(rc.VirtualHosts, h)
	}
	costs := *free
	costs.Filter = 1e6
	for _, costs := range []*Costs{&costs, nil} {
		routes, trees = 0, 0
		for _, c := range chooseStrategies(rc, &Options{Matching: MatchingAuto, Costs: costs, Minor: 40}).choices {
			if c.Strategy == StrategyTree {
				routes, trees = routes+c.Tree.Routes, trees+1
			}
		}
		assert.LessOrEqual(t, routes, maxCopies*rules+moreCopies)
		if costs != nil {
			assert.Equal(t, 50, trees)
		} else {
			assert.Zero(t, trees)
		}
	}
}

// With auto and files that change, rules that need the filter have the same listener as rules that do not: only the place of
// the filter has something else in it.
func TestTheFilterComesAndGoesWithoutTheListener(t *testing.T) {
	built := map[bool]*Resources{}
	for _, needed := range []bool{false, true} {
		rules := []string{"/a", "/b"}
		if needed {
			rules = []string{"~.*a", "~.*b"}
		}
		p := &plan.Plan{Listeners: []*plan.Listener{{Name: "l", Bind: "127.0.0.1", Port: 80, Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{Name: "http.80", VirtualHosts: []*plan.VirtualHost{hostOf(rules...)}}}}}}}
		costs := *free
		costs.Filter = 0.75
		r, err := Build(p, Options{Matching: MatchingAuto, Costs: &costs, Minor: 40, Dir: "/files", Module: "x"})
		require.NoError(t, err)
		built[needed] = r
	}
	assert.True(t, proto.Equal(built[false].OfType(ListenerType)[0].Message, built[true].OfType(ListenerType)[0].Message))
	plugin := func(needed bool) string {
		return built[needed].OfType(ExtensionType)[0].Message.(*corev3.TypedExtensionConfig).GetTypedConfig().GetTypeUrl()
	}
	assert.Equal(t, "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", plugin(false))
	assert.Equal(t, "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", plugin(true))
	steps := Sequence(built[false], built[true])
	for _, s := range steps {
		assert.NotEqual(t, Listeners, s.Kind)
	}
	assert.NotEmpty(t, steps)
}
