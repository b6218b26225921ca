package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

func TestPatternsThatFallBackAreNamedWithTheirRule(t *testing.T) {
	rule := func(http int, pattern string) *plan.Rule {
		return &plan.Rule{VirtualService: "default/a", HTTP: http, Match: plan.Match{Path: plan.PathMatch{Kind: plan.Regex, Value: pattern}}, Outcomes: []plan.Outcome{{ID: "k", Weight: 1}}}
	}
	slow := `(a|b)*a(a|b){20}c`
	first := rule(1, slow)
	rc := plan.RouteConfig{Name: "http.80", VirtualHosts: []*plan.VirtualHost{{Name: "a:80", Domains: []string{"a"}, Rules: []*plan.Rule{rule(0, "/a/.*"), first, rule(2, slow)}}}}
	for _, era := range []plan.Era{plan.Since139, plan.Before139} {
		all, err := rc.SlowRegexes(era)
		require.NoError(t, err)
		assert.Equal(t, []plan.SlowRegex{{Rule: first, Pattern: slow}}, all)
	}
	broken := plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Name: "a:80", Domains: []string{"a"}, Rules: []*plan.Rule{rule(0, "(")}}}}
	_, err := broken.SlowRegexes(plan.Since139)
	assert.ErrorContains(t, err, `default/a.http[0].match[0]: regex "("`)
}
