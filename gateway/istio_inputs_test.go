package gateway_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// Inputs of Istio's own tests, with what these tests expect: of a route configuration the virtual hosts, their domains,
// how many rules they have and whether they redirect to https (pilot/pkg/networking/core/gateway_test.go,
// TestGatewayHTTPRouteConfig).
func TestIstioGatewayHTTPRouteConfig(t *testing.T) {
	const (
		redirect = "httpsRedirect: true"
		simple   = "mode: SIMPLE, credentialName: c"
	)
	plain := server("gateway", "80/HTTP", "example.org", "")
	redirecting := server("gateway-redirect", "80/HTTP", "example.org", redirect)
	unused := server("gateway-redirect-noroutes", "80/HTTP", "example.org", redirect)
	vs := func(name, host, gateways, match string) string {
		return object("VirtualService", name, "hosts: ['"+host+"']\ngateways: ["+gateways+"]\nhttp: [{"+match+"route: [{destination: {host: example.org, port: {number: 80}}}]}]")
	}
	one := vs("virtual-service", "example.org", "gateway, gateway-redirect", "")
	two := vs("virtual-service-copy", "example.org", "gateway, gateway-redirect", "")
	https := func(first, second, tls string) string {
		return object("Gateway", "gateway-https", "selector: {istio: ingressgateway}\nservers:\n- {hosts: ["+first+"], port: {name: http, number: 80, protocol: HTTP}, tls: {httpsRedirect: true}}\n"+
			"- {hosts: ["+second+"], port: {name: https, number: 443, protocol: HTTPS}, tls: {"+tls+"}}") + vs("virtual-service-https", "example.org", "gateway-https", "match: [{port: 443}], ")
	}
	for _, c := range []struct {
		sentence, resources, routes, want string
	}{
		{"404 when no services", plain, "http.80", "blackhole:80 [*] 0 false"},
		{"tls redirect without virtual services", unused + one, "http.80", "example.org:80 [example.org] 0 true"},
		{"virtual services with tls redirect", redirecting + one, "http.80", "example.org:80 [example.org] 1 true"},
		{"merging of virtual services when tls redirect is set", redirecting + plain + one + two, "http.80", "example.org:80 [example.org] 4 true"},
		{"merging of virtual services when tls redirect is set without VS", plain + unused + one + two, "http.80", "example.org:80 [example.org] 2 true"},
		{"duplicate virtual service should merge", plain + one + two, "http.80", "example.org:80 [example.org] 2 false"},
		{"duplicate virtual service case insensitive", plain + server("case-insensitive-gateway", "80/HTTP", "Example.org", "") + one +
			vs("virtual-service-case-insensitive", "Example.org", "case-insensitive-gateway, gateway-redirect", ""), "http.80", "example.org:80 [example.org] 2 false"},
		{"duplicate by wildcard should merge", plain + one + vs("virtual-service-wildcard", "*.org", "gateway, gateway-redirect", ""), "http.80", "example.org:80 [example.org] 2 false"},
		{"wildcard virtual service", server("gateway", "80/HTTP", "'*'", "") + vs("virtual-service-wildcard", "*.org", "gateway", ""), "http.80", "*.org:80 [*.org] 1 false"},
		{"http redirection when virtualservice does not match the http port: https", https("Example.org", "example.org", simple), "https.443.https.gateway-https.default", "example.org:443 [example.org] 1 false"},
		{"http redirection when virtualservice does not match the http port: http", https("Example.org", "example.org", simple), "http.80", "example.org:80 [example.org] 0 true"},
		{"http & https redirection: https", https("example.org", "example.org", redirect+", "+simple), "https.443.https.gateway-https.default", "example.org:443 [example.org] 1 true"},
		{"http & https redirection: http", https("example.org", "example.org", redirect+", "+simple), "http.80", "example.org:80 [example.org] 0 true"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			p, _ := translated(t, c.resources, translate.Options{})
			rc := routeConfig(p, c.routes)
			require.NotNil(t, rc)
			require.Len(t, rc.VirtualHosts, 1)
			h := rc.VirtualHosts[0]
			assert.Equal(t, c.want, fmt.Sprintf("%s %v %d %v", h.Name, h.Domains, len(h.Rules), h.RequireTLS))
		})
	}
}

func routeConfig(p *plan.Plan, name string) *plan.RouteConfig {
	for rc := range p.RouteConfigs() {
		if rc.Name == name {
			return rc
		}
	}
	return nil
}

// Of listeners, their names (TestBuildGatewayListeners).
func TestIstioBuildGatewayListeners(t *testing.T) {
	servers := func(name, list string) string {
		return object("Gateway", name, "selector: {istio: ingressgateway}\nservers:\n"+list)
	}
	const simple = "tls: {credentialName: test, mode: SIMPLE}"
	for _, c := range []struct {
		sentence, resources string
		want                []string
	}{
		{"targetPort overrides service port", everything + object("Service", "istio-system/test", "selector: {istio: ingressgateway}\nports: [{port: 80, targetPort: 8080}]"), []string{"0.0.0.0_8080"}},
		{"multiple ports", servers("a", "- {port: {name: http, number: 80, protocol: HTTP}, hosts: ['*']}\n- {port: {name: http2, number: 801, protocol: HTTP}, hosts: ['*']}"), []string{"0.0.0.0_80", "0.0.0.0_801"}},
		{"gateway with bind", servers("a", "- {port: {name: a, number: 80, protocol: HTTP}, hosts: ['*']}\n- {port: {name: b, number: 8080, protocol: HTTP}, hosts: [externalgatewayclient.com]}\n- {port: {name: c, number: 8080, protocol: HTTP}, bind: 127.0.0.1, hosts: [internalmesh.svc.cluster.local]}"),
			[]string{"0.0.0.0_80", "0.0.0.0_8080", "127.0.0.1_8080"}},
		{"gateway with simple and passthrough",
			servers("a", "- {port: {name: a, number: 443, protocol: HTTPS}, hosts: ['*.example.com'], "+simple+"}\n- {port: {name: b, number: 80, protocol: HTTP}, hosts: [foo.example.com]}") +
				servers("testns/passthrough-gateway", "- {port: {name: a, number: 443, protocol: HTTPS}, hosts: ['*.example.com'], "+simple+"}\n- {port: {name: tcp, number: 9443, protocol: TLS}, hosts: [barone.example.com], tls: {mode: PASSTHROUGH}}\n- {port: {name: c, number: 80, protocol: HTTP}, hosts: [bar.example.com]}") +
				object("VirtualService", "v", "gateways: [testns/passthrough-gateway]\nhosts: [barone.example.com]\ntls: [{match: [{port: 9443, sniHosts: [barone.example.com]}], route: [{destination: {host: foo.com}}]}]"),
			[]string{"0.0.0.0_443", "0.0.0.0_80", "0.0.0.0_9443"}},
		{"gateway with multiple TLS HTTPS TCP servers",
			servers("testns/gateway1", "- {port: {name: a, number: 443, protocol: TLS}, hosts: ['*.example.com'], "+simple+"}\n- {port: {name: b, number: 443, protocol: HTTPS}, hosts: [https.example.com], "+simple+"}\n- {port: {name: tcp, number: 9443, protocol: TCP}, hosts: [tcp.example.com]}") +
				servers("testns/gateway2", "- {port: {name: http, number: 443, protocol: HTTPS}, hosts: ['*.exampleone.com'], "+simple+"}\n- {port: {name: tcp, number: 443, protocol: TLS}, hosts: ['*.exampleone.com'], "+simple+"}") +
				object("VirtualService", "v", "gateways: [testns/gateway1]\nhosts: [tcp.example.com]\ntcp: [{match: [{port: 9443}], route: [{destination: {host: foo.com}}]}]"),
			[]string{"0.0.0.0_443", "0.0.0.0_9443"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			p, _ := translated(t, c.resources, translate.Options{})
			var names []string
			for _, l := range p.Listeners {
				names = append(names, l.Name)
			}
			assert.ElementsMatch(t, c.want, names)
		})
	}
}

// Of calls, what they reach (pilot/pkg/networking/core/gateway_simulation_test.go).
func TestIstioGatewaySimulation(t *testing.T) {
	at := func(name, gateways, hosts, match, destination string) string {
		return object("VirtualService", name, "hosts: ["+hosts+"]\ngateways: ["+gateways+"]\nhttp: [{match: [{uri: {"+match+"}}], route: [{destination: {"+destination+"}}]}]")
	}
	const (
		tcp  = "80/TCP"
		http = "80/HTTP"
	)
	check(t, "", []fact{
		{"no virtual services", server("default", http, "foo.bar", ""), []string{"foo.bar/ => kind=no_route routeConfig=http.80", "@port:81 foo.bar/ => kind=no_listener"}},
		{"simple http and virtual service", server("gateway", http, "foo.bar", "") + at("bookinfo", "gateway", "'*'", "exact: /productpage", "host: productpage, port: {number: 9080}"),
			[]string{"foo.bar/ => kind=no_route domain=foo.bar routeConfig=http.80", "bad.bar/ => kind=no_virtual_host routeConfig=http.80", "foo.bar/productpage => clusters.0.name=outbound|9080||productpage.default.svc.cluster.local domain=foo.bar"}},
		{"virtual service merging", server("gateway", http, "'*.example.com'", "") + at("a", "gateway", "a.example.com", "prefix: /", "host: a, port: {number: 80}") + at("b", "gateway", "b.example.com", "prefix: /", "host: b, port: {number: 80}"),
			[]string{"a.example.com/ => clusters.0.name=outbound|80||a.default.svc.cluster.local", "b.example.com/ => clusters.0.name=outbound|80||b.default.svc.cluster.local", "c.example.com/ => kind=no_virtual_host"}},
		{"mixed httpsRedirect with routes", server("gateway", http, "example.com", "httpsRedirect: true") + server("gateway2", http, "example.com", "") + at("vs", "gateway", "example.com", "prefix: /", "host: b"),
			[]string{"example.com/ => kind=tls_redirect domain=example.com"}},
		{"httpsRedirect on https", object("Gateway", "gateway", "selector: {istio: ingressgateway}\nservers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [example.com], tls: {httpsRedirect: true, mode: SIMPLE, credentialName: test}}]") + at("vs", "gateway", "example.com", "prefix: /", "host: b"),
			[]string{"@port:443 @sni:example.com example.com/ => routeConfig=https.443.https.gateway.default clusters.0.name=outbound|443||b.default.svc.cluster.local"}},
		{"duplicate cross namespace gateway collision", server("istio-system/gateway", tcp, "foo.bar", "") + server("alpha/gateway", tcp, "foo.bar", "") + object("VirtualService", "bookinfo", "hosts: ['*']\ngateways: [istio-system/gateway]\ntcp: [{route: [{destination: {host: productpage, port: {number: 9080}}}]}]"),
			[]string{"x/ => kind=no_listener"}},
		{"duplicate cross namespace gateway collision - selected first", server("istio-system/gateway", tcp, "foo.bar", "") + server("zeta/gateway", tcp, "foo.bar", "") + object("VirtualService", "bookinfo", "hosts: ['*']\ngateways: [istio-system/gateway]\ntcp: [{route: [{destination: {host: productpage, port: {number: 9080}}}]}]"),
			[]string{"x/ => kind=tcp"}},
		{"duplicate tls virtual service", server("istio-system/ingressgateway", "443/HTTPS", "'*.example.com'", "mode: PASSTHROUGH") +
			object("VirtualService", "vs1", "gateways: [istio-system/ingressgateway]\nhosts: [mysite.example.com]\ntls: [{match: [{port: 443, sniHosts: [mysite.example.com]}], route: [{destination: {host: mysite.default.svc.cluster.local, port: {number: 443}}}]}]") +
			object("VirtualService", "vs2", "gateways: [istio-system/ingressgateway]\nhosts: [mysite.example.com]\ntls: [{match: [{port: 443, sniHosts: [mysite.example.com]}], route: [{destination: {host: mysite.default.svc.cluster.local, port: {number: 443}}}]}]"),
			[]string{"@port:443 @sni:mysite.example.com mysite.example.com/ => kind=tcp"}},
		{"multiple protocols on a port - tcp first", server("alpha", tcp, "foo.bar", "") + server("beta", http, "foo.bar", ""), []string{"x/ => kind=no_listener"}},
		{"multiple protocols on a port - http first", server("beta", tcp, "foo.bar", "") + server("alpha", http, "foo.bar", ""), []string{"foo.bar/ => kind=no_route routeConfig=http.80"}},
		{"multiple wildcards with virtual service disambiguator", server("alpha", http, "ns-1/*.example.com", "") + server("beta", http, "ns-2/*.example.com", "") +
			at("ns-1/default", "default/alpha", "ns-1.example.com", "prefix: /", "host: echo") + at("ns-2/default", "default/beta", "ns-2.example.com", "prefix: /", "host: echo"),
			[]string{"ns-1.example.com/ => clusters.0.name=outbound|80||echo.ns-1.svc.cluster.local", "ns-2.example.com/ => clusters.0.name=outbound|80||echo.ns-2.svc.cluster.local"}},
		{"port translation that is switched off", server("gateway80", http, "example.com", "") + server("gateway8081", "8081/HTTP", "example.com", "") +
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: istio-system, labels: {experimental.istio.io/disable-gateway-port-translation: 'true'}}\nspec: {selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: 8081}]}\n" +
			object("Service", "istio-system/b", "selector: {istio: ingressgateway}\nports: [{port: 80, targetPort: 8080}]") +
			at("a", "gateway80, gateway8081", "example.com", "prefix: /", "host: a, port: {number: 80}"),
			[]string{"@port:8080 example.com/ => routeConfig=http.8080 clusters.0.name=outbound|80||a.default.svc.cluster.local", "@port:8081 example.com/ => routeConfig=http.8081"}},
	})
}

// Of rules, what becomes of them (pilot/pkg/networking/core/route/route_test.go).
func TestIstioBuildHTTPRoutes(t *testing.T) {
	const to = "route: [{destination: {host: '*.example.org', port: {number: 8484}}, weight: 100}]"
	wild := entry("istio-system/example", "*.example.org", "", 8080)
	check(t, everything, []fact{
		{"catch all route", ruled("acme", "- {name: route, match: [{name: non-catch-all, uri: {prefix: /route/v1}}, {name: catch-all, uri: {prefix: /}}], "+to+"}"), []string{"x/route/v1 => route.name=route.non-catch-all", "x/ => route.name=route.catch-all route.index=1"}},
		{"catch all route: port match", ruled("acme", "- {name: route 1, match: [{name: catch-all for 80, port: 80}], "+to+"}\n- {name: route 2, match: [{name: header match, headers: {cookie: {exact: canary}}}], "+to+"}\n- {name: route 3, "+to+"}"),
			[]string{"x/ cookie=canary => route.index=0 route.name=route%201.catch-all%20for%2080"}},
		{"top level catch all route", ruled("acme", "- {match: [{name: headers-only, headers: {version: {exact: v2}}, sourceLabels: {version: v1}}], "+to+"}\n- {"+to+"}"), []string{"x/ version=v2 => route.index=0 route.name=-"}},
		{"multi prefix catch all route", ruled("acme", "- {match: [{name: catch-all, uri: {prefix: /}, sourceLabels: {matchingNoSrc: xxx}}, {name: specific match, uri: {prefix: /a}}], "+to+"}"), []string{"x/a => route.index=0", "x/b => kind=no_route"}},
		{"regex matching on URI", ruled("acme", `- {name: status, match: [{name: status, uri: {regex: '\/(.?)\/status'}}], `+to+"}"), []string{`x/a/status => route.match.safeRegex.regex=\/(.?)\/status`, "x/ab/status => kind=no_route"}},
		{"regex matching on header", ruled("acme", `- {match: [{name: auth, headers: {Authentication: {regex: 'Bearer .+?\..+?\..+?'}}}], `+to+"}"), []string{"x/ authentication=Bearer%20a.b.c => kind=route", "x/ authentication=Bearer%20a.b => kind=no_route"}},
		{"regex matching on without_header", ruled("acme", `- {match: [{withoutHeaders: {FOO-HEADER: {regex: 'BAR .+?\..+?\..+?'}}}], `+to+"}"), []string{"x/ => kind=route route.match.headers.0.treatMissingHeaderAsEmpty=true", "x/ foo-header=BAR%20a.b.c => kind=no_route"}},
		{"presence matching on header and without_header", ruled("acme", "- {match: [{headers: {FOO-HEADER: {}}}, {uri: {exact: /w}, withoutHeaders: {FOO-HEADER: {}}}], "+to+"}"),
			[]string{"x/ foo-header=1 => route.index=0 route.match.headers.0.presentMatch=true", "x/w => route.index=1 route.match.headers.0.invertMatch=true route.match.headers.0.treatMissingHeaderAsEmpty=-"}},
		{"exact, prefix and regex matching on query parameter", ruled("acme", `- {match: [{queryParams: {token: {exact: foo}}}, {queryParams: {token: {prefix: foo-}}}, {queryParams: {token: {regex: 'BAR.+?'}}}], `+to+"}"), []string{"x/?token=foo => route.index=0", "x/?token=foo-1 => route.index=1", "x/?token=BARx => route.index=2"}},
		{"source namespace matching", ruled("acme", "- {name: foo, match: [{sourceNamespace: foo}], "+to+"}\n- {name: system, match: [{sourceNamespace: istio-system}], "+to+"}"), []string{"x/ => route.name=system route.index=0"}},
		{"ring hash", wild + ruled("acme", "- {"+to+"}") + object("DestinationRule", "istio-system/acme", "host: '*.example.org'\ntrafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: hash-cookie, ttl: 1s}}}}"),
			[]string{"x/ => hashPolicy.0.cookie.name=hash-cookie hashPolicy.0.cookie.ttl=1s retryPolicy.retryHostPredicate=-"}},
		{"subsets with port level settings with ring hash", wild + ruled("acme", "- {route: [{destination: {host: '*.example.org', subset: port-level-settings-subset, port: {number: 8484}}}]}") +
			object("DestinationRule", "istio-system/acme", "host: '*.example.org'\nsubsets: [{name: port-level-settings-subset, trafficPolicy: {portLevelSettings: [{port: {number: 8484}, loadBalancer: {consistentHash: {httpCookie: {name: port-level-settings-cookie, ttl: 0s}}}}]}}]"),
			[]string{"x/ => hashPolicy.0.cookie.name=port-level-settings-cookie"}},
		{"header operations for single cluster", ruled("acme", "- {headers: {request: {set: {x-req-set: v1}, add: {x-req-add: v2}, remove: [x-req-remove]}}, route: [{destination: {host: c-weighted.extsvc.com}, headers: {request: {set: {x-route-req-set: v1, ':authority': internal.foo.extsvc.com}, add: {x-route-req-add: v2}, remove: [x-route-req-remove]}}}]}"),
			[]string{"x/ x-req-remove=1 x-route-req-remove=1 => clusters.0.upstream.headers.@keys=[\"x-req-add\",\"x-req-set\",\"x-route-req-add\",\"x-route-req-set\"] clusters.0.upstream.authority=internal.foo.extsvc.com"}},
		{"redirect code", ruled("acme", "- {redirect: {uri: example.org, authority: some-authority.default.svc.cluster.local, redirectCode: 308}}"), []string{"x/ => status=308 location=http://some-authority.default.svc.cluster.local/example.org"}},
		{"path regex match with regex rewrite", ruled("acme", `- {match: [{uri: {regex: '^/service/([^/]+)(/.*)$'}}], rewrite: {uriRegexRewrite: {match: '^/service/([^/]+)(/.*)$', rewrite: '\2/instance/\1'}}, route: [{destination: {host: foo.svc}}]}`),
			[]string{"x/service/foo/v1/api => clusters.0.upstream.path=/v1/api/instance/foo"}},
		{"direct response code and header manipulation", ruled("acme", "- {headers: {response: {set: {Strict-Transport-Security: 'max-age=31536000'}}}, directResponse: {status: 200, body: {string: hello}}}"), []string{"x/ => kind=direct_response status=200 body=hello"}},
	})
}

// Of requests through a real mesh, what comes out; here through a Gateway (tests/integration/pilot/common/routing.go),
// and the samples' entry (samples/bookinfo/networking/bookinfo-gateway.yaml).
func TestIstioIntegration(t *testing.T) {
	const to = "route: [{destination: {host: b}}]"
	denied := func(match string) string {
		return ruled("vs", "- {match: [{withoutHeaders: {end-user: {"+match+"}}}], "+to+", fault: {abort: {percentage: {value: 100}, httpStatus: 403}}}\n- {"+to+"}")
	}
	check(t, everything, []fact{
		{"set host header in route and multi destination", ruled("default", "- {route: [{destination: {host: b}, weight: 50, headers: {request: {set: {Host: dest-authority}}}}, {destination: {host: c}, weight: 50}], headers: {request: {set: {':authority': route-authority}}}}"),
			[]string{"x/ => clusters.0.upstream.authority=route-authority clusters.1.upstream.authority=route-authority"}},
		{"redirect", ruled("default", "- {match: [{uri: {exact: /foo}}], redirect: {uri: /new/path}}\n- {match: [{uri: {exact: /new/path}}], "+to+"}"), []string{"b/foo?key=value => location=http://b/new/path?key=value", "b/new/path?key=value => kind=route"}},
		{"redirect port and scheme", ruled("default", "- {match: [{uri: {exact: /foo}}], redirect: {derivePort: FROM_REQUEST_PORT, scheme: https}}"), []string{"b/foo => status=301 location=https://b:80/foo"}},
		{"redirect request port", ruled("default", "- {match: [{uri: {exact: /foo}}], redirect: {derivePort: FROM_REQUEST_PORT}}"), []string{"b/foo => location=http://b/foo", "b:80/foo => location=http://b:80/foo"}},
		{"rewrite uri", ruled("default", "- {match: [{uri: {exact: /foo}}], rewrite: {uri: /new/path}, "+to+"}"), []string{"b/foo?key=value#hash => clusters.0.upstream.path=/new/path?key=value"}},
		{"cors", ruled("default", "- {corsPolicy: {allowOrigins: [{exact: cors.com}], allowMethods: [POST, GET], allowCredentials: false, allowHeaders: [X-Foo-Bar, X-Foo-Baz], maxAge: 24h}, "+to+"}"),
			[]string{"OPTIONS b/ origin=cors.com access-control-request-method=DELETE => corsEffect.status=200 corsEffect.responseHeaders.access-control-allow-origin.0=cors.com corsEffect.responseHeaders.access-control-allow-methods.0=POST,GET corsEffect.responseHeaders.access-control-allow-headers.0=X-Foo-Bar,X-Foo-Baz corsEffect.responseHeaders.access-control-max-age.0=86400",
				"GET b/ origin=cors.com => corsEffect.status=- corsEffect.responseHeaders.access-control-allow-origin.0=cors.com", "GET b/ => corsEffect=-"}},
		{"retry conditions", ruled("default", "- {"+to+", retries: {attempts: 3, perTryTimeout: 2s, retryOn: 'gateway-error,connect-failure,refused-stream,reset-before-request', retryRemoteLocalities: true}}"),
			[]string{"b/ => retryPolicy.numRetries=3 retryPolicy.retryOn=gateway-error,connect-failure,refused-stream,reset-before-request"}},
		{"catch all route short circuit the other routes", ruled("default", "- {match: [{uri: {regex: '.*'}}], "+to+", fault: {abort: {percentage: {value: 100}, httpStatus: 418}}}\n- {"+to+"}"), []string{"b/x => route.index=0 fault.abort.httpStatus=418"}},
		{"without headers", denied("exact: jason"), []string{"b/foo end-user=jason => fault=-", "b/foo end-user=not-jason => fault.abort.httpStatus=403", "b/foo => fault.abort.httpStatus=403"}},
		{"without headers regex convert to present_match", denied("regex: '*'"), []string{"b/foo end-user=jason => fault=-", "b/foo end-user= => fault=-", "b/foo => fault.abort.httpStatus=403"}},
		{"without headers regex match any string", denied("regex: '.*'"), []string{"b/foo end-user=jason => fault=-", "b/foo end-user= => fault=-", "b/foo => fault=-"}},
		{"bookinfo-gateway", ruled("bookinfo", "- {match: [{uri: {exact: /productpage}}, {uri: {prefix: /static}}, {uri: {exact: /login}}, {uri: {exact: /logout}}, {uri: {prefix: /api/v1/products}}], route: [{destination: {host: productpage, port: {number: 9080}}}]}"),
			[]string{"x/productpage?u=normal => clusters.0.name=outbound|9080||productpage.default.svc.cluster.local route.index=0", "x/static/a.css => route.index=1", "x/login => route.index=2", "x/login/ => kind=no_route", "x/api/v1/products/0 => route.index=4", "x/ => kind=no_route"}},
	})
}
