package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

func TestWhatIsNotExecutedIsLeftOut(t *testing.T) {
	origin := func(index int) plan.Origin {
		return plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "a", Path: plan.Path{List: "http", Index: index}}
	}
	claims := &plan.Rule{Origin: origin(0), Match: plan.Match{Claims: []plan.ClaimMatch{{Path: []string{"a", "b"}}}}, DirectResponse: &plan.DirectResponse{Status: 200}}
	operator := &plan.Rule{
		Origin: origin(1), Match: plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/o"}}, DirectResponse: &plan.DirectResponse{Status: 200},
		ResponseHeaders: plan.HeaderOperations{Add: []plan.HeaderAddition{{Name: "x", Value: "%UPSTREAM_HOST% %REQ(y)%"}}},
	}
	plain := &plan.Rule{Origin: origin(2), DirectResponse: &plan.DirectResponse{Status: 200}}
	costly := &plan.Rule{Origin: origin(3), Match: plan.Match{Path: plan.PathMatch{Kind: plan.Regex, Value: "/(.*a.{400}b|.*b.{400}a){2}"}}, DirectResponse: &plan.DirectResponse{Status: 200}}
	for _, r := range []*plan.Rule{claims, operator, plain, costly} {
		r.Seal()
	}
	next := &plan.Plan{
		Listeners: []*plan.Listener{
			{Name: "0.0.0.0_443", Chains: []*plan.FilterChain{{TCP: &plan.TCPProxy{}}}},
			{Name: "0.0.0.0_80", Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{
				{Name: "a:80", Rules: []*plan.Rule{claims, operator, plain}}, {Name: "b:80", Rules: []*plan.Rule{costly, plain}},
			}}}}},
			{Name: "0.0.0.0_8080", Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{VirtualHosts: []*plan.VirtualHost{ // warned of once
				{Name: "a:8080", Rules: []*plan.Rule{claims, operator, plain}},
			}}}}},
		},
		Clusters: []*plan.Cluster{{Name: "outbound|80||tls.test", TLS: &plan.UpstreamTLS{Authority: &plan.Credential{Name: "ca"}}}, {Name: "outbound|80||grpc.test", HTTP2: true}},
	}
	served, left := Servable(next, version.Of(version.Default))
	require.Len(t, served.Listeners, 2)
	require.Len(t, served.Clusters, 1)
	require.EqualError(t, left.Err(), `warning: listener 0.0.0.0_443: is left out: it forwards connections: the embedded data plane does not execute it; use --engine envoy
warning: default/a.http[0].match[0]: matches on the claim a.b of a JWT: there are no tokens here, so that no claim has a value, as in an Envoy without a JWT filter
warning: default/a.http[1].match[0]: answers 503: %UPSTREAM_HOST% in a header operation: the embedded data plane does not execute it; use --engine envoy
warning: virtual host b:80: answers 503: the regular expressions for the path, the first of them in default/a.http[3].match[0], have too many states for an automaton, so a long value could cost too much; use --engine envoy
warning: cluster outbound|80||tls.test: is left out, and its requests get 503: authority ca: it has no certificate in PEM`)

	hosts := served.Listeners[0].Chains[0].Routes.VirtualHosts
	require.Len(t, hosts, 2)
	require.Same(t, claims, hosts[0].Rules[0])
	require.Same(t, plain, hosts[0].Rules[2])
	instead := hosts[0].Rules[1]
	require.Equal(t, operator.Match, instead.Match, "it takes the same requests")
	require.Equal(t, uint32(503), instead.DirectResponse.Status)
	require.NotEqual(t, operator.Outcomes, instead.Outcomes)
	require.True(t, instead.ResponseHeaders.Empty())
	require.Len(t, hosts[1].Rules, 1)
	require.True(t, hosts[1].Rules[0].Match.Unconditional)
	require.Equal(t, uint32(503), hosts[1].Rules[0].DirectResponse.Status)
	require.NoError(t, served.CheckIDs())
	require.Equal(t, uint32(200), operator.DirectResponse.Status, "the plan itself is not changed")
}
