package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/istio/translate"
)

// What a rule does with a request (sections 3 to 7).
func TestRules(t *testing.T) {
	to := func(more string) string { return ruled("a", "- {route: [{destination: {host: x.svc}}], "+more+"}") }
	known := entry("one", "one.com", "", 7000) + entry("two", "two.com", "", 7000, 7001)
	check(t, everything+known, []fact{
		// 3. split
		{"a destination's port is its own, else its service's only one, else the listener's (VS-SPLIT-01, VS-SPLIT-02)",
			ruled("a", "- {match: [{uri: {exact: /1}}], route: [{destination: {host: one.com, subset: v1}}]}\n- {match: [{uri: {exact: /2}}], route: [{destination: {host: two.com}}]}\n"+
				"- {match: [{uri: {exact: /3}}], route: [{destination: {host: one.com, port: {number: 9}}}]}\n- {route: [{destination: {host: none.com}}]}"),
			[]string{"x/1 => clusters.0.name=outbound|7000|v1|one.com", "x/2 => clusters.0.name=outbound|80||two.com", "x/3 => clusters.0.name=outbound|9||one.com", "x/4 => clusters.0.name=outbound|80||none.com"}},
		{"an external name stands for what it names (VS-SPLIT-04)",
			object("Service", "alias", "type: ExternalName\nexternalName: real.com\nports: [{name: http, port: 81}]") + ruled("a", "- {route: [{destination: {host: alias}}]}"),
			[]string{"x/ => clusters.0.name=outbound|81||real.com"}},
		{"a single destination's weight means nothing (VS-SPLIT-05)", ruled("a", "- {route: [{destination: {host: x.svc}, weight: 7}]}"), []string{"x/ => clusters.0.weight=1 clusters.#=1"}},
		{"of several, those without a weight are left out (VS-SPLIT-06)",
			ruled("a", "- {route: [{destination: {host: x.svc}, weight: 0}, {destination: {host: y.svc}, weight: 3}, {destination: {host: z.svc}}]}"),
			[]string{"x/ => clusters.#=1 clusters.0.name=outbound|80||y.svc clusters.0.weight=3"}},

		// 4. rewrite
		{"a rewrite replaces the matched prefix, byte by byte (VS-RW-01, VS-RW-03)",
			ruled("a", "- {match: [{uri: {prefix: /foo}}], rewrite: {uri: /}, route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {prefix: /bar/}}], rewrite: {uri: /}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/foo/bar => clusters.0.upstream.path=//bar", "x/foo => clusters.0.upstream.path=/", "x/foobar?q=1 => clusters.0.upstream.path=/bar?q=1", "x/bar/a => clusters.0.upstream.path=/a"}},
		{"a rewrite of an exact or regex match replaces the whole path (VS-RW-01)",
			ruled("a", "- {match: [{uri: {exact: /foo}}, {uri: {regex: '/b.*'}}], rewrite: {uri: /x}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/foo?q => clusters.0.upstream.path=/x?q", "x/bar/baz => clusters.0.upstream.path=/x"}},
		{"without a uri the matched prefix is the first slash (VS-RW-02)", to("rewrite: {uri: /v1}"), []string{"x/a => clusters.0.upstream.path=/v1a", "x/ => clusters.0.upstream.path=/v1"}},
		{"a rewrite without regard to case takes the length of the prefix (VS-RW-01, VS-MATCH-10)",
			ruled("a", "- {match: [{ignoreUriCase: true, uri: {prefix: /FOO}}], rewrite: {uri: /x}, route: [{destination: {host: x.svc}}]}"), []string{"x/fooBar => clusters.0.upstream.path=/xBar"}},
		{"a regex replaces every match anywhere, groups by number, the query aside (VS-RW-05)",
			to(`rewrite: {uriRegexRewrite: {match: '/(\w)', rewrite: '/\1\1'}}`), []string{"x/ab/cd?e=/f => clusters.0.upstream.path=/aab/ccd?e=/f"}},
		{"a regex that leaves nothing leaves all (VS-RW-05)", to("rewrite: {uriRegexRewrite: {match: '(x?).*', rewrite: '\\1'}}"), []string{"x/a?q => clusters.0.upstream.path=/a?q"}},
		{"the authority of the rule, by rewrite, set or add, comes before the destination's (VS-RW-06)",
			ruled("a", "- {match: [{uri: {exact: /1}}], rewrite: {authority: r}, route: [{destination: {host: x.svc}, headers: {request: {set: {host: d}}}}]}\n"+
				"- {match: [{uri: {exact: /2}}], headers: {request: {set: {':authority': s}}}, route: [{destination: {host: x.svc}, headers: {request: {set: {host: d}}}}]}\n"+
				"- {match: [{uri: {exact: /3}}], headers: {request: {add: {Host: a}}}, route: [{destination: {host: x.svc}, headers: {request: {set: {host: d}}}}]}\n"+
				"- {match: [{uri: {exact: /4}}], route: [{destination: {host: x.svc}, headers: {request: {set: {host: d}}}}]}"),
			[]string{"x/1 => clusters.0.upstream.authority=r", "x/2 => clusters.0.upstream.authority=s", "x/3 => clusters.0.upstream.authority=a", "x/4 => clusters.0.upstream.authority=d"}},
		{"of several destinations each has its host, unless the rule has one (VS-RW-06)",
			ruled("a", "- {match: [{uri: {exact: /1}}], route: [{destination: {host: x.svc}, weight: 1, headers: {request: {set: {host: d}}}}, {destination: {host: y.svc}, weight: 1}]}\n"+
				"- {rewrite: {authority: r}, route: [{destination: {host: x.svc}, weight: 1, headers: {request: {set: {host: d}}}}, {destination: {host: y.svc}, weight: 1}]}"),
			[]string{"x/1 => clusters.0.upstream.authority=d clusters.0.hostRewrite=d clusters.1.upstream.authority=x", "x/2 => clusters.0.upstream.authority=r"}},
		{"headers see path and host as they were before the rewrite (VS-RW-08, VS-HDR-08)",
			to("rewrite: {uri: /new, authority: other}, headers: {request: {set: {p: '%REQ(:PATH)%', a: '%REQ(:AUTHORITY)%', m: '%REQ(:METHOD)%'}}}"),
			[]string{"x/old => clusters.0.upstream.headers.p.0=/old clusters.0.upstream.headers.a.0=x clusters.0.upstream.headers.m.0=GET clusters.0.upstream.path=/newold"}},

		// 4.2 redirect, 4.3 direct response
		{"a redirect's uri is the whole path; the query stays, unless there is one in it (VS-RED-02, VS-RED-09)",
			ruled("a", "- {match: [{uri: {prefix: /a}}], redirect: {uri: /}}\n- {match: [{uri: {prefix: /b}}], redirect: {uri: '/x?y'}}\n- {redirect: {authority: other}}"),
			[]string{"x/a/b?q => kind=redirect status=301 location=http://x/?q", "x/b?q => location=http://x/x?y", "x/c?q => location=http://other/c?q"}},
		{"a redirect's prefix replaces the matched one (VS-RED-03)", ruled("a", "- {match: [{uri: {prefix: /foo}}], redirect: {prefixRewrite: /}}"), []string{"x/foo/baz?q => location=http://x//baz?q"}},
		{"authority, scheme and code of a redirect (VS-RED-05, VS-RED-08)",
			ruled("a", "- {match: [{uri: {exact: /1}}], redirect: {scheme: https, redirectCode: 302}}\n- {match: [{uri: {exact: /2}}], redirect: {authority: 'b:1', redirectCode: 308}}\n- {redirect: {uri: /z, redirectCode: 307}}"),
			[]string{"x/1 => status=302 location=https://x/1", "x/2 => status=308 location=http://b:1/2", "x/3 => status=307"}},
		{"a port that is the scheme's own is left out (VS-RED-06)",
			ruled("a", "- {match: [{uri: {exact: /1}}], redirect: {port: 8443}}\n- {match: [{uri: {exact: /2}}], redirect: {port: 80}}\n- {match: [{uri: {exact: /3}}], redirect: {port: 443, scheme: https}}\n"+
				"- {match: [{uri: {exact: /4}}], redirect: {derivePort: FROM_REQUEST_PORT, scheme: https}}\n- {match: [{uri: {exact: /5}}], redirect: {derivePort: FROM_PROTOCOL_DEFAULT, uri: /}}"),
			[]string{"x/1 => location=http://x:8443/1", "x/2 => location=http://x/2", "x/3 => location=https://x/3", "x/4 => location=https://x:80/4", "x:99/5 => location=http://x:99/", "x:99/1 => location=http://x:8443/1"}},
		{"the host's port goes with the scheme whose own it is (VS-RED-07)", ruled("a", "- {redirect: {scheme: https}}"),
			[]string{"x:80/ => location=https://x/", "x:8080/ => location=https://x:8080/", "[::1]:80/ => location=https://[::1]/", "[::1]/ => location=https://[::1]/"}},
		{"only operations on the response are left of a redirect's (VS-RED-10, VS-CORS-09)",
			ruled("a", "- {redirect: {uri: /}, corsPolicy: {allowOrigins: [{exact: '*'}]}}"), []string{"OPTIONS x/ origin=o access-control-request-method=GET => kind=redirect corsEffect=-"}},
		{"a direct response has a status and a body, of text or of bytes (VS-DR-01)",
			ruled("a", "- {match: [{uri: {exact: /1}}], directResponse: {status: 503, body: {string: gone}}}\n- {match: [{uri: {exact: /2}}], directResponse: {status: 200, body: {bytes: aGk=}}}\n- {directResponse: {status: 404}}"),
			[]string{"x/1 => kind=direct_response status=503 body=gone", "x/2 => body=hi", "x/3 => status=404 body="}},
		{"one of 201 or 3xx says where it is (VS-DR-03)",
			ruled("a", "- {match: [{uri: {exact: /1}}], directResponse: {status: 201}}\n- {match: [{uri: {exact: /2}}], directResponse: {status: 302}}\n- {directResponse: {status: 200}}"),
			[]string{"x/1?q => location=http://x/1?q", "x/2 => location=http://x/2", "x/3 => location=-"}},

		// 5. timeout and retries
		{"without a timeout there is none (VS-TO-01)", to("name: 'n'"), []string{"x/ => timeout=0s"}},
		{"a timeout is as long as it says (VS-TO-02)", to("timeout: 1m30s"), []string{"x/ => timeout=1m30s"}},
		{"retries are Istio's own by default (VS-RETRY-01)", to("name: 'n'"),
			[]string{"x/ => retryPolicy.numRetries=2 retryPolicy.retryOn=connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes retryPolicy.retriableStatusCodes=- retryPolicy.hostSelectionRetryMaxAttempts=5 retryPolicy.retryHostPredicate.0.name=envoy.retry_host_predicates.previous_hosts retryPolicy.perTryTimeout=-"}},
		{"no attempts are no retries, and nothing said is no attempts (VS-RETRY-02)",
			ruled("a", "- {match: [{uri: {exact: /1}}], retries: {attempts: 0}, route: [{destination: {host: x.svc}}]}\n- {retries: {}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/1 => retryPolicy=-", "x/2 => retryPolicy=-"}},
		{"attempts, time per try, backoff (VS-RETRY-03, VS-RETRY-05, VS-RETRY-08)", to("retries: {attempts: 3, perTryTimeout: 2s, backoff: 1s}"),
			[]string{"x/ => retryPolicy.numRetries=3 retryPolicy.perTryTimeout=2s retryPolicy.retryBackOff.baseInterval=1s retryPolicy.retryOn=connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"}},
		{"codes among the conditions become a list, and ask for it (VS-RETRY-04)",
			ruled("a", "- {match: [{uri: {exact: /1}}], retries: {attempts: 1, retryOn: '503'}, route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {exact: /2}}], retries: {attempts: 1, retryOn: '5xx,503,reset,418'}, route: [{destination: {host: x.svc}}]}\n"+
				"- {retries: {attempts: 1, retryOn: 'retriable-status-codes,429'}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/1 => retryPolicy.retryOn=,retriable-status-codes retryPolicy.retriableStatusCodes=[503]", "x/2 => retryPolicy.retryOn=5xx,reset,retriable-status-codes retryPolicy.retriableStatusCodes=[503,418]",
				"x/3 => retryPolicy.retryOn=retriable-status-codes retryPolicy.retriableStatusCodes=[429]"}},
		{"hosts that were tried may be tried again if the rule says so (VS-RETRY-06, VS-RETRY-07)", to("retries: {attempts: 1, retryIgnorePreviousHosts: false, retryRemoteLocalities: true}"),
			[]string{"x/ => retryPolicy.retryHostPredicate=- retryPolicy.retryPriority.name=envoy.retry_priorities.previous_priorities retryPolicy.retryPriority.typedConfig.updateFrequency=2"}},

		// 6. faults
		{"percentages are cut to a millionth (VS-FAULT-02, VS-FAULT-03)", to("fault: {delay: {fixedDelay: 5s, percentage: {value: 0.29}}, abort: {httpStatus: 500, percentage: {value: 12.34567}}}"),
			[]string{"x/ => fault.delay.percentage.numerator=2900 fault.delay.percentage.denominator=MILLION fault.delay.fixedDelay=5s fault.abort.percentage.numerator=123456"}},
		{"the old percent of a delay counts; without one nothing is delayed, and nothing aborted (VS-FAULT-02)",
			ruled("a", "- {match: [{uri: {exact: /1}}], fault: {delay: {fixedDelay: 5s, percent: 7}}, route: [{destination: {host: x.svc}}]}\n- {fault: {delay: {fixedDelay: 5s}, abort: {httpStatus: 500}}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/1 => fault.delay.percentage.numerator=7 fault.delay.percentage.denominator=-", "x/2 => fault.delay.percentage.numerator=- fault.abort.percentage.numerator=- fault.abort.httpStatus=500"}},
		{"a delay without a type is none, and an abort by a gRPC status is its number (VS-FAULT-04, VS-FAULT-05)", to("fault: {delay: {percentage: {value: 1}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 1}}}"),
			[]string{"x/ => fault.delay=- fault.abort.grpcStatus=14"}},

		// 7.1 mirrors
		{"a mirror gets everything, a share, or nothing (VS-MIRROR-01)",
			ruled("a", "- {match: [{uri: {exact: /1}}], mirror: {host: m.svc}, route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {exact: /2}}], mirror: {host: m.svc}, mirrorPercent: 9, mirrorPercentage: {value: 0.5}, route: [{destination: {host: x.svc}}]}\n"+
				"- {match: [{uri: {exact: /3}}], mirror: {host: m.svc}, mirrorPercent: 9, route: [{destination: {host: x.svc}}]}\n- {match: [{uri: {exact: /4}}], mirror: {host: m.svc}, mirrorPercent: 9, mirrorPercentage: {value: 0}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/1 => mirrors.0.numerator=100 mirrors.0.denominator=HUNDRED mirrors.0.cluster=outbound|80||m.svc", "x/2 => mirrors.0.numerator=5000 mirrors.0.denominator=MILLION", "x/3 => mirrors.0.numerator=9 mirrors.0.denominator=HUNDRED", "x/4 => mirrors=-"}},
		{"several mirrors each have their share, and ports as destinations have (VS-MIRROR-02, VS-MIRROR-03)",
			to("mirrors: [{destination: {host: one.com}}, {destination: {host: m.svc}, percentage: {value: 1}}, {destination: {host: n.svc}, percentage: {value: 0}}]"),
			[]string{"x/ => mirrors.#=2 mirrors.0.cluster=outbound|7000||one.com mirrors.1.numerator=10000"}},

		// 7.2 CORS
		{"the old list of origins counts where the new one is missing (VS-CORS-02)",
			ruled("a", "- {match: [{uri: {exact: /1}}], corsPolicy: {allowOrigin: [a, b]}, route: [{destination: {host: x.svc}}]}\n- {corsPolicy: {allowOrigin: [a], allowOrigins: [{prefix: b}, {regex: 'c+'}]}, route: [{destination: {host: x.svc}}]}"),
			[]string{"x/1 => cors.allowOriginStringMatch.#=2 cors.allowOriginStringMatch.1.exact=b", "x/2 => cors.allowOriginStringMatch.#=2 cors.allowOriginStringMatch.0.prefix=b cors.allowOriginStringMatch.1.safeRegex.regex=c+"}},
		{"lists are joined by commas, and an age is in seconds (VS-CORS-03, VS-CORS-04)",
			to("corsPolicy: {allowOrigins: [{exact: o}], allowMethods: [GET, PUT], allowHeaders: [a, b], exposeHeaders: [c, d], maxAge: 24h, allowCredentials: false}"),
			[]string{"x/ => cors.allowMethods=GET,PUT cors.allowHeaders=a,b cors.exposeHeaders=c,d cors.maxAge=86400 cors.allowCredentials=false cors.forwardNotMatchingPreflights=true"}},
		{"a preflight of a foreign origin goes on, unless the policy keeps it (VS-CORS-05)",
			ruled("a", "- {match: [{uri: {exact: /1}}], corsPolicy: {allowOrigins: [{exact: o}], allowMethods: [GET]}, route: [{destination: {host: x.svc}}]}\n- {corsPolicy: {allowOrigins: [{exact: o}], allowMethods: [GET], unmatchedPreflights: IGNORE}, route: [{destination: {host: x.svc}}]}"),
			[]string{"OPTIONS x/1 origin=p access-control-request-method=GET => corsEffect.status=- corsEffect.originAllowed=false",
				"OPTIONS x/2 origin=p access-control-request-method=GET => corsEffect.status=200 corsEffect.responseHeaders.access-control-allow-methods.0=GET corsEffect.responseHeaders.access-control-allow-origin=-",
				"OPTIONS x/1 origin=o access-control-request-method=GET => corsEffect.status=200 corsEffect.responseHeaders.access-control-allow-origin.0=o"}},

		// 7.3 headers
		{"sets come before additions, each by name; pseudo-headers are no headers (VS-HDR-01, VS-HDR-02)",
			ruled("a", "- {route: [{destination: {host: x.svc}, weight: 1, headers: {request: {add: {b: '1', a: '2'}, set: {d: '3', c: '4', Host: h}, remove: [f, e]}}}, {destination: {host: y.svc}, weight: 1}]}"),
			[]string{"x/ => clusters.0.requestHeaders.add.#.key=[\"c\",\"d\",\"a\",\"b\"] clusters.0.requestHeaders.remove=[\"f\",\"e\"] clusters.0.hostRewrite=h clusters.0.requestHeaders.add.0.action=OVERWRITE_IF_EXISTS_OR_ADD clusters.0.requestHeaders.add.2.action=APPEND_IF_EXISTS_OR_ADD"}},
		{"removals are first, then sets, then additions (VS-HDR-03)", to("headers: {request: {remove: [h], add: {h: '1', i: '2'}, set: {i: '3'}}}"),
			[]string{"x/ h=0 i=0 => clusters.0.upstream.headers.h=[\"1\"] clusters.0.upstream.headers.i=[\"3\",\"2\"]"}},
		{"values are worked out before anything is added (VS-HDR-03, VS-HDR-08)", to("headers: {request: {remove: [h], set: {i: '1', j: '%REQ(i)%-%REQ(h)%'}}}"),
			[]string{"x/ h=0 i=0 => clusters.0.upstream.headers.j.0=0- clusters.0.upstream.headers.i.0=1"}},
		{"a value that comes out empty changes nothing (VS-HDR-04)", to("headers: {request: {set: {h: '%REQ(missing)%', i: 'a-%REQ(missing)%'}}}"),
			[]string{"x/ h=0 => clusters.0.upstream.headers.h.0=0 clusters.0.upstream.headers.i.0=a-"}},
		{"a single destination's operations join the rule's: its set wins, the rule's addition stays (VS-HDR-05)",
			ruled("a", "- {headers: {request: {set: {h: rule}, add: {i: rule}}}, route: [{destination: {host: x.svc}, headers: {request: {set: {h: destination, i: destination}, remove: [j]}}}]}"),
			[]string{"x/ j=0 => clusters.0.upstream.headers.h=[\"destination\"] clusters.0.upstream.headers.i=[\"destination\",\"rule\"] clusters.0.upstream.headers.j=- clusters.0.requestHeaders=-"}},
		{"of several destinations the chosen one's operations are first: the rule's set wins, its removal too (VS-HDR-06)",
			ruled("a", "- {headers: {request: {set: {h: rule}, remove: [i]}, response: {set: {h: rule}}}, route: [{destination: {host: x.svc}, weight: 1, headers: {request: {set: {h: destination, i: destination}}, response: {set: {h: destination}}}}, {destination: {host: y.svc}, weight: 1}]}"),
			[]string{"x/ => clusters.0.upstream.headers.h=[\"rule\"] clusters.0.upstream.headers.i=- clusters.0.responseSample.h=[\"rule\"]"}},
		{"two percent signs are one (VS-HDR-07)", to("headers: {request: {set: {h: '100%%'}}}"), []string{"x/ => clusters.0.upstream.headers.h.0=100%"}},
		{"operations on the response (VS-HDR-09)", to("headers: {response: {set: {h: new, c: '%RESP(server-note)%'}, remove: [i]}}"),
			[]string{"x/ => clusters.0.responseSample.h=[\"new\"] clusters.0.responseSample.i=- clusters.0.responseSample.c.0=upstream"}},
		{"names that differ in case alone are two entries, and one header (VS-HDR-13)", to("headers: {request: {set: {x-h: '2', X-H: '1'}}}"), []string{"x/ => clusters.0.upstream.headers.x-h=[\"2\"]"}},
		{"operations never choose the rule (VS-HDR-11)", ruled("a", "- {match: [{headers: {h: {}}}], route: [{destination: {host: x.svc}}]}\n- {headers: {request: {set: {h: '1'}}}, route: [{destination: {host: y.svc}}]}"),
			[]string{"x/ => clusters.0.name=outbound|80||y.svc"}},
	})
}

// VS-STAT-05, VS-GW-03, VS-MIRROR-07: what does not show in a verdict.
func TestPlannedRules(t *testing.T) {
	p, _ := translated(t, everything+
		object("VirtualService", "a", "gateways: [gw]\nhosts: [b.com, a.com]\nhttp: [{match: [{statPrefix: s, uri: {prefix: /}}], route: [{destination: {host: x.svc}}]}]")+
		object("VirtualService", "b", "gateways: [gw]\nhosts: ['*.com']\nhttp: [{match: [{uri: {exact: /x}}], route: [{destination: {host: y.svc}}]}]"), translate.Options{})
	hosts := p.Listeners[0].Chains[0].Routes.VirtualHosts
	assert.Len(t, hosts, 2, "hosts with the same rules are one virtual host, named after the first")
	assert.Equal(t, "*.com:80", hosts[0].Name)
	assert.Equal(t, "a.com:80", hosts[1].Name)
	assert.Equal(t, []string{"a.com", "b.com"}, hosts[1].Domains)
	assert.Equal(t, "s", hosts[1].Rules[0].StatPrefix)
}

// VS-RED-08: Istio makes a route without an action of other codes, and Envoy refuses all routes for it.
func TestRedirectCodes(t *testing.T) {
	_, problems := translated(t, everything+ruled("a", "- {redirect: {uri: /, redirectCode: 304}}"), translate.Options{})
	assert.False(t, problems.HasErrors())
	assert.Contains(t, problems[0].String(), "warning: VirtualService default/a: spec.http[0].redirect.redirectCode: 304 is not executed by Envoy")
}
