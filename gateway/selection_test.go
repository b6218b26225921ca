package gateway_test

import "testing"

// Which VirtualServices apply to a Gateway, and to which hosts (sections 1.1 to 1.4).
func TestSelection(t *testing.T) {
	check(t, everything, []fact{
		{"without gateways a VirtualService is for the mesh alone (VS-SEL-01)",
			object("VirtualService", "a", "hosts: [a.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => kind=no_route domain=*"}},
		{"mesh beside a Gateway takes nothing from it (VS-SEL-01)",
			object("VirtualService", "a", "gateways: [mesh, gw]\nhosts: [a.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => kind=route"}},
		{"a Gateway's name is short, full, with a dot for the own namespace where validation does not look (VAL-VS-03), or in the old form (VS-SEL-02)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "b", "gateways: [mesh, ./gw]\nhosts: [b.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "other/c", "gateways: [default/gw]\nhosts: [c.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "other/d", "gateways: [gw.default.svc.cluster.local]\nhosts: [d.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "other/e", "gateways: [gw]\nhosts: [e.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => kind=route", "b.com/ => kind=route", "c.com/ => kind=route", "d.com/ => kind=route", "e.com/ => kind=no_virtual_host"}},
		{"exportTo is asked with the namespace of the proxy, not of the Gateway (VS-SEL-03, VS-SEL-06)",
			routed("a", "a.com", "exportTo: [.]") + routed("b", "b.com", "exportTo: [istio-system]") +
				routed("c", "c.com", "exportTo: ['*']") + routed("istio-system/d", "d.com", "exportTo: [.]") + routed("e", "e.com", "exportTo: [other]"),
			[]string{"a.com/ => kind=no_virtual_host", "b.com/ => kind=route", "c.com/ => kind=route", "d.com/ => kind=route", "e.com/ => kind=no_virtual_host"}},
		{"a Gateway that is nowhere makes a VirtualService inert (VS-SEL-07)",
			object("VirtualService", "a", "gateways: [nowhere]\nhosts: [a.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => kind=no_route domain=*"}},
		{"short names of hosts and destinations are those of services beside the VirtualService (VS-NAME-01, VS-NAME-03)",
			object("VirtualService", "shop/a", "gateways: [default/gw]\nhosts: [reviews]\nhttp: [{route: [{destination: {host: ratings}}], mirror: {host: copy}}]"),
			[]string{"reviews.shop.svc.cluster.local/ => clusters.0.name=outbound|80||ratings.shop.svc.cluster.local mirrors.0.cluster=outbound|80||copy.shop.svc.cluster.local",
				"reviews/ => kind=no_virtual_host"}},
		{"a name with a dot stays as it is, even where it looks like a service of another namespace (VS-NAME-02)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [10.0.0.1]\nhttp: [{route: [{destination: {host: reviews.default}}]}]"),
			[]string{"10.0.0.1/ => domain=10.0.0.1 clusters.0.name=outbound|80||reviews.default"}},
	})
}

// Hosts of servers and of VirtualServices, and what a request's host finds (sections 1.3 and 1.4).
func TestHosts(t *testing.T) {
	check(t, "", []fact{
		{"a wildcard covers any depth, but not the bare name, and something must stand for the star (VS-HOST-01, VS-GW-05)",
			everything + routed("a", "'*.foo.com'", ""),
			[]string{"a.foo.com/ => domain=*.foo.com", "a.b.foo.com/ => domain=*.foo.com", "foo.com/ => kind=no_virtual_host", ".foo.com/ => kind=no_virtual_host"}},
		{"a star may be followed by any suffix (VS-HOST-01)", everything + routed("a", "'*-foo.com'", ""),
			[]string{"a-foo.com/ => kind=route", "foo.com/ => kind=no_virtual_host"}},
		{"the narrower host of server and VirtualService is served (VS-GW-02, VS-HOST-02)",
			server("gw", "80/HTTP", "'*.foo.com', a.org", "") + routed("a", "a.foo.com, '*.org'", ""),
			[]string{"a.foo.com/ => domain=a.foo.com", "b.foo.com/ => kind=no_virtual_host", "a.org/ => domain=a.org", "b.org/ => kind=no_virtual_host"}},
		{"hosts are compared as they are written, and served in lower case (VS-HOST-04, VS-GW-03)",
			server("gw", "80/HTTP", "Foo.com, Bar.com", "") + routed("a", "foo.com, Bar.com", ""),
			[]string{"foo.com/ => kind=no_virtual_host", "bar.com/ => domain=bar.com", "BAR.com/ => domain=bar.com"}},
		{"an exact host wins over the longest wildcard, that one over shorter ones, and the star comes last (VS-GW-05)",
			everything + routed("a", "'*'", "") + routed("b", "'*.com'", "") + routed("c", "'*.foo.com'", "") + routed("d", "x.foo.com", ""),
			[]string{"x.foo.com/ => domain=x.foo.com", "y.foo.com/ => domain=*.foo.com", "y.com/ => domain=*.com", "y.org/ => domain=*", "/ => domain=*"}},
		{"a port in the host does not matter, and is sent on (VS-GW-04)", everything + routed("a", "a.com", ""),
			[]string{"a.com:8080/ => domain=a.com clusters.0.upstream.authority=a.com:8080"}},
		{"the virtual host is chosen once: a wildcard does not help out (VS-GW-06, VS-GW-07)",
			everything + routed("wild", "'*'", "") +
				object("VirtualService", "exact", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {exact: /x}}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/x => kind=route", "a.com/y => kind=no_route status=404 domain=a.com", "b.com/y => kind=route"}},
		{"a wildcard and a name meet where the server has but the name (VS-GW-07)",
			server("gw", "80/HTTP", "a.org", "") + routed("wild", "'*.org'", "") +
				object("VirtualService", "exact", "gateways: [gw]\nhosts: [a.org]\nhttp: [{match: [{uri: {exact: /x}}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.org/x => route.virtualService=default/exact", "a.org/y => route.virtualService=default/wild"}},
		{"rules that are for another port leave no virtual host, so that a wildcard helps out (VS-GW-08, VS-STAT-04)",
			everything + routed("wild", "'*'", "") +
				object("VirtualService", "exact", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{port: 81}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => domain=* route.virtualService=default/wild"}},
		{"a port without any virtual host answers 404 to everything (VS-GW-09, VS-GW-10)", everything,
			[]string{"a.com/ => kind=no_route status=404 domain=* routeConfig=http.80"}},
		{"a VirtualService that two servers reach has its rules twice (VS-GW-11)",
			server("gw", "80/HTTP", "'*'", "") + server("gw2", "80/HTTP", "'*'", "") +
				object("VirtualService", "a", "gateways: [gw, gw2]\nhosts: ['*']\nhttp: [{match: [{uri: {exact: /x}}], route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "b", "gateways: [gw, gw2]\nhosts: ['*']\nhttp: [{match: [{uri: {exact: /y}}], route: [{destination: {host: y.svc}}]}]"),
			[]string{"a.com/x => route.index=0", "a.com/y => route.index=1"}},
		{"of two ports of a Gateway that are one to the proxy, the first that suits a VirtualService counts (VS-GW-12)",
			object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [x.com]}, {port: {number: 81, name: b, protocol: HTTP}, hosts: [x.com]}]") +
				object("Service", "istio-system/in", "selector: {istio: ingressgateway}\nports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]") +
				object("VirtualService", "a", "gateways: [gw]\nhosts: [x.com]\nhttp: [{match: [{uri: {exact: /any}}], route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "b", "gateways: [gw]\nhosts: [x.com]\nhttp: [{match: [{port: 81}], route: [{destination: {host: y.svc}}]}]"),
			[]string{"@port:8080 x.com/any => clusters.0.name=outbound|80||x.svc", "@port:8080 x.com/ => clusters.0.name=outbound|81||y.svc", "@port:80 x.com/ => kind=no_listener"}},
		{"server hosts carry the namespace that may use them (VS-GW-01)",
			server("gw", "80/HTTP", "./a.com, other/b.com, '*/c.com', d.com", "") +
				routed("mine", "a.com, b.com, c.com, d.com", "") +
				object("VirtualService", "other/theirs", "gateways: [default/gw]\nhosts: [a.com, b.com]\nhttp: [{route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/ => route.virtualService=default/mine", "b.com/ => route.virtualService=other/theirs", "c.com/ => kind=route", "d.com/ => kind=route"}},
		{"one host of */* makes a server's whole list the star (VS-GW-01)",
			server("gw", "80/HTTP", "other/a.com, '*/*'", "") + routed("a", "b.com", ""),
			[]string{"b.com/ => kind=route"}},
	})
}

// The order of rules (VS-ORD).
func TestOrder(t *testing.T) {
	rule := func(name, uri string) string {
		return object("VirtualService", name, "gateways: [default/gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {prefix: "+uri+"}}], route: [{destination: {host: x.svc}}]}]")
	}
	check(t, everything, []fact{
		{"age decides, then the name, then the namespace (VS-SEL-05, VS-ORD-01)",
			rule("z/b@2024-01-01", "/a") + rule("a@2024-01-02", "/ab") + rule("a/b@2024-01-01", "/a") + rule("c@2024-01-01", "/a"),
			[]string{"a.com/abc => route.virtualService=a/b route.index=0"}},
		{"a newer private VirtualService is before an older public one, one for the namespace between (VS-SEL-04)",
			rule("public@2020-01-01", "/a") + object("VirtualService", "given@2021-01-01", "gateways: [gw]\nhosts: [a.com]\nexportTo: [istio-system]\nhttp: [{match: [{uri: {prefix: /ab}}], route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "istio-system/private@2022-01-01", "gateways: [default/gw]\nhosts: [a.com]\nexportTo: [.]\nhttp: [{match: [{uri: {prefix: /abc}}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/abc => route.virtualService=istio-system/private route.index=0", "a.com/ab => route.virtualService=default/given route.index=1", "a.com/a => route.virtualService=default/public route.index=2"}},
		{"an older prefix hides a younger, longer one; but a catch-all is tried last (VS-ORD-02, VS-ORD-07)",
			rule("a", "/api") + rule("b", "/api/v2") + rule("c", "/") + rule("d", "/x"),
			[]string{"a.com/api/v2 => route.virtualService=default/a", "a.com/x => route.virtualService=default/d route.index=2", "a.com/y => route.virtualService=default/c route.index=3"}},
		{"the regex .* is a catch-all as well; with a method, nothing is (VS-ORD-03)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {regex: '.*'}}], route: [{destination: {host: x.svc}}]}]") +
				object("VirtualService", "b", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {prefix: /}, method: {exact: GET}}], route: [{destination: {host: x.svc}}]}]") + rule("c", "/x"),
			[]string{"GET a.com/x => route.virtualService=default/b", "PUT a.com/x => route.virtualService=default/c", "PUT a.com/y => route.virtualService=default/a"}},
		{"the empty prefix and the regex /.* take everything and stay where they are (VS-ORD-06)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {prefix: ''}, method: {exact: PUT}}, {uri: {regex: '/.*'}}, {uri: {prefix: /x}}], route: [{destination: {host: x.svc}}]}]") + rule("b", "/x"),
			[]string{"a.com/x => route.virtualService=default/a route.index=1", "PUT a.com/x => route.index=0"}},
		{"after a catch-all a VirtualService ends, other matches of the rule included; others go on (VS-ORD-04)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{uri: {exact: /1}}, {uri: {prefix: /}}, {uri: {exact: /2}}], route: [{destination: {host: x.svc}}]}, {match: [{uri: {exact: /3}}], route: [{destination: {host: x.svc}}]}]") + rule("b", "/3"),
			[]string{"a.com/1 => route.index=0", "a.com/2 => route.index=2", "a.com/3 => route.virtualService=default/b route.index=1"}},
		{"a match with nothing but a port is a catch-all, too (VS-ORD-05)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{match: [{port: 80, name: 'n'}], route: [{destination: {host: x.svc}}]}, {match: [{uri: {exact: /3}}], route: [{destination: {host: y.svc}}]}]"),
			[]string{"a.com/3 => clusters.0.name=outbound|80||x.svc"}},
		{"a rule's name is followed by its match's, after a dot in any case (VS-ORD-08)",
			object("VirtualService", "a", "gateways: [gw]\nhosts: [a.com]\nhttp: [{name: r, match: [{name: m, uri: {exact: /1}}, {uri: {exact: /2}}], route: [{destination: {host: x.svc}}]}, {match: [{name: m, uri: {exact: /3}}], route: [{destination: {host: x.svc}}]}]"),
			[]string{"a.com/1 => route.name=r.m", "a.com/2 => route.name=r", "a.com/3 => route.name=.m"}},
	})
}
