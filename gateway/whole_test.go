package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// whole translates resources for all proxies that they are about.
func whole(t *testing.T, resources string) *gateway.Whole {
	t.Helper()
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(resources)}, version.All)
	require.Empty(t, in.Findings)
	w := gateway.All(in.Set, translate.Options{})
	require.NotNil(t, w.Plan)
	return w
}

func TestVirtualServicesAloneAreEnough(t *testing.T) {
	rules := "http:\n- match: [{uri: {prefix: /a}, sourceLabels: {app: x}}]\n  route: [{destination: {host: s, subset: v2}}]\n- match: [{uri: {prefix: /a}}]\n  route: [{destination: {host: s}}]"
	for name, c := range map[string]struct {
		resources, authority string
		kind                 verdict.Kind
		assumed              []string
	}{
		"a Gateway that is not there serves every host on port 80": {
			object("VirtualService", "a", "hosts: [a.test]\ngateways: [istio-system/public]\n"+rules), "a.test", verdict.Route,
			[]string{"Gateway istio-system/public: not among the files; taken to serve every host on port 80", "Service s.default.svc.cluster.local: not among the files; taken to be there, with the ports and subsets that rules name"},
		},
		"a VirtualService without Gateways is looked at on the mesh, for each workload that its matches name": {
			object("VirtualService", "a", "hosts: [b]\n"+rules), "b.default.svc.cluster.local", verdict.Differs,
			[]string{"Service s.default.svc.cluster.local: not among the files; taken to be there, with the ports and subsets that rules name", "Service b.default.svc.cluster.local: not among the files; taken to serve HTTP on port 80 of the mesh"},
		},
		"what is there is not assumed": {
			server("public", "80/HTTP", "'*'", "") + object("Service", "s", "ports: [{name: http, port: 80}]") + object("VirtualService", "a", "hosts: [a.test]\ngateways: [public]\n"+rules), "a.test", verdict.Route, nil,
		},
		"a host without rules is taken by what a sidecar does with any other host": {
			object("VirtualService", "a", "hosts: [b]\n"+rules), "other.test", verdict.Route,
			[]string{"Service s.default.svc.cluster.local: not among the files; taken to be there, with the ports and subsets that rules name", "Service b.default.svc.cluster.local: not among the files; taken to serve HTTP on port 80 of the mesh"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := whole(t, c.resources)
			assert.Equal(t, c.assumed, w.Assumed)
			j, err := verdict.New(w.Plan, effect.Intake{})
			require.NoError(t, err)
			assert.Equal(t, c.kind, j.Decide(verdict.Request{Authority: c.authority, Path: "/a"}).Kind)
			assert.Equal(t, c.kind, j.Decide(verdict.Request{Authority: c.authority, Path: "/a", GatewayPort: 80}).Kind)
		})
	}
}

func TestAllProxiesThatGatewaysSelect(t *testing.T) {
	inner := strings.ReplaceAll(server("inner", "81/HTTP", "'*'", ""), "istio: ingressgateway", "istio: inner")
	require.Contains(t, inner, "istio: inner")
	w := whole(t, server("public", "80/HTTP", "'*'", "")+inner+object("Service", "s", "ports: [{name: http, port: 80}]")+
		object("VirtualService", "a", "hosts: [a.test]\ngateways: [public, inner]\nhttp:\n- route: [{destination: {host: s}}]")+
		object("VirtualService", "b", "hosts: [b.test]\ngateways: [inner]\nexportTo: [elsewhere]\nhttp:\n- route: [{destination: {host: s}}]"))
	var proxies []string
	for _, l := range w.Plan.Listeners {
		proxies = append(proxies, l.Proxy)
		assert.Len(t, l.Chains[0].Gateways, 1)
	}
	assert.Equal(t, []string{"gateway app=istio-ingressgateway,istio=ingressgateway", "gateway istio=inner"}, proxies)
	require.Len(t, w.Plan.Dropped, 1, "what another proxy uses is not left out")
	assert.Equal(t, plan.DropNotExported, w.Plan.Dropped[0].Code)
	assert.Equal(t, "default/b", w.Plan.Dropped[0].String())
	assert.Empty(t, w.Findings)
}

func TestCertificatesThatAreNotAmongTheFilesAreAssumed(t *testing.T) {
	w := whole(t, server("public", "443/HTTPS", "a.test", "mode: SIMPLE, credentialName: shop"))
	assert.Empty(t, w.Findings)
	assert.Equal(t, []string{"Certificates of 1 server: no Secret is among the files; taken to be there"}, w.Assumed)
}

func TestComparedSetsAreLookedAtOnTheSameProxies(t *testing.T) {
	service := object("Service", "s", "ports: [{name: http, port: 80}]")
	load := func(text string) *resource.Set {
		return gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All).Set
	}
	old, now := gateway.Pair(load(service), load(service+object("VirtualService", "a", "hosts: [s]\nhttp:\n- route: [{destination: {host: s}}]")), translate.Options{})
	require.Len(t, old.Plan.Listeners, 1, "the mesh is looked at before there were rules for it")
	assert.Equal(t, old.Plan.Listeners[0].Name, now.Plan.Listeners[0].Name)
}
