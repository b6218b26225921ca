package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
)

// What cannot be checked, since the files do not have what is named, is one notice, and never a warning for each name.
func TestNotes(t *testing.T) {
	const (
		mesh     = "notice: there is no Gateway, and the rules of 2 VirtualServices are for sidecars; waymark translate -o plan --proxy sidecar shows what one does with them"
		gateways = "notice: there is no Gateway, so gateways and hosts of VirtualServices are not checked (1 VirtualService)"
		services = "notice: there is no Service or ServiceEntry, so names of destinations are not checked "
		to       = "\nhttp: [{route: [{destination: {host: web}}]}]"
		answer   = "\nhttp: [{directResponse: {status: 200}}]"
	)
	rules := func(key, spec string) string { return object("VirtualService", key, spec) }
	web := object("Service", "default/web", "ports: [{port: 80, name: http}]")
	for what, c := range map[string]struct {
		yaml string
		want []string
	}{
		"all is there":            {everything + web + rules("a", "hosts: [a.com]\ngateways: [gw]"+to), nil},
		"for sidecars":            {web + rules("a", "hosts: [web]"+to) + rules("b", "hosts: [web]\ngateways: [mesh]"+to), []string{mesh}},
		"for Gateways":            {web + rules("a", "hosts: [a.com]\ngateways: [gw]"+to), []string{gateways}},
		"for both":                {web + rules("a", "hosts: [a.com]\ngateways: [gw, mesh]"+to), []string{gateways}},
		"for sidecars beside one": {everything + web + rules("a", "hosts: [web]\ngateways: [mesh]"+to), nil},
		"a delegate":              {web + rules("a", to[1:]), nil},
		"no Service": {everything + rules("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{route: [{destination: {host: web}}], mirror: {host: web.default.svc.cluster.local}, mirrors: []}]") +
			rules("b", "hosts: [b.com]\ngateways: [gw]\nhttp: [{route: [{destination: {host: web}}], mirrors: [{destination: {host: copy}}]}]") +
			rules("c", "hosts: [c.com]\ngateways: [gw]\ntcp: [{route: [{destination: {host: tcp}}]}]\ntls: [{match: [{sniHosts: [c.com]}], route: [{destination: {host: tls}}]}]"),
			[]string{services + "(4 hosts)"}},
		"no Service, one host": {everything + rules("a", "hosts: [a.com]\ngateways: [gw]"+to), []string{services + "(1 host)"}},
		"a ServiceEntry":       {everything + object("ServiceEntry", "default/e", "hosts: [e.test]\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: DNS") + rules("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{route: [{destination: {host: e.test}}]}]"), nil},
		"no destinations":      {everything + rules("a", "hosts: [a.com]\ngateways: [gw]"+answer), nil},
		"no rules":             {everything + web, nil},
		"nothing to check":     {web, []string{"error: there is nothing to check: no Gateway, VirtualService, DestinationRule, ServiceEntry or WorkloadEntry of Istio is here"}},
	} {
		r := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.yaml)}, version.All)
		r.Plans()
		var got []string
		for _, f := range r.Other {
			got = append(got, f.String())
		}
		assert.Equal(t, c.want, got, what)
	}
}
