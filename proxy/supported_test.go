package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

func TestWhatIsNotExecutedIsAnErrorAllAtOnce(t *testing.T) {
	rule := &plan.Rule{
		Origin:          plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.Path{List: "http"}},
		Match:           plan.Match{Claims: []plan.ClaimMatch{{Path: []string{"a", "b"}}}},
		ResponseHeaders: plan.HeaderOperations{Add: []plan.HeaderAddition{{Name: "x", Value: "%UPSTREAM_HOST% %REQ(y)%"}}},
	}
	err := supported(&plan.Plan{
		Listeners: []*plan.Listener{
			{Name: "0.0.0.0_443", Chains: []*plan.FilterChain{{TLS: &plan.ServerTLS{}, Routes: &plan.RouteConfig{}}}},
			{Name: "0.0.0.0_80", Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Rules: []*plan.Rule{rule}}}}}}},
		},
		Clusters: []*plan.Cluster{{Name: "outbound|80||grpc.test", HTTP2: true}},
	}, version.Of(version.Default))
	require.EqualError(t, err, `error: listener 0.0.0.0_443: TLS or TCP: the embedded data plane does not execute it; use --engine envoy
error: default/a.http[0].match[0]: a match on the claim a.b of a JWT: the filter knows no tokens; take the rule out
error: default/a.http[0].match[0]: %UPSTREAM_HOST% in a header operation: the embedded data plane does not execute it; use --engine envoy
error: cluster outbound|80||grpc.test: HTTP/2: the embedded data plane does not execute it; use --engine envoy`)
}
