package suite_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/suite"
)

const shop = `
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new, authority: new.test, redirectCode: 302}
  - match: [{uri: {exact: /closed}}]
    directResponse: {status: 410, body: {string: gone}}
    headers: {response: {set: {x-why: age}}}
  - match: [{uri: {exact: /broken}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 100}}, delay: {fixedDelay: 2s, percentage: {value: 12.5}}}
    route: [{destination: {host: app}}]
  - match: [{uri: {prefix: /api/}, method: {exact: POST}}, {uri: {prefix: /rpc/}}]
    rewrite: {uri: /v1/, authority: api.test}
    timeout: 3s
    retries: {attempts: 4, perTryTimeout: 1s, retryOn: "5xx,503"}
    mirror: {host: shadow.two.svc.cluster.local}
    mirrorPercentage: {value: 12.5}
    headers:
      request: {set: {x-a: "1"}, add: {x-b: "2"}, remove: [x-c]}
      response: {set: {x-r: "1"}, remove: [x-s]}
    route:
    - {destination: {host: app, subset: v1, port: {number: 8080}}, weight: 3}
    - {destination: {host: other.test}, weight: 1}
  - match: [{uri: {prefix: /app}}]
    retries: {attempts: 0}
    route: [{destination: {host: app, subset: v1}}]
`

// Each expectation holds for what happens, and fails for anything else.
func TestExpectations(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ request, expect, fails string }{
		"a destination by its short name":                {"http://a.test/app", "{destination: {host: app, subset: v1}}", ""},
		"a destination by its full name and port":        {"http://a.test/app", "{destination: {host: app.one.svc.cluster.local, subset: v1, port: 80}}", ""},
		"a destination by the name of its cluster":       {"http://a.test/app", `{destination: "outbound|80|v1|app.one.svc.cluster.local"}`, ""},
		"a subset that is left out is none":              {"http://a.test/app", "{destination: app}", "expect.destination"},
		"another port":                                   {"http://a.test/app", "{destination: {host: app, subset: v1, port: 81}}", "expect.destination"},
		"a service of another namespace":                 {"http://a.test/app", "{destination: {host: app.two.svc.cluster.local, subset: v1}}", "expect.destination"},
		"a destination where there is a redirect":        {"http://a.test/old", "{destination: app}", "expect.destination"},
		"one destination of two":                         {"POST http://a.test/api/x", "{destination: other.test}", "expect.destination"},
		"shares in any order and in proportion":          {"POST http://a.test/api/x", "{shares: [{host: other.test, weight: 25}, {host: app, subset: v1, weight: 75}]}", ""},
		"shares in another proportion":                   {"POST http://a.test/api/x", "{shares: [{host: other.test, weight: 1}, {host: app, subset: v1, weight: 4}]}", "expect.shares"},
		"more shares than there are":                     {"POST http://a.test/api/x", "{shares: [{host: other.test, weight: 1}, {host: app, subset: v1, weight: 3}, {host: more, weight: 1}]}", "expect.shares"},
		"the address of a redirect":                      {"http://a.test/old?x=1", "{redirect: 'http://new.test/new?x=1'}", ""},
		"another address of a redirect":                  {"http://a.test/old", "{redirect: 'http://a.test/new'}", "expect.redirect"},
		"parts of a redirect":                            {"http://a.test/old?x=1", "{redirect: {status: 302, scheme: http, authority: new.test, path: /new, query: x=1}}", ""},
		"other parts of a redirect":                      {"http://a.test/old", "{redirect: {path: /old}}", "expect.redirect.path"},
		"the whole location as a part":                   {"http://a.test/old", "{redirect: {location: 'http://new.test/new'}}", ""},
		"another status of a redirect":                   {"http://a.test/old", "{redirect: {status: 301}}", "expect.redirect.status"},
		"a redirect where there is a destination":        {"http://a.test/app", "{redirect: 'http://a.test/'}", "expect.redirect"},
		"status and body of a direct response":           {"http://a.test/closed", "{status: 410, body: gone}", ""},
		"another body":                                   {"http://a.test/closed", "{body: here}", "expect.body"},
		"a body where there is none":                     {"http://a.test/old", "{body: gone}", "expect.body"},
		"the status of a fault that aborts all":          {"http://a.test/broken", "{status: 503}", ""},
		"a status where the destination answers":         {"http://a.test/app", "{status: 200}", "expect.status"},
		"no rule":                                        {"http://a.test/none", "{rule: none, status: 404}", ""},
		"no rule where there is one":                     {"http://a.test/app", "{rule: none}", "expect.rule"},
		"a host that nobody has":                         {"http://c.test/app", "{rule: none, status: 404}", ""},
		"a rule by its match":                            {"http://a.test/rpc/x", "{rule: 'one/a.http[3].match[1]'}", ""},
		"a rule without its match":                       {"http://a.test/rpc/x", "{rule: 'one/a.http[3]'}", ""},
		"another match of the rule":                      {"http://a.test/rpc/x", "{rule: 'one/a.http[3].match[0]'}", "expect.rule"},
		"path and authority of the upstream":             {"http://a.test/rpc/x", "{upstream: {path: /v1/x, authority: api.test}}", ""},
		"another path of the upstream":                   {"http://a.test/rpc/x", "{upstream: {path: /rpc/x}}", "expect.upstream.path"},
		"another authority of the upstream":              {"http://a.test/rpc/x", "{upstream: {authority: a.test}}", "expect.upstream.authority"},
		"an upstream where there is none":                {"http://a.test/old", "{upstream: {path: /old}}", "expect.upstream.path"},
		"headers of the upstream":                        {"http://a.test/rpc/x", "{upstream: {headers: {X-A: 1, x-b: '2', x-c: null}}}", ""},
		"a header of the upstream that is not there":     {"http://a.test/rpc/x", "{upstream: {headers: {x-d: '1'}}}", "expect.upstream.headers.x-d"},
		"a header of the upstream that is there":         {"http://a.test/rpc/x", "{upstream: {headers: {x-a: null}}}", "expect.upstream.headers.x-a"},
		"headers of the response":                        {"http://a.test/rpc/x", "{response: {headers: {x-r: '1', x-s: null}}}", ""},
		"a header of the response that is not removed":   {"http://a.test/rpc/x", "{response: {headers: {x-t: null}}}", "expect.response.headers.x-t"},
		"a header of a direct response":                  {"http://a.test/closed", "{response: {headers: {x-why: age, content-type: text/plain, content-length: '4', x-t: null}}}", ""},
		"another header of a direct response":            {"http://a.test/closed", "{response: {headers: {x-why: youth}}}", "expect.response.headers.x-why"},
		"the location of a redirect as a header":         {"http://a.test/old", "{response: {headers: {location: 'http://new.test/new'}}}", ""},
		"a timeout":                                      {"http://a.test/rpc/x", "{timeout: 3s}", ""},
		"another timeout":                                {"http://a.test/rpc/x", "{timeout: 2s}", "expect.timeout"},
		"no timeout":                                     {"http://a.test/app", "{timeout: 0s}", ""},
		"retries":                                        {"http://a.test/rpc/x", "{retries: {attempts: 4, perTryTimeout: 1000ms, on: '503,5xx'}}", ""},
		"a number of retries":                            {"http://a.test/rpc/x", "{retries: 4}", ""},
		"other conditions of retries":                    {"http://a.test/rpc/x", "{retries: {attempts: 4, on: 5xx}}", "expect.retries"},
		"no retries":                                     {"http://a.test/app", "{retries: none}", ""},
		"no retries where there are some":                {"http://a.test/rpc/x", "{retries: none}", "expect.retries"},
		"a mirror":                                       {"http://a.test/rpc/x", "{mirror: {host: shadow.two.svc.cluster.local, percent: 12.5}}", ""},
		"a mirror of all requests":                       {"http://a.test/rpc/x", "{mirror: shadow.two.svc.cluster.local}", "expect.mirror"},
		"no mirror":                                      {"http://a.test/app", "{mirror: none}", ""},
		"no mirror where there is one":                   {"http://a.test/rpc/x", "{mirror: none}", "expect.mirror"},
		"a fault":                                        {"http://a.test/broken", "{fault: {abort: {status: 503}, delay: {duration: 2s, percent: 12.5%}}}", ""},
		"a part of a fault":                              {"http://a.test/broken", "{fault: {abort: {status: 503}}}", "expect.fault"},
		"no fault":                                       {"http://a.test/app", "{fault: none}", ""},
		"no fault where there is one":                    {"http://a.test/broken", "{fault: none}", "expect.fault"},
		"what must not be and is not":                    {"http://a.test/app", "{not: {destination: other.test, rule: none}}", ""},
		"what must not be and is, beside what must be":   {"http://a.test/app", "{not: {destination: {host: app, subset: v1}}, timeout: 0s}", "expect.not.destination"},
		"an address with a port that no listener has":    {"http://a.test:81/app", "{destination: {host: app, subset: v1}}", "expect.destination"},
		"an address with the port of the listener":       {"http://a.test:80/app", "{destination: {host: app, subset: v1}}", ""},
		"an address of https, with TLS before the proxy": {"https://a.test/app", "{destination: {host: app, subset: v1}}", ""},
		"an address without a path":                      {"http://a.test?x=1", "{rule: none, status: 404}", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := run(t, vs(shop), "tests: [{name: one, request: \""+c.request+"\", expect: "+c.expect+"}]")
			want := []string{c.fails}
			if c.fails == "" {
				want = nil
			}
			assert.Equal(t, want, failures(report))
			assert.Equal(t, c.fails == "", report.Passed == 1)
		})
	}
}

// Lists of a request are multiplied.
func TestProductOfRequests(t *testing.T) {
	t.Parallel()
	files := read(t, `
tests:
- name: product
  requests:
  - {authority: [a.test, b.test], method: [GET, POST], path: [/1, /2], headers: [{}, {X-A: [1, 2]}], port: 80, client: 192.0.2.1}
  - POST http://c.test:8080/x?y=%2F#z
  expect: {rule: none}
`)
	requests := files[0].Tests[0].Requests
	require.Len(t, requests, 17)
	assert.Equal(t, "b.test", requests[8].Authority)
	assert.Equal(t, "POST", requests[15].Method)
	assert.Equal(t, "/2", requests[15].Path)
	assert.Equal(t, []string{"1", "2"}, []string(requests[15].Headers["x-a"]))
	assert.Equal(t, uint32(80), requests[15].GatewayPort)
	last := requests[16]
	assert.Equal(t, []any{"POST", "c.test:8080", "/x?y=%2F", uint32(8080)}, []any{last.Method, last.Authority, last.Path, last.GatewayPort})
}

// Every mistake in a file is reported at its place, all at once.
func TestMistakesInOwnFormat(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		test string
		want []string
	}{
		"a key that is misspelt":          {"{name: a, request: 'http://a.test/', expect: {destinatio: app}}", []string{`1:57: expect: the key "destinatio" is not known; did you mean "destination"?`}},
		"a key that is like no other":     {"{name: a, request: 'http://a.test/', expect: {redirect: {zzz: app}}}", []string{`1:68: expect.redirect: the key "zzz" is not known; the keys are status, location, scheme, authority, path, query`}},
		"a key that is there twice":       {"{name: a, name: b, request: 'http://a.test/', expect: {status: 404}}", []string{`1:21: test: the key "name" is there twice`}},
		"several mistakes":                {"{request: 'a.test', expect: {}}", []string{"1:11: test: name is missing", `1:21: request: "a.test" is not a method and an address, such as GET https://shop.example.com/cart`, "1:39: expect: expects nothing, so the test would pass whatever happens"}},
		"no request and no expectation":   {"{name: a}", []string{`1:11: test "a": needs either request or requests`, `1:11: test "a": expect is missing`}},
		"a request without a host":        {"{name: a, request: {path: /}, expect: {status: 404}}", []string{"1:30: request: authority is missing"}},
		"a server name without TLS":       {"{name: a, request: {authority: a, sni: a}, expect: {status: 404}}", []string{"1:50: request.sni: only a request with tls: true has a server name"}},
		"a protocol that is not known":    {"{name: a, request: {authority: a, protocol: HTTP/3}, expect: {status: 404}}", []string{`1:55: request.protocol: "HTTP/3" is neither HTTP/1.1 nor HTTP/2`}},
		"a port beyond all ports":         {"{name: a, request: {authority: a, port: 70000}, expect: {status: 404}}", []string{"1:51: request.port: must be a number from 1 to 65535"}},
		"an empty list":                   {"{name: a, request: {authority: []}, expect: {status: 404}}", []string{"1:42: request.authority: the list is empty"}},
		"a text where a boolean is meant": {"{name: a, request: {authority: a, tls: yes}, expect: {status: 404}}", []string{"1:50: request.tls: must be true or false"}},
		"a duration without a unit":       {"{name: a, request: 'http://a.test/', expect: {timeout: 3}}", []string{"1:66: expect.timeout: must be a duration, such as 2s"}},
		"one share":                       {"{name: a, request: 'http://a.test/', expect: {shares: [{host: a, weight: 1}]}}", []string{"1:65: expect.shares: shares are two or more; for one, write destination"}},
		"a share without weight":          {"{name: a, request: 'http://a.test/', expect: {shares: [{host: a}, {host: b}]}}", []string{"1:66: expect.shares: every share needs a host and a weight"}},
		"a rule that is not a reference":  {"{name: a, request: 'http://a.test/', expect: {rule: shop}}", []string{`1:63: expect.rule: "shop" is neither none nor a rule, such as default/shop.http[2].match[0]`}},
		"a fault of two kinds":            {"{name: a, request: 'http://a.test/', expect: {fault: {abort: {status: 503, grpcStatus: 1}}}}", []string{"1:72: expect.fault.abort: needs either status or grpcStatus"}},
		"a percentage beyond 100":         {"{name: a, request: 'http://a.test/', expect: {mirror: {host: a, percent: 101}}}", []string{"1:84: expect.mirror.percent: must be a percentage from 0 to 100"}},
		"no in a no":                      {"{name: a, request: 'http://a.test/', expect: {not: {not: {status: 404}}}}", []string{`1:63: expect.not: the key "not" is not known; the keys are destination, shares, redirect, status, body, rule, upstream, response, timeout, retries, mirror, fault`}},
		"a port that is a word":           {"{name: a, request: 'http://a.test:x/', expect: {status: 404}}", []string{`1:30: request: "http://a.test:x/" is not a method and an address, such as GET https://shop.example.com/cart`}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, mistakes(t, "tests: [  "+c.test+"]"))
		})
	}
}

// A file that has no tests is not a success.
func TestFilesWithoutTests(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ text, want string }{
		"nothing":                    {"", "there is no test in it"},
		"a resource of Istio":        {vs(shop), "there is no test in it"},
		"an empty list":              {"tests: []", "there is no test in it"},
		"no YAML":                    {"tests: [", "not valid YAML"},
		"two formats":                {"tests: [{name: a, request: 'http://a.test/', expect: {status: 404}}]\n---\ntestCases: []", "tests of istio-config-validator in a file with tests of waymark"},
		"something behind the tests": {"tests: [{name: a, request: 'http://a.test/', expect: {status: 404}}]\n---\nkind: Gateway", "a document without tests in a file of tests"},
		"a list":                     {"- a", "a document without tests in a file of tests"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			in := suite.Read([]string{write(t, "tests.yaml", c.text)})
			require.Len(t, in.Findings, 1)
			assert.Contains(t, in.Findings[0].Message, c.want)
		})
	}
	t.Run("a folder with rules alone", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		in := suite.Read([]string{dir})
		require.Len(t, in.Findings, 1)
		assert.Contains(t, in.Findings[0].Message, "there is no test")
	})
	t.Run("a path that is not there", func(t *testing.T) {
		t.Parallel()
		in := suite.Read([]string{"missing.yaml"})
		require.Len(t, in.Findings, 1)
		assert.Contains(t, in.Findings[0].Message, "no such file")
	})
}
