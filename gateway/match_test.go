package gateway_test

import (
	"strings"
	"testing"
)

// Conditions that the translator decides (section 2.1).
func TestStaticConditions(t *testing.T) {
	check(t, everything, []fact{
		{"a match's port is the declared one (VS-STAT-01)",
			ruled("a", "- {match: [{port: 8080}], route: [{destination: {host: x.svc}}]}\n- {match: [{port: 80}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/ => clusters.0.name=outbound|80||y.svc route.index=0"}},
		{"where Gateways are named, labels and namespace of the source do not count (VS-STAT-02)",
			ruled("a", "- {match: [{gateways: [other], uri: {prefix: /a}}], route: [{destination: {host: x.svc}}]}\n- {match: [{gateways: [mesh, gw], sourceLabels: {no: one}, sourceNamespace: nowhere}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/a => clusters.0.name=outbound|80||y.svc route.index=0"}},
		{"the source is the proxy itself (VS-STAT-03)",
			ruled("a", "- {match: [{sourceLabels: {app: caller}}], route: [{destination: {host: x.svc}}]}\n- {match: [{sourceNamespace: default}], route: [{destination: {host: y.svc}}]}\n- {match: [{sourceLabels: {istio: ingressgateway}, sourceNamespace: istio-system}], route: [{destination: {host: z.svc}}]}"),
			[]string{"x/ => clusters.0.name=outbound|80||z.svc route.index=0"}},
	})
}

// Conditions that a request decides (section 2.2).
func TestConditions(t *testing.T) {
	on := func(match string) string {
		return ruled("a", "- {match: ["+match+"], route: [{destination: {host: x.svc}}]}")
	}
	check(t, everything, []fact{
		{"matches are alternatives, their fields are not (VS-MATCH-01)", on("{uri: {exact: /a}, method: {exact: PUT}}, {headers: {h: {exact: '1'}}}"),
			[]string{"PUT x/a => route.index=0", "GET x/a => kind=no_route", "x/b h=1 => route.index=1"}},
		{"a match of nothing takes everything (VS-MATCH-02)", on("{}"), []string{"x/a => route.match.prefix=/"}},
		{"an exact path is the whole path, without the query (VS-MATCH-04, VS-MATCH-09)", on("{uri: {exact: /foo}}"),
			[]string{"x/foo => kind=route", "x/foo?a=b => kind=route", "x/foo/ => kind=no_route", "x/Foo => kind=no_route", "x/%66oo => kind=route"}},
		{"a prefix does not end at a segment (VS-MATCH-05)", on("{uri: {prefix: /foo}}"),
			[]string{"x/foobar => kind=route", "x/foo/bar => kind=route", "x/fo => kind=no_route"}},
		{"the empty prefix takes every path (VS-MATCH-07)", on("{uri: {prefix: ''}}"), []string{"x/foo => kind=route route.match.prefix="}},
		{"a regex is the whole path, without the query (VS-MATCH-08)", on("{uri: {regex: '/foo|/b.r'}}"),
			[]string{"x/foo?a => kind=route", "x/bar => kind=route", "x/foo/bar => kind=no_route", "x/a/foo => kind=no_route"}},
		{"without regard to case means exact and prefix, not regex (VS-MATCH-10)",
			on("{ignoreUriCase: true, uri: {exact: /Foo}}, {ignoreUriCase: true, uri: {prefix: /BAR}}, {ignoreUriCase: true, uri: {regex: /baz}}"),
			[]string{"x/fOO => route.index=0", "x/barista => route.index=1", "x/BAZ => kind=no_route", "x/baz => route.index=2"}},
		{"a uri without a type is no condition (VS-MATCH-11)", on("{uri: {}}"), []string{"x/foo => kind=route route.match.prefix=/"}},
		{"the empty exact path is never met (VS-MATCH-12)", on("{uri: {exact: ''}}"), []string{"x/ => kind=no_route"}},
		{"names of headers compare without regard to case, values do not (VS-MATCH-13)", on("{headers: {X-User: {exact: alice}}}"),
			[]string{"x/ x-user=alice => kind=route", "x/ x-USER=alice => kind=route", "x/ x-user=Alice => kind=no_route"}},
		{"a prefix and a regex of a header (VS-MATCH-13)", on("{headers: {h: {prefix: ab}}}, {headers: {i: {regex: 'a.c'}}}"),
			[]string{"x/ h=abc => route.index=0", "x/ i=abc => route.index=1", "x/ i=abcd => kind=no_route"}},
		{"a header without a type must be there (VS-MATCH-14)", on("{headers: {h: {}}}"), []string{"x/ h= => kind=route", "x/ => kind=no_route"}},
		{"the empty exact value must be there, and be empty (VS-MATCH-15)", on("{headers: {h: {exact: ''}}}"),
			[]string{"x/ h= => kind=route", "x/ => kind=no_route", "x/ h=a => kind=no_route"}},
		{"one value of several is enough, from Envoy 1.39 on (VS-MATCH-16)", on("{headers: {h: {exact: a}}}"),
			[]string{"x/ h=b h=a => kind=route", "x/ h=b => kind=no_route"}},
		{"pseudo-headers may be named; the path has its query then (VS-MATCH-17)", on("{headers: {':path': {exact: '/a?b'}}}, {headers: {':method': {exact: PUT}}}"),
			[]string{"x/a?b => route.index=0", "PUT x/ => route.index=1", "x/a => kind=no_route"}},
		{"uri, method and the like are ordinary names among headers (VS-MATCH-18)", on("{headers: {method: {exact: PUT}}}"),
			[]string{"PUT x/ => kind=no_route", "GET x/ method=PUT => kind=route"}},
		{"an excluded header without a type must be absent (VS-MATCH-19)", on("{withoutHeaders: {h: {}}}, {uri: {exact: /r}, withoutHeaders: {i: {regex: '*'}}}"),
			[]string{"x/ => route.index=0", "x/ h=1 => kind=no_route", "x/r h=1 => route.index=1", "x/r h=1 i=1 => kind=no_route"}},
		{"an excluded value may be absent or another (VS-MATCH-19)",
			on("{uri: {exact: /e}, withoutHeaders: {h: {exact: v}}}, {uri: {exact: /p}, withoutHeaders: {h: {prefix: v}}}, {uri: {exact: /r}, withoutHeaders: {h: {regex: 'v+'}}}"),
			[]string{"x/e => kind=route", "x/e h=v => kind=no_route", "x/e h=w => kind=route", "x/p => kind=route", "x/p h=vw => kind=no_route", "x/r => kind=route", "x/r h=vv => kind=no_route", "x/r h=w => kind=route"}},
		{"an absent header counts as empty where a value is excluded (VS-MATCH-19)", on("{uri: {exact: /1}, withoutHeaders: {h: {regex: '.*'}}}, {uri: {exact: /2}, withoutHeaders: {h: {exact: ''}}}"),
			[]string{"x/1 => kind=no_route", "x/1 h=a => kind=no_route", "x/2 => kind=no_route", "x/2 h=a => kind=route"}},
		{"authority is compared as it came, port included (VS-MATCH-20)", on("{authority: {exact: 'a.com:80'}}, {authority: {prefix: B}}, {method: {}, scheme: {exact: https}}"),
			[]string{"a.com:80/ => route.index=0", "a.com/ => kind=no_route", "Bx/ => route.index=1", "bx/ => kind=no_route"}},
		{"a query parameter: exact, prefix, regex, present (VS-MATCH-23)",
			on("{queryParams: {e: {exact: a}}}, {queryParams: {p: {prefix: a}}}, {queryParams: {r: {regex: 'a+'}}}, {queryParams: {t: {}}}, {queryParams: {z: {exact: ''}}}"),
			[]string{"x/?e=a => route.index=0", "x/?e=ab => kind=no_route", "x/?p=ab => route.index=1", "x/?r=aa => route.index=2", "x/?r=aab => kind=no_route", "x/?t => route.index=3", "x/?z= => route.index=4", "x/?z => route.index=4", "x/?z=1 => kind=no_route"}},
		{"the first of several parameters counts, undecoded (VS-MATCH-24)", on("{queryParams: {q: {exact: a}}}, {queryParams: {q: {exact: '%20'}}}"),
			[]string{"x/?q=a&q=b => route.index=0", "x/?q=b&q=a => kind=no_route", "x/?Q=a => kind=no_route"}},
		{"a header that is asked for twice, by name and as method, is asked in the order of the values (VS-MATCH-17)",
			on("{headers: {':method': {exact: PUT}}, method: {exact: GET}}, {uri: {exact: /}}"),
			[]string{"GET x/a => kind=no_route", "x/ => route.index=1"}},
	})
}

// VirtualServices that Istio makes of Ingress and Gateway API.
func TestRouteSemantics(t *testing.T) {
	made := func(of, http string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, annotations: {internal.istio.io/route-semantics: " + of + "}}\nspec:\n  gateways: [default/gw]\n  hosts: ['*']\n  http:\n  - " + http + "\n"
	}
	check(t, everything, []fact{
		{"prefixes of an Ingress end at segments, and a slash at their end is no part of them (VS-MATCH-06)",
			made("ingress", "{match: [{uri: {prefix: /foo/}}], route: [{destination: {host: short}}]}"),
			[]string{"x/foo => clusters.0.name=outbound|80||short.default.svc.cluster.local", "x/foo/bar => kind=route", "x/foobar => kind=no_route"}},
		{"the prefix / is a plain one (VS-MATCH-06)", made("gateway", "{match: [{uri: {prefix: /}}], route: [{destination: {host: x.svc}}]}"), []string{"x/foo => route.match.prefix=/"}},
		{"a rewrite to / leaves one slash (VS-RW-03)", made("gateway", "{match: [{uri: {prefix: /foo}}], rewrite: {uri: /}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/foo => clusters.0.upstream.path=/", "x/foo/bar?q => clusters.0.upstream.path=/bar?q"}},
		{"%PREFIX()% keeps what follows the prefix, for a route of the Gateway API alone (VS-RED-04)",
			made("gateway", "{match: [{uri: {prefix: /foo}}], redirect: {uri: '%PREFIX()%/new'}}"), []string{"x/foo/bar => location=http://x/new/bar"}},
		{"elsewhere %PREFIX()% is text (VS-RED-04)", ruled("a", "- {match: [{uri: {prefix: /foo}}], redirect: {uri: '%PREFIX()%/new'}}"), []string{"x/foo/bar => location=http://x/%PREFIX()%/new"}},
		{"a route of the proxy's own namespace comes before older public VirtualServices (VS-SEL-04)",
			ruled("old@2020-01-01", "- {route: [{destination: {host: old.svc}}]}") + strings.Replace(made("gateway", "{route: [{destination: {host: route.svc}}]}"), "name: a,", "name: a, namespace: istio-system,", 1),
			[]string{"x/ => clusters.0.name=outbound|80||route.svc"}},
		{"names of such a route are full already (VS-NAME-01)", made("gateway", "{route: [{destination: {host: short}}]}"), []string{"x/ => clusters.0.name=outbound|80||short"}},
	})
}
