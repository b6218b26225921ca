package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
)

// Servers, their ports and their merging (sections 8.1 to 8.4).
func TestServers(t *testing.T) {
	terminated := "mode: SIMPLE, credentialName: c"
	at := func(gw, hosts string) string {
		return object("VirtualService", "to-"+gw, "gateways: [default/"+gw+"]\nhosts: ["+hosts+"]\nhttp: [{route: [{destination: {host: "+gw+".svc}}]}]")
	}
	check(t, "", []fact{
		{"a Gateway that selects other proxies is not used (GW-SEL-01)",
			object("Gateway", "gw", "selector: {istio: egressgateway}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*']}]") + routed("a", "'*'", ""), []string{"x/ => kind=no_listener"}},
		{"one without a selector is every proxy's (GW-SEL-01)", object("Gateway", "gw", "servers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*']}]") + routed("a", "'*'", ""), []string{"x/ => kind=route"}},
		{"the Service that selects the proxy says which port is bound; rules speak of the declared one (GW-PORT-01)",
			everything + object("Service", "istio-system/in", "selector: {istio: ingressgateway}\nports: [{name: a, port: 80, targetPort: 8080}]") + object("Service", "in", "selector: {istio: ingressgateway}\nports: [{name: a, port: 80, targetPort: 9090}]") +
				object("VirtualService", "a", "gateways: [gw]\nhosts: ['*']\nhttp: [{match: [{port: 80}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"@port:8080 x/ => kind=route routeConfig=http.8080 clusters.0.name=outbound|80||x.svc", "x/ => kind=no_listener", "@port:9090 x/ => kind=no_listener"}},
		{"route configurations are named after the bound port, or after the server that ends TLS (GW-RDS-01)",
			object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: web, protocol: grpc}, hosts: ['*']}, {port: {number: 443, name: s, protocol: https}, hosts: ['*'], tls: {"+terminated+"}}]"),
			[]string{"x/ => routeConfig=http.80", "@port:443 @tls x/ => routeConfig=https.443.s.gw.default"}},
		{"protocols of the HTTP family share a port (GW-PROTO-01, GW-PROTO-02, GW-MERGE-01)", server("a", "80/HTTP2", "a.com", "") + server("b", "80/GRPC-Web", "b.com", "") + at("a", "a.com") + at("b", "b.com"),
			[]string{"a.com/ => kind=route", "b.com/ => kind=route"}},
		{"of HTTP and TCP on one port the first stays (GW-MERGE-02)", server("b", "80/HTTP", "'*'", "") + server("a", "80/TCP", "'*'", "") + at("b", "'*'"), []string{"x/ => kind=no_listener"}},
		{"plaintext first keeps TLS out (GW-MERGE-05)", server("a", "443/HTTP", "'*'", "") + server("b", "443/HTTPS", "b.com", terminated) + at("a", "'*'"),
			[]string{"@port:443 x/ => kind=route", "@port:443 @sni:b.com b.com/ => kind=tls_error"}},
		{"TLS servers share a port by server name (GW-MERGE-03, GW-MERGE-06, GW-404-02)",
			server("a", "443/HTTPS", "a.com, '*.foo.com'", terminated) + server("b", "443/HTTPS", "b.com, '*.x.foo.com'", terminated) + at("a", "'*'") + at("b", "'*'"),
			[]string{"@port:443 @sni:a.com a.com/ => routeConfig=https.443.p.a.default clusters.0.name=outbound|443||a.svc", "@port:443 @sni:B.com b.com/ => routeConfig=https.443.p.b.default",
				"@port:443 @sni:y.foo.com y.foo.com/ => routeConfig=https.443.p.a.default", "@port:443 @sni:y.x.foo.com y.x.foo.com/ => routeConfig=https.443.p.b.default",
				"@port:443 @sni:c.com c.com/ => kind=no_filter_chain", "@port:443 @tls a.com/ => kind=no_filter_chain", "@port:443 a.com/ => kind=no_filter_chain"}},
		{"server name and host are not compared (GW-404-03)", server("a", "443/HTTPS", "a.com", terminated) + server("b", "443/HTTPS", "b.com", terminated) + at("a", "a.com") + at("b", "b.com"),
			[]string{"@port:443 @sni:a.com b.com/ => kind=no_virtual_host routeConfig=https.443.p.a.default"}},
		{"one host that is taken keeps a whole TLS server out (GW-MERGE-03)", server("a", "443/HTTPS", "a.com", terminated) + server("b", "443/HTTPS", "a.com, b.com", terminated) + at("b", "b.com"),
			[]string{"@port:443 @sni:b.com b.com/ => kind=no_filter_chain"}},
		{"also of two that redirect on a plain port (GW-MERGE-04)", server("a", "80/HTTP", "a.com", "httpsRedirect: true") + server("b", "80/HTTP", "a.com, b.com", "httpsRedirect: true"),
			[]string{"a.com/ => kind=tls_redirect", "b.com/ => kind=no_virtual_host"}},
		{"a star among the hosts of a TLS server is any name, and none (GW-MERGE-06)", server("a", "443/HTTPS", "a.com, '*'", terminated) + at("a", "'*'"),
			[]string{"@port:443 @sni:z.com z.com/ => kind=route", "@port:443 @tls z.com/ => kind=route", "@port:443 z.com/ => kind=tls_error"}},
		{"a namespace is no part of a server name (GW-MERGE-06)", server("a", "443/HTTPS", "./a.com", terminated) + at("a", "a.com"), []string{"@port:443 @sni:a.com a.com/ => kind=route"}},
		{"an unknown host is a 404 (GW-404-01)", server("gw", "80/HTTP", "a.com", "") + routed("a", "a.com", ""), []string{"b.com/ => kind=no_virtual_host status=404"}},
		{"a trailing dot is another name (GW-HCM-09)", everything + routed("a", "a.com", ""), []string{"a.com./ => kind=no_virtual_host"}},
		{"in a redirect of an HTTPS server 443 is the default port (VS-RED-06)",
			server("gw", "443/HTTPS", "'*'", terminated) + ruled("a", "- {redirect: {uri: /z, derivePort: FROM_REQUEST_PORT}}"), []string{"@port:443 @tls x/ => location=https://x/z"}},
	})
}

// Servers that redirect to https (section 8.5).
func TestHTTPSRedirect(t *testing.T) {
	redirecting := server("gw", "80/HTTP", "a.com, '*.b.com', ./c.com, '*/d.com'", "httpsRedirect: true")
	check(t, "", []fact{
		{"a plain request is sent to https, its host as it is (GW-REDIR-01)", redirecting + routed("a", "a.com", ""),
			[]string{"a.com:80/x?y => kind=tls_redirect status=301 location=https://a.com:80/x?y domain=a.com"}},
		{"also where there is no rule (GW-REDIR-02)", redirecting, []string{"a.com/ => kind=tls_redirect", "x.b.com/ => kind=tls_redirect", "z.com/ => kind=no_virtual_host"}},
		{"a host with a namespace is not redirected unless a VirtualService uses it (GW-REDIR-03)", redirecting, []string{"c.com/ => kind=no_virtual_host", "d.com/ => kind=tls_redirect"}},
		{"... and is if one does (GW-REDIR-03)", redirecting + routed("a", "c.com", ""), []string{"c.com/ => kind=tls_redirect"}},
		{"one of several servers is enough (GW-REDIR-04)", server("gw", "80/HTTP", "a.com", "") + server("gw2", "80/HTTP", "a.com", "httpsRedirect: true") + routed("a", "a.com", ""), []string{"a.com/ => kind=tls_redirect"}},
		{"where TLS has ended it means nothing (GW-REDIR-05)", server("gw", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: c, httpsRedirect: true") + routed("a", "a.com", ""),
			[]string{"@port:443 @sni:a.com a.com/ => kind=route"}},
	})
}

// Servers that do not speak HTTP (section 8.8).
func TestOpaqueServers(t *testing.T) {
	passthrough := server("gw", "443/TLS", "'*.foo.com'", "mode: PASSTHROUGH")
	sni := func(name, hosts, match string) string {
		return object("VirtualService", name, "gateways: [gw]\nhosts: ["+hosts+"]\ntls: [{match: ["+match+"], route: [{destination: {host: x.svc}}]}]")
	}
	check(t, "", []fact{
		{"passthrough serves the names of tls[], not the server's (TLS-02, TLS-03, TLS-05)", passthrough + sni("a", "a.foo.com, b.com", "{sniHosts: [b.com, a.foo.com]}"),
			[]string{"@port:443 @sni:b.com b.com/ => kind=tcp", "@port:443 @sni:c.foo.com c.foo.com/ => kind=no_filter_chain", "@port:443 a.foo.com/ => kind=no_filter_chain"}},
		{"http[] is nothing to it, nor is a tls block without mode another thing (TLS-01, GW-PROTO-03, GW-PROTO-04)", server("gw", "443/HTTPS", "'*.foo.com'", "httpsRedirect: false") + routed("a", "a.foo.com", ""), []string{"@port:443 @sni:a.foo.com a.foo.com/ => kind=no_listener"}},
		{"a match may ask for the port and the Gateway (TLS-02)", passthrough + sni("a", "a.foo.com", "{sniHosts: [a.foo.com], port: 444}, {sniHosts: [a.foo.com], gateways: [other]}"), []string{"@port:443 @sni:a.foo.com a.foo.com/ => kind=no_listener"}},
		{"a VirtualService without a host of the server is not asked (TLS-05)", passthrough + sni("a", "a.com", "{sniHosts: [a.com]}"), []string{"@port:443 @sni:a.com a.com/ => kind=no_listener"}},
		{"a name that is taken keeps a whole match out (TLS-04)", passthrough + sni("a", "a.foo.com", "{sniHosts: [a.foo.com]}") + sni("b", "a.foo.com, b.foo.com", "{sniHosts: [b.foo.com, a.foo.com]}"),
			[]string{"@port:443 @sni:a.foo.com x/ => kind=tcp", "@port:443 @sni:b.foo.com x/ => kind=no_filter_chain"}},
		{"TCP goes by the first VirtualService with a rule for port and Gateway (TCP-01)", server("gw", "80/TCP", "'*'", "") +
			object("VirtualService", "a", "gateways: [gw]\nhosts: ['*']\ntcp: [{match: [{port: 81}], route: [{destination: {host: x.svc}}]}, {match: [{port: 80}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"x/ => kind=tcp", "@tls x/ => kind=tcp"}},
		{"without one there is no listener (TCP-02)", server("gw", "80/TCP", "'*'", "") + routed("a", "'*'", ""), []string{"x/ => kind=no_listener"}},
		{"TLS that ends before TCP has the server's names (GW-PROTO-03)", server("gw", "443/TLS", "a.com", "mode: SIMPLE, credentialName: c") + object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\ntcp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"@port:443 @sni:a.com x/ => kind=tcp", "@port:443 @sni:b.com x/ => kind=no_filter_chain"}},
	})
}

// GW-PORT-03, GW-MERGE-02: servers that bind different addresses do not meet.
func TestBinds(t *testing.T) {
	bound := func(name, bind, protocol string) string {
		return object("Gateway", name, "selector: {istio: ingressgateway}\nservers: [{bind: "+bind+", port: {number: 80, name: p, protocol: "+protocol+"}, hosts: ['*']}]")
	}
	p, _ := translated(t, bound("a", "10.0.0.1", "HTTP")+bound("b", "10.0.0.2", "TCP")+bound("c", "10.0.0.3", "HTTP")+
		object("VirtualService", "a", "gateways: [b]\nhosts: ['*']\ntcp: [{route: [{destination: {host: x.svc}}]}]"), translate.Options{})
	var names []string
	for _, l := range p.Listeners {
		names = append(names, l.Name)
	}
	assert.Equal(t, []string{"10.0.0.1_80", "10.0.0.2_80", "10.0.0.3_80"}, names)
	assert.Equal(t, "http.80.10.0.0.1", p.Listeners[0].Chains[0].Routes.Name)
}

// GW-MERGE-03, TCP-07: a server that is left out is named.
func TestServersLeftOut(t *testing.T) {
	_, problems := translated(t, server("a", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: c")+server("b", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: c")+
		server("c", "444/TLS", "'*.local'", "mode: AUTO_PASSTHROUGH"), translate.Options{})
	var all []string
	for _, p := range problems {
		all = append(all, string(p.Severity)+" "+p.Object+" "+p.Field)
	}
	assert.Subset(t, all, []string{"warning Gateway default/b spec.servers[0].hosts", "warning Gateway default/c spec.servers[0].tls.mode"})
}

// The destinations of connections have short names, too.
func TestShortNamesOfConnections(t *testing.T) {
	p, _ := translated(t, server("gw", "9000/TCP", "'*'", "")+server("sni", "9443/TLS", "'*'", "mode: PASSTHROUGH")+
		object("VirtualService", "shop/a", "gateways: [default/gw, default/sni]\nhosts: ['*.com']\n"+
			"tcp: [{match: [{port: 9000}], route: [{destination: {host: db}}]}]\n"+
			"tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: web}, weight: 1}, {destination: {host: web.svc}, weight: 1}]}]"), translate.Options{})
	var clusters []string
	for _, l := range p.Listeners {
		for _, d := range l.Chains[0].TCP.Destinations {
			clusters = append(clusters, d.Cluster)
		}
	}
	assert.Equal(t, []string{"outbound|9000||db.shop.svc.cluster.local", "outbound|9443||web.shop.svc.cluster.local", "outbound|9443||web.svc"}, clusters, "VS-NAME-01")
}
