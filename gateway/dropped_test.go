package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// TestDropped wants a trace of everything that is left out, with what takes its place.
func TestDropped(t *testing.T) {
	to := func(match string) string {
		if match != "" {
			match = "match: [" + match + "], "
		}
		return "- {" + match + "route: [{destination: {host: x.svc}}]}\n"
	}
	delegating := func(match string) string {
		return "- {" + match + "delegate: {name: leaf}}\n"
	}
	leaf := func(more, http string) string { return object("VirtualService", "leaf", more+"http:\n"+http) }
	tcp := func(name, gateways, rules string) string {
		return object("VirtualService", name, "gateways: ["+gateways+"]\nhosts: ['*']\n"+rules)
	}
	passthrough := server("gw", "443/TLS", "'*'", "mode: PASSTHROUGH")
	for what, c := range map[string]struct {
		resources string
		proxy     translate.ProxyType
		want      []string // origin code [by]
	}{
		"a match for another port (VS-STAT-01)": {everything + ruled("a", to("{port: 80, uri: {prefix: /a}}, {port: 7}")), "",
			[]string{"VirtualService default/a.http[0].match[1] port"}},
		"a match for another Gateway (VS-STAT-02)": {everything + ruled("a", to("{gateways: [mesh]}")+to("")), "",
			[]string{"VirtualService default/a.http[0].match[0] gateway"}},
		"a match for other sources (VS-STAT-03)": {everything + ruled("a", to("{sourceLabels: {a: b}}, {sourceNamespace: other}")+to("")), "",
			[]string{"VirtualService default/a.http[0].match[0] source-labels", "VirtualService default/a.http[0].match[1] source-namespace"}},
		"what stands behind a catch-all (VS-ORD-04)": {everything + ruled("a", to("{uri: {exact: /a}}, {uri: {prefix: /}}, {port: 7}")+to("{uri: {exact: /b}}")+to("")), "",
			[]string{"VirtualService default/a.http[0].match[2] port",
				"VirtualService default/a.http[1].match[0] behind-catch-all default/a.http[0].match[1]", "VirtualService default/a.http[2] behind-catch-all default/a.http[0].match[1]"}},
		"a delegate that is not there (VS-DEL-03)": {everything + ruled("a", delegating("")+to("")), "",
			[]string{"VirtualService default/a.http[0] no-delegate"}},
		"a delegate of another namespace (VS-DEL-03)": {everything + object("VirtualService", "shop/a", "gateways: [default/gw]\nhosts: ['*']\nhttp:\n- {delegate: {name: leaf, namespace: default}}\n"+to("")) + leaf("exportTo: ['.']\n", to("")), "",
			[]string{"VirtualService shop/a.http[0] no-delegate"}},
		"a delegate's rule that contradicts (VS-DEL-05)": {everything + ruled("a", delegating("match: [{uri: {prefix: /a}}], ")) + leaf("", to("{uri: {prefix: /b}}")+to("{uri: {prefix: /a/b}}")), "",
			[]string{"VirtualService default/leaf.http[0] delegate-conflict default/a.http[0]"}},
		"a delegate's match for another port": {everything + ruled("a", delegating("match: [{uri: {prefix: /a}}], ")) + leaf("", to("{uri: {prefix: /a/b}, port: 7}, {uri: {prefix: /a/c}}")), "",
			[]string{"VirtualService default/leaf.http[0].match[0] port"}},
		"a VirtualService that is private elsewhere (VS-SEL-03)": {everything + ruled("a", to("")) + routed("b", "a.com", "exportTo: ['.']"), "",
			[]string{"VirtualService default/b not-exported"}},
		"one that is bound to the mesh alone (VS-SEL-01)": {everything + ruled("a", to("")) + object("VirtualService", "b", "hosts: [a.com]\nhttp:\n"+to("")), "",
			[]string{"VirtualService default/b not-bound"}},
		"one whose hosts no server has (VS-GW-02)": {server("gw", "80/HTTP", "a.com", "") + routed("a", "a.com", "") + routed("b", "b.com", ""), "",
			[]string{"VirtualService default/b no-host"}},
		"a Gateway for others (GW-SEL-01)": {everything + ruled("a", to("")) + object("Gateway", "other", "selector: {a: b}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*']}]"), "",
			[]string{"Gateway default/other not-selected"}},
		"a server whose host is taken (GW-MERGE-03)": {server("a", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: c") + server("b", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: c"), "",
			[]string{"Gateway default/b.servers[0] server-conflict default/a.servers[0]"}},
		"a server of another protocol (GW-MERGE-02)": {everything + ruled("a", to("")) + server("late", "80/TCP", "'*'", ""), "",
			[]string{"Gateway default/late.servers[0] server-conflict default/gw.servers[0]"}},
		"plain text behind TLS (GW-MERGE-05)": {server("a", "443/TLS", "a.com", "mode: PASSTHROUGH") + server("b", "443/TCP", "b.com", "") + server("c", "443/TCP", "b.com", "") + tcp("v", "a, b", "tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: x.svc}}]}]\ntcp: [{route: [{destination: {host: x.svc}}]}]"), "",
			[]string{"Gateway default/c.servers[0] server-conflict default/a.servers[0]"}},
		"a server of a mode that is not translated (TCP-07)": {server("gw", "443/TLS", "'*.local'", "mode: AUTO_PASSTHROUGH"), "",
			[]string{"Gateway default/gw.servers[0] unsupported"}},
		"a server of TCP without rule (TCP-02)": {server("gw", "80/TCP", "'*'", ""), "",
			[]string{"Gateway default/gw.servers[0] no-rule"}},
		"a rule of TCP behind another (TCP-01)": {server("gw", "80/TCP", "'*'", "") + tcp("a", "gw", "tcp: [{match: [{port: 7}], route: [{destination: {host: x.svc}}]}, {route: [{destination: {host: x.svc}}]}, {route: [{destination: {host: x.svc}}]}]") + tcp("b", "gw", "tcp: [{route: [{destination: {host: x.svc}}]}]"), "",
			[]string{"VirtualService default/a.tcp[0] port", "VirtualService default/a.tcp[2] host-taken default/a.tcp[1]", "VirtualService default/b.tcp[0] host-taken default/a.tcp[1]"}},
		"a rule of TCP that one of two servers takes": {server("gw", "80/TCP", "'*'", "") + server("two", "90/TCP", "'*'", "") + tcp("a", "gw, two", "tcp: [{match: [{port: 80}], route: [{destination: {host: x.svc}}]}, {match: [{port: 90}], route: [{destination: {host: x.svc}}]}]"), "", nil},
		"a server name that is taken (TLS-04)": {passthrough + tcp("a", "gw", "tls: [{match: [{sniHosts: [a.com]}, {sniHosts: [b.com, a.com]}, {sniHosts: [c.com], port: 7}], route: [{destination: {host: x.svc}}]}]"), "",
			[]string{"VirtualService default/a.tls[0].match[1] host-taken default/a.tls[0].match[0]", "VirtualService default/a.tls[0].match[2] port"}},
		"a host that another one has in the mesh (VS-MESH-01)": {entry("e", "a.com", "", 80) + object("VirtualService", "a", "hosts: [a.com]\nhttp:\n"+to("")) + object("VirtualService", "b", "hosts: [a.com]\nhttp:\n"+to("")), translate.SidecarProxy,
			[]string{"VirtualService default/b host-taken default/a"}},
		"a match for another port of the mesh": {entry("e", "a.com", "", 80) + object("VirtualService", "a", "hosts: [a.com]\nhttp:\n"+to("{port: 7}")+to("")), translate.SidecarProxy,
			[]string{"VirtualService default/a.http[0].match[0] port"}},
		"one that is bound to a Gateway, seen by a sidecar": {entry("e", "a.com", "", 80) + routed("a", "a.com", ""), translate.SidecarProxy,
			[]string{"VirtualService default/a not-bound"}},
		"one whose hosts are no service, without a listener on port 80 (VS-MESH-03)": {entry("e", "a.com", "", 90) + object("VirtualService", "a", "hosts: [b.com]\nhttp:\n"+to("")), translate.SidecarProxy,
			[]string{"VirtualService default/a no-host"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, _ := translated(t, c.resources, translate.Options{Proxy: c.proxy})
			var got []string
			note := func(list []plan.Dropped) {
				for _, d := range list {
					line := d.Origin.Kind + " " + d.Origin.String() + " " + string(d.Code)
					if d.By.Kind != "" {
						line += " " + d.By.String()
					}
					got = append(got, line)
					assert.NotZero(t, d.Source.Line, line)
				}
			}
			note(p.Dropped)
			for rc := range p.RouteConfigs() {
				note(rc.Dropped)
			}
			assert.ElementsMatch(t, c.want, got, strings.Join(got, "\n"))
		})
	}
}
