package translate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/plan"
)

// VS-MATCH-22; the names are those of Istio's own tests.
func TestHeaderNamesThatStandForClaims(t *testing.T) {
	for name, path := range map[string][]string{
		"@request.auth.claims":               nil,
		"@request.auth.claims-":              nil,
		"request.auth.claims.":               nil,
		"@request.auth.claims.":              nil,
		"@request.auth.claims-abc":           nil,
		"@request.auth.claims[]":             nil,
		"x-some-other-header":                nil,
		"@request.auth.claims.key1":          {"key1"},
		"@Request.Auth.Claims.key1":          {"key1"},
		"@request.auth.claims.key1.KEY2":     {"key1", "KEY2"},
		"@request.auth.claims[key1][a.b]":    {"key1", "a.b"},
		"@request.auth.claims.custom:tenant": {"custom:tenant"},
	} {
		got, ok := routingClaim(name)
		assert.Equal(t, path != nil, ok, name)
		assert.Equal(t, path, got, name)
	}
}

func TestClaimsAreNoHeaders(t *testing.T) {
	exact := func(v string) *istio.StringMatch {
		return &istio.StringMatch{MatchType: &istio.StringMatch_Exact{Exact: v}}
	}
	m := translateMatch(&istio.HTTPMatchRequest{
		Headers:        map[string]*istio.StringMatch{"@request.auth.claims.group": exact("admin"), "x": exact("1")},
		WithoutHeaders: map[string]*istio.StringMatch{"@request.auth.claims[sub]": exact("joe")},
	}, false)
	assert.Equal(t, []plan.HeaderMatch{{Name: "x", Kind: plan.Exact, Value: "1"}}, m.Headers)
	assert.Equal(t, []plan.ClaimMatch{
		{Path: []string{"sub"}, Kind: plan.Exact, Value: "joe", Invert: true},
		{Path: []string{"group"}, Kind: plan.Exact, Value: "admin"},
	}, m.Claims)
	assert.False(t, (&plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/"}, Claims: m.Claims}).IsCatchAll())
}
