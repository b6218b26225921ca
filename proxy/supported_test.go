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
	next := &plan.Plan{
		Listeners: []*plan.Listener{
			{Name: "0.0.0.0_443", Chains: []*plan.FilterChain{{TCP: &plan.TCPProxy{}}}},
			{Name: "0.0.0.0_80", Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{{Rules: []*plan.Rule{rule}}}}}}},
		},
		Clusters: []*plan.Cluster{{Name: "outbound|80||tls.test", TLS: &plan.UpstreamTLS{Authority: &plan.Credential{Name: "ca"}}}, {Name: "outbound|80||grpc.test", HTTP2: true}},
	}
	served, left := Servable(next)
	require.Len(t, served.Listeners, 1)
	require.Len(t, served.Clusters, 1)
	require.EqualError(t, left.Err(), `warning: listener 0.0.0.0_443: is left out: it forwards connections: the embedded data plane does not execute it; use --engine envoy
warning: cluster outbound|80||tls.test: is left out, and its requests get 503: authority ca: it has no certificate in PEM`)
	require.EqualError(t, supported(served, version.Of(version.Default)), `error: default/a.http[0].match[0]: a match on the claim a.b of a JWT: the filter knows no tokens; take the rule out
error: default/a.http[0].match[0]: %UPSTREAM_HOST% in a header operation: the embedded data plane does not execute it; use --engine envoy`)
}
