package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
)

// Rules that delegate (VS-DEL).
func TestDelegates(t *testing.T) {
	root := func(rule string) string { return ruled("root", "- "+rule) }
	delegate := func(rules string) string { return object("VirtualService", "sub", "http:\n"+rules) }
	check(t, everything, []fact{
		{"a VirtualService without hosts is nothing by itself, and takes its rules' place in the root (VS-DEL-01, VS-DEL-04)",
			ruled("root", "- {match: [{uri: {exact: /1}}], route: [{destination: {host: a.svc}}]}\n- {match: [{uri: {prefix: /2}}], delegate: {name: sub, namespace: other}}\n- {route: [{destination: {host: z.svc}}]}") +
				object("VirtualService", "other/sub", "http:\n- {match: [{uri: {exact: /2/a}}], route: [{destination: {host: short}}]}\n- {match: [{uri: {exact: /2/b}}], route: [{destination: {host: c.svc}}]}"),
			[]string{"x/1 => route.index=0", "x/2/a => route.index=1 route.virtualService=default/root clusters.0.name=outbound|80||short.other.svc.cluster.local",
				"x/2/b => route.index=2", "x/2/c => route.index=3"}},
		{"a delegate with hosts is none, and one that is missing drops its rule alone (VS-DEL-01, VS-DEL-03)",
			ruled("root", "- {match: [{uri: {prefix: /1}}], delegate: {name: hosted}}\n- {match: [{uri: {prefix: /2}}], delegate: {name: missing}}\n- {route: [{destination: {host: z.svc}}]}") +
				object("VirtualService", "hosted", "hosts: [a.com]\nhttp: [{route: [{destination: {host: a.svc}}]}]"),
			[]string{"x/1 => clusters.0.name=outbound|80||z.svc route.index=0", "x/2 => route.index=0"}},
		{"a delegate must be exported to the root's namespace; its own proxy's does not matter (VS-DEL-03)",
			ruled("root", "- {match: [{uri: {prefix: /1}}], delegate: {name: private, namespace: other}}\n- {match: [{uri: {prefix: /2}}], delegate: {name: given, namespace: other}}") +
				object("VirtualService", "other/private", "exportTo: [.]\nhttp: [{route: [{destination: {host: a.svc}}]}]") +
				object("VirtualService", "other/given", "exportTo: [default]\nhttp: [{route: [{destination: {host: b.svc}}]}]"),
			[]string{"x/1 => kind=no_route", "x/2 => clusters.0.name=outbound|80||b.svc"}},
		{"a side without matches takes the other's; both are crossed, the delegate's outermost (VS-DEL-05)",
			root("{match: [{uri: {prefix: /a}}, {method: {exact: PUT}}], delegate: {name: sub}}") +
				delegate("- {match: [{headers: {h: {exact: '1'}}}, {headers: {h: {exact: '2'}}}], route: [{destination: {host: x.svc}}]}\n- {route: [{destination: {host: y.svc}}]}"),
			[]string{"x/a h=1 => route.index=0", "PUT x/b h=1 => route.index=1", "x/a h=2 => route.index=2", "PUT x/b h=2 => route.index=3", "x/a => route.index=4", "PUT x/b => route.index=5", "x/b h=1 => kind=no_route"}},
		{"one match that contradicts all of the root's drops the whole rule (VS-DEL-05, VS-DEL-06)",
			root("{match: [{uri: {prefix: /a}}], delegate: {name: sub}}") +
				delegate("- {match: [{uri: {prefix: /a/b}}, {uri: {prefix: /c}}], route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {exact: /a/1}}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/a/b => kind=no_route", "x/a/1 => route.index=0"}},
		{"two equal regexes are a contradiction (VS-DEL-06)",
			root("{match: [{uri: {regex: /a}}], delegate: {name: sub}}") + delegate("- {match: [{uri: {regex: /a}}], route: [{destination: {host: x.svc}}]}"),
			[]string{"x/a => kind=no_route"}},
		{"equal names of headers are compared, also the excluded ones and query parameters (VS-DEL-06)",
			ruled("root", "- {match: [{headers: {h: {prefix: a}}}], delegate: {name: sub}}\n- {match: [{withoutHeaders: {h: {exact: a}}}], delegate: {name: sub}}\n- {match: [{queryParams: {q: {exact: a}}}], delegate: {name: sub}}") +
				delegate("- {match: [{headers: {h: {exact: b}}}], route: [{destination: {host: x.svc}}]}\n- {match: [{withoutHeaders: {h: {exact: b}}}], route: [{destination: {host: y.svc}}]}\n- {match: [{queryParams: {q: {exact: b}}}], route: [{destination: {host: z.svc}}]}"),
			[]string{ // of nine combinations, three contradict
				"x/ h=ab => clusters.0.name=outbound|80||y.svc", "x/ h=b => clusters.0.name=outbound|80||x.svc"}},
		{"ignoreUriCase must be repeated, ports must agree, Gateways be a part of the root's (VS-DEL-07)",
			ruled("root", "- {match: [{ignoreUriCase: true, uri: {prefix: /a}}], delegate: {name: sub}}\n- {match: [{port: 80}], delegate: {name: ported}}\n- {match: [{gateways: [gw], uri: {prefix: /c}}], delegate: {name: gated}}") +
				delegate("- {match: [{headers: {h: {}}}], route: [{destination: {host: x.svc}}]}\n- {match: [{ignoreUriCase: true, headers: {i: {}}}], route: [{destination: {host: y.svc}}]}") +
				object("VirtualService", "ported", "http:\n- {match: [{port: 81, uri: {prefix: /b}}], route: [{destination: {host: x.svc}}]}\n- {match: [{port: 80, uri: {prefix: /bb}}], route: [{destination: {host: y.svc}}]}") +
				object("VirtualService", "gated", "http:\n- {match: [{gateways: [gw, other], headers: {h: {}}}], route: [{destination: {host: x.svc}}]}\n- {match: [{gateways: [gw], headers: {i: {}}}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/A h=1 => kind=no_route", "x/A i=1 => clusters.0.name=outbound|80||y.svc", "x/b => kind=no_route", "x/bb => clusters.0.name=outbound|80||y.svc",
				"x/c h=1 => kind=no_route", "x/c i=1 => clusters.0.name=outbound|80||y.svc"}},
		{"the root's source namespace must be repeated, its labels not be contradicted (VS-DEL-07)",
			ruled("root", "- {match: [{sourceNamespace: istio-system}], delegate: {name: sub}}\n- {match: [{sourceLabels: {istio: ingressgateway}}], delegate: {name: labelled}}") +
				delegate("- {match: [{uri: {exact: /1}}], route: [{destination: {host: x.svc}}]}\n- {match: [{sourceNamespace: istio-system, uri: {exact: /2}}], route: [{destination: {host: y.svc}}]}") +
				object("VirtualService", "labelled", "http:\n- {match: [{sourceLabels: {istio: other}, uri: {exact: /3}}], route: [{destination: {host: x.svc}}]}\n- {match: [{sourceLabels: {app: istio-ingressgateway}, uri: {exact: /4}}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/1 => kind=no_route", "x/2 => route.index=0", "x/3 => kind=no_route", "x/4 => route.index=1"}},
		{"names are joined by a dash, maps united with the delegate winning (VS-DEL-08, VS-DEL-09, VS-DEL-10)",
			root("{name: r, match: [{name: m, withoutHeaders: {h: {prefix: a}, i: {}}}], delegate: {name: sub}}") +
				delegate("- {name: s, match: [{name: 'n', withoutHeaders: {h: {exact: ab}}}], route: [{destination: {host: x.svc}}]}"),
			[]string{"x/ => route.name=r-s.m-n", "x/ h=ac => kind=route", "x/ h=ab => kind=no_route", "x/ i=1 => kind=no_route"}},
		{"what the delegate leaves out is inherited, each as a whole (VS-DEL-09)",
			root("{timeout: 5s, retries: {attempts: 7}, rewrite: {uri: /r}, headers: {request: {set: {a: '1'}}}, corsPolicy: {allowOrigins: [{exact: '*'}]}, fault: {abort: {httpStatus: 503, percentage: {value: 1}}}, mirror: {host: m.svc}, delegate: {name: sub}}") +
				delegate("- {match: [{uri: {prefix: /1}}], route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {prefix: /2}}], timeout: 1s, headers: {request: {set: {b: '2'}}}, mirrors: [{destination: {host: n.svc}}], route: [{destination: {host: y.svc}}]}"),
			[]string{"x/1 => timeout=5s retryPolicy.numRetries=7 clusters.0.upstream.path=/r clusters.0.upstream.headers.a.0=1 cors.allowOriginStringMatch.0.exact=* fault.abort.httpStatus=503 mirrors.0.cluster=outbound|80||m.svc",
				"x/2 => timeout=1s clusters.0.upstream.headers.a=- clusters.0.upstream.headers.b.0=2 mirrors.#=2"}},
		{"an inherited direct response wins over the delegate's route (VS-DEL-10, VS-RED-01)",
			root("{directResponse: {status: 418}, delegate: {name: sub}}") + delegate("- {route: [{destination: {host: x.svc}}]}"),
			[]string{"x/ => kind=direct_response status=418"}},
		{"a redirect of the delegate keeps the root's fault (VS-DEL-10, VS-FAULT-11)",
			root("{fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, delegate: {name: sub}}") + delegate("- {redirect: {uri: /x}}"),
			[]string{"x/ => kind=redirect fault.delay.fixedDelay=1s"}},
	})
}

// VS-DEL-03, VS-DEL-05: Istio is silent about rules that it drops, Waymark is not.
func TestDroppedDelegatesAreNamed(t *testing.T) {
	_, problems := translated(t, everything+
		ruled("root", "- {match: [{uri: {prefix: /a}}], delegate: {name: missing}}\n- {match: [{uri: {prefix: /b}}], delegate: {name: sub}}")+
		object("VirtualService", "sub", "http:\n- {match: [{uri: {exact: /a}}], route: [{destination: {host: x.svc}}]}"), translate.Options{})
	var messages []string
	for _, p := range problems {
		messages = append(messages, string(p.Severity)+" "+p.Field+" "+p.Message)
	}
	assert.Equal(t, []string{
		"warning spec.http[0].delegate delegate default/missing: there is no VirtualService without hosts of that name; the rule is dropped",
		"warning spec.http[1].delegate rule http[0] of delegate default/sub is dropped: one of its matches contradicts every match of this rule",
	}, messages)
}
