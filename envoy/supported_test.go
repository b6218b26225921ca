package envoy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// planOf is a plan of one rule.
func planOf(r *plan.Rule) *plan.Plan {
	r.Origin = plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.EntryPath("http", 0)}
	r.Source = diag.Place{File: "a.yaml", Line: 7, Column: 5}
	if r.Route == nil && r.Redirect == nil {
		r.DirectResponse = &plan.DirectResponse{Status: 200}
	}
	r.Seal()
	return &plan.Plan{Listeners: []*plan.Listener{{Name: "0.0.0.0_80", Bind: "0.0.0.0", Port: 80, Chains: []*plan.FilterChain{{
		Routes: &plan.RouteConfig{Name: "http.80", Port: 80, VirtualHosts: []*plan.VirtualHost{{Name: "a:80", Domains: []string{"a"}, Rules: []*plan.Rule{r}}}},
	}}}}}
}

func TestWhatCannotBeExecutedIsAnErrorThatNamesRuleAndFeature(t *testing.T) {
	header := func(value string) *plan.Rule {
		return &plan.Rule{ResponseHeaders: plan.HeaderOperations{Add: []plan.HeaderAddition{{Name: "x", Value: value}}}}
	}
	for what, c := range map[string]struct {
		rule    *plan.Rule
		options Options
		want    string
	}{
		"an operator that all have":               {header("%START_TIME(%s)% 100%%"), Options{Minor: 36, Matching: MatchingNative}, ""},
		"an operator that none has":               {header("a %NONE% b"), Options{Minor: 40, Matching: MatchingNative}, "default/a.http[0]: \"a %NONE% b\" in a header operation: %NONE%: no Envoy has a command operator of that name"},
		"an operator that an older one lacks":     {header("%SPAN_ID%"), Options{Minor: 37, Matching: MatchingNative}, "%SPAN_ID%: it came with Envoy 1.38, and this is for 1.37"},
		"an operator that a newer one has":        {header("%SPAN_ID%"), Options{Minor: 38, Matching: MatchingNative}, ""},
		"an operator with arguments that has one": {header("%REQ(x-a?y-b):10%"), Options{Minor: 38, Matching: MatchingFilter, Module: "waymark.wasm"}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Bootstrap(planOf(c.rule), c.options)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var e *diag.FindingsError
			require.ErrorAs(t, err, &e)
			assert.Contains(t, err.Error(), c.want)
		})
	}
}
