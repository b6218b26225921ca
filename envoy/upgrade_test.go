package envoy

import (
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// While a virtual host changes from a list to the filter, requests that the filter has not seen are matched by the list,
// and upgrades are refused before that.
func TestUpgradesAreRefusedWhileAHostChangesToTheFilter(t *testing.T) {
	rule := &plan.Rule{DirectResponse: &plan.DirectResponse{Status: 200}, Match: plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/"}}}
	rule.Seal()
	h := &plan.VirtualHost{Name: "a", Domains: []string{"a", "b"}, Rules: []*plan.Rule{rule}}
	rc := &plan.RouteConfig{Name: "http.80", VirtualHosts: []*plan.VirtualHost{h}}
	configuration := func(m Matching) *routev3.RouteConfiguration {
		o := &Options{Matching: m, Minor: 40, Module: "x"}
		return (&builder{Options: *o, strategies: map[*plan.RouteConfig]*strategies{rc: chooseStrategies(rc, o)}}).routeConfiguration(rc)
	}
	merged, unreachable := mergeHosts(configuration(MatchingNative).VirtualHosts, configuration(MatchingFilter).VirtualHosts)
	assert.False(t, unreachable, "the list is reached until it goes")
	upgrades := merged[0].Matcher.OnNoMatch.GetMatcher()
	require.Len(t, upgrades.GetMatcherList().GetMatchers(), 1)
	list := &routev3.RouteList{}
	require.NoError(t, upgrades.OnNoMatch.GetAction().TypedConfig.UnmarshalTo(list))
	assert.Len(t, list.Routes, 1)
	assert.NoError(t, validatePacked(&routev3.RouteConfiguration{Name: "r", VirtualHosts: merged}))
}
