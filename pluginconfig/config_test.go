package pluginconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
)

func TestPatternsThatAreRefusedAreNamedWithTheirRule(t *testing.T) {
	broken := &plan.Rule{Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.Path{List: "http"}}, Match: plan.Match{Path: plan.PathMatch{Kind: plan.Regex, Value: "("}}, Outcomes: []plan.Outcome{{ID: "k", Weight: 1}}}
	rc := plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Name: "a:80", Domains: []string{"a"}, Rules: []*plan.Rule{broken}}}}
	for _, minor := range []int{version.Oldest, version.Newest} {
		_, err := pluginconfig.Write(&rc, version.Of(minor))
		assert.ErrorContains(t, err, `default/a.http[0].match[0]: regex "("`)
	}
}
