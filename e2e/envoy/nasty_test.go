package envoy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"waymark.dev/waymark/verdict"
)

// nastyRules match on what clients can be nasty with. Every rule has a destination of its own, so that an echo says which
// rule was chosen.
const nastyRules = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secure, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http-secure, protocol: HTTP}, hosts: [secure.test], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: default}
spec: {hosts: [secure.test], gateways: [secure], http: [{route: [{destination: {host: secure.svc}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - {match: [{uri: {prefix: /admin}}], directResponse: {status: 403, body: {string: "rule: admin"}}}
  - {match: [{uri: {exact: /moved}}], redirect: {uri: /elsewhere}}
  - {match: [{headers: {x-forwarded-proto: {exact: https}}}], route: [{destination: {host: proto-https.svc}}]}
  - {match: [{headers: {x-forwarded-proto: {exact: http}}, uri: {prefix: /proto}}], route: [{destination: {host: proto-http.svc}}]}
  - {match: [{headers: {x-forwarded-for: {prefix: 1.1.1.1}}, uri: {prefix: /xff}}], route: [{destination: {host: xff.svc}}]}
  - {match: [{headers: {x-forwarded-for: {}}, uri: {prefix: /forwarded}}], route: [{destination: {host: forwarded.svc}}]}
  - {match: [{headers: {x-request-id: {exact: mine}}}], route: [{destination: {host: id.svc}}]}
  - {match: [{headers: {x-request-id: {}}, uri: {prefix: /id}}], route: [{destination: {host: any-id.svc}}]}
  - {match: [{headers: {te: {exact: trailers}}, uri: {prefix: /te}}], route: [{destination: {host: trailers.svc}}]}
  - {match: [{headers: {te: {}}, uri: {prefix: /te}}], route: [{destination: {host: te.svc}}]}
  - {match: [{headers: {connection: {}}, uri: {prefix: /hop}}], route: [{destination: {host: connection.svc}}]}
  - {match: [{headers: {keep-alive: {}}, uri: {prefix: /hop}}], route: [{destination: {host: keep-alive.svc}}]}
  - {match: [{headers: {upgrade: {}}, uri: {prefix: /hop}}], route: [{destination: {host: upgrade.svc}}]}
  - {match: [{headers: {transfer-encoding: {}}, uri: {prefix: /hop}}], route: [{destination: {host: coding.svc}}]}
  - {match: [{headers: {content-length: {exact: "3"}}, uri: {prefix: /hop}}], route: [{destination: {host: length.svc}}]}
  - {match: [{headers: {x-envoy-internal: {}}}], route: [{destination: {host: internal.svc}}]}
  - {match: [{headers: {x-envoy-original-path: {}}}], route: [{destination: {host: original-path.svc}}]}
  - {match: [{headers: {x-envoy-external-address: {exact: 9.9.9.9}}}], route: [{destination: {host: external.svc}}]}
  - {match: [{headers: {x-envoy-max-retries: {}}}], route: [{destination: {host: retries.svc}}]}
  - {match: [{headers: {x-envoy-attempt-count: {}}}], route: [{destination: {host: attempts.svc}}]}
  - {match: [{headers: {x-forwarded-client-cert: {}}}], route: [{destination: {host: cert.svc}}]}
  - {match: [{headers: {x-waymark-route: {}}}], route: [{destination: {host: ours.svc}}]}
  - {match: [{headers: {x_user: {}}}], route: [{destination: {host: underscore.svc}}]}
  - {match: [{headers: {x-user: {exact: "a,b"}}}], route: [{destination: {host: joined.svc}}]}
  - {match: [{headers: {x-user: {exact: a}}}], route: [{destination: {host: user.svc}}]}
  - {match: [{headers: {user-agent: {regex: ".*bot.*"}}}], route: [{destination: {host: bot.svc}}]}
  - {match: [{headers: {referer: {}}, uri: {prefix: /ref}}], route: [{destination: {host: referer.svc}}]}
  - {match: [{headers: {cookie: {regex: ".*a=1.*"}}}], route: [{destination: {host: cookie.svc}}]}
  - {match: [{authority: {exact: "a.test:8080"}}], route: [{destination: {host: port.svc}}]}
  - {match: [{authority: {prefix: A}}], route: [{destination: {host: capital.svc}}]}
  - {match: [{method: {exact: PURGE}}], route: [{destination: {host: purge.svc}}]}
  - {match: [{method: {regex: "[a-z]+"}}], route: [{destination: {host: lower.svc}}]}
  - {match: [{queryParams: {q: {exact: "%2f"}}}], route: [{destination: {host: query.svc}}]}
  - {match: [{uri: {regex: "/[a-z]+//.*"}}], route: [{destination: {host: slashes.svc}}]}
  - {match: [{uri: {regex: ".*%.*"}}], route: [{destination: {host: percent.svc}}]}
  - {match: [{uri: {prefix: /p}, withoutHeaders: {x-none: {}}}], route: [{destination: {host: p.svc}}], headers: {request: {set: {x-path: "%REQ(:PATH)%", x-proto: "%REQ(X-FORWARDED-PROTO)%"}}}}
  - {match: [{uri: {prefix: /rewritten}}], rewrite: {uri: /new, authority: b.test}, route: [{destination: {host: rewritten.svc}}]}
  - {match: [{uri: {prefix: /}, headers: {x-only: {exact: some}}}], route: [{destination: {host: only.svc}}]}
  - {match: [{uri: {prefix: /a}}, {uri: {prefix: /x}}, {uri: {exact: /}}, {method: {exact: POST}}], route: [{destination: {host: all.svc}}]}
`

// nasty is one request, as it is sent over HTTP/1.1.
type nasty struct {
	method, target, host string
	lines                [][2]string
	body                 string
}

// has says that a header was sent.
func (n nasty) has(name string) bool {
	return slices.ContainsFunc(n.lines, func(l [2]string) bool { return strings.EqualFold(l[0], name) })
}

func (n nasty) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", n.method, n.target, n.host)
	for _, l := range n.lines {
		fmt.Fprintf(&b, "%s: %s\r\n", l[0], l[1])
	}
	return b.String() + "\r\n" + n.body
}

// fields are the request as it is sent over HTTP/2.
func (n nasty) fields() []string {
	out := []string{":method", n.method, ":scheme", "http", ":authority", n.host, ":path", n.target}
	for _, l := range n.lines {
		out = append(out, strings.ToLower(l[0]), strings.Trim(l[1], " \t"))
	}
	return out
}

// send sends the request, over HTTP/1.1 or HTTP/2.
func (n nasty) send(address, protocol string) reply {
	if protocol != verdict.HTTP2 {
		return askRaw(address, n.String())
	}
	answer, _ := askH2(address, n.fields()...)
	return answer
}

// asked is the request as decide gets it.
func (n nasty) asked(port uint32, protocol string) verdict.Request {
	q := request(n.target, nil)
	q.Method, q.Authority, q.GatewayPort, q.Protocol = n.method, n.host, port, protocol
	q.SetHeaders(n.lines)
	return q
}

// What nasty requests are made of.
var (
	nastyMethods = []string{"GET", "GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PURGE", "PROPFIND", "get", "Get", "FOO", "QUERY", "GE(T", "CONNECT", "MSEARCH", "M-SEARCH"}
	nastyTargets = []string{
		"/", "/a", "/admin", "//admin", `/\admin`, "/%2fadmin", "/admin%2f..", "/x/..%2fadmin", "/x/..;a=b/admin", "/x/%2e%2e;a=b/admin", "/x/../admin", "/%61dmin",
		"/ADMIN", "/moved", "/moved?a=b", "/moved/", "/proto", "/xff", "/forwarded", "/id", "/te", "/hop", "/ref", "/rewritten/a", "/p?q=%2f", "/p%20q", "/p//q", "/none",
		"*", "", "a", "http://a.test/admin", "http://b.test/a", "HTTP://a.test", "http://a.test?q=%2f", "https://a.test/a", "ftp://a.test/a", "http://", "http:///a", "http://a.test:8080/a", "http://u@a.test/admin", "http://u:p@b.test/admin", "http://@a.test/a", "http://x@y@a.test/a", "http://a.test@b.test/admin", "http://a.test:/a", "http://a.test:99999/a", "http://a.test:80/admin", "http://[::1]/a", "http://[::1]:80/a", "/a\tb", "/adm\tin", "http://a.test/a\tb",
		"/a#b", "/#/admin", "/a?#", "/?q=%2f", "/?q=/", "/%", "/%2%61", "/%zz", "/%00", "/a%0d%0ab", "/\t", "/a b", "/\x01", "/\x7f", "/\xc3\xbc", "/%c3%bc", "/a|b", "/a\"b", "/<>",
		"a.test:80", "a.test", "/.", "/..", "/./admin", "/%2e/admin", "/;/admin", "/a/;b", "?", "/?", "*a", "*/", "/a\t", "\t/a", "/a\r", "\r/a", "/admin\x01", "\x01/admin", "/a\f", "/a\fb", "/a\rb", "//", "///", "/*",
	}
	nastyHosts = []string{
		"a.test", "a.test", "a.test", "a.test", "a.test", "a.test", "a.test", "A.test", "a.test:8080", "a.test:80", "a.test.", "a.test/", "a.test/x", "a.test?", "a.test#", "a.test:", "a.test:x", "b.test",
		"secure.test", "", " a.test ", "a.test a", "a@a.test", "user:pw@a.test", "[::1]", "[::1]:80", "127.0.0.1", "a.test,b.test", "a_b.test", "a%2etest", "a\\test", "\"a.test\"", "a.test\x01", "\xc3\xbc.test", "*", "a.te<st", "a|b", "{a}",
	}
	nastyLines = [][2]string{
		{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", "ftp"}, {"X-Forwarded-Proto", ""}, {"x-forwarded-proto", "HTTPS"},
		{"X-Forwarded-For", "1.1.1.1"}, {"X-Forwarded-For", "1.1.1.1, 2.2.2.2"}, {"X-Forwarded-For", ""}, {"X-Forwarded-For", "junk"}, {"X-Forwarded-Host", "b.test"}, {"X-Forwarded-Port", "1"},
		{"X-Request-Id", "mine"}, {"X-Request-Id", ""}, {"TE", "trailers"}, {"TE", "gzip"}, {"te", "gzip, trailers"}, {"te", "trailers;q=0.5"}, {"TE", ""}, {"te", "TRAILERS"},
		{"Connection", "close"}, {"Connection", "keep-alive"}, {"Connection", "x-user"}, {"Connection", "x-user, te"}, {"Connection", "te"}, {"Connection", "upgrade"}, {"Connection", "x-forwarded-for"},
		{"Connection", "x-forwarded-proto"}, {"Connection", "cookie, user-agent"}, {"Connection", ":path"}, {"Connection", ""}, {"Connection", "a,b,c,d,e,f,g,h,i,j,k"}, {"Connection", "connection"}, {"Connection", "host"}, {"Connection", "x-waymark-route"},
		{"Upgrade", "websocket"}, {"Upgrade", "foo"}, {"Upgrade", "h2c"}, {"Upgrade", ""}, {"HTTP2-Settings", "x"}, {"Keep-Alive", "timeout=5"}, {"Proxy-Connection", "keep-alive"},
		{"x-envoy-internal", "true"}, {"x-envoy-original-path", "/admin"}, {"x-envoy-external-address", "9.9.9.9"}, {"x-envoy-max-retries", "3"}, {"x-envoy-attempt-count", "7"}, {"x-envoy-retry-on", "5xx"},
		{"x-envoy-upstream-rq-timeout-ms", "1"}, {"x-envoy-decorator-operation", "x"}, {"x-envoy-peer-metadata", "x"}, {"x-envoy-original-host", "b.test"}, {"x-envoy-force-trace", "1"}, {"x-envoy-expected-rq-timeout-ms", "1"},
		{"x-envoy-upstream-stream-duration-ms", "5000"}, {"x-envoy-ip-tags", "a"}, {"x-envoy-hedge-on-per-try-timeout", "true"}, {"x-envoy-downstream-service-cluster", "a"}, {"x-envoy-fault-abort-request", "418"}, {"x-client-trace-id", "1"},
		{"X-Forwarded-Client-Cert", "Hash=0"}, {"x-waymark-route", "kffffffffffffffff"}, {"x-waymark-other", "1"}, {"x_user", "a"}, {"X_USER", "b"}, {"_", "a"}, {"x-user", "a"}, {"X-User", "b"}, {"x-user", "a,b"}, {"x-user", ""}, {"x-user", " a "}, {"x-user", "\ta"},
		{"x-only", "some"}, {"User-Agent", "a bot"}, {"User-Agent", ""}, {"User-Agent", "x"}, {"Referer", "http://b.test/"}, {"Referer", "junk"}, {"Referer", ""}, {"Referer", "/a"}, {"Referer", "https://b.test"}, {"Cookie", "a=1"}, {"Cookie", "b=2; a=1"}, {"Cookie", "b=2"}, {"Cookie", ""},
		{"Content-Type", "application/grpc"}, {"Content-Type", "application/grpc+proto"}, {"Content-Type", "application/grpcx"}, {"Content-Type", "text/plain"}, {"Accept", "*/*"}, {"Authorization", "x"}, {"Authorization", "y"}, {"Via", "1.1 x"}, {"Origin", "null"},
		{"Expect", "100-continue"}, {"Expect", "x"}, {"x-a", "\x00"}, {"x-a", "\x01"}, {"x-a", "a\x7fb"}, {"x-a", "\xff\xfe"}, {"x-a", "a\rb"}, {"x a", "1"}, {"x(a", "1"}, {"x-a ", "1"}, {"", "1"}, {":path", "/admin"}, {":authority", "b.test"}, {"x\x00", "1"}, {"x\xc3\xbc", "1"},
		{"Trailer", "x-a"}, {"x-none", "1"}, {"Host2", "b.test"}, {"Host", "a.test"}, {"Host", "b.test"}, {"Host", ""}, {"Host", "a/b"}, {"Host", "u@a.test"}, {"x-long", strings.Repeat("a", 61<<10)}, {"Cdn-Loop", "a"}, {"Early-Data", "1"}, {"Grpc-Timeout", "1S"}, {"Grpc-Timeout", "x"}, {"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	nastyBodies = [][2]string{ // headers and the body that belongs to them, or does not
		{"Content-Length: 3", "abc"}, {"Content-Length: 0", ""}, {"Content-Length: 03", "abc"}, {"Content-Length: +3", "abc"}, {"Content-Length: -1", ""}, {"Content-Length: x", ""}, {"Content-Length: 3, 3", "abc"}, {"Content-Length: ", ""},
		{"Transfer-Encoding: chunked", "0\r\n\r\n"}, {"Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"}, {"Transfer-Encoding: gzip", ""}, {"Transfer-Encoding: identity", ""}, {"Transfer-Encoding: gzip, chunked", "0\r\n\r\n"},
		{"Transfer-Encoding: Chunked", "0\r\n\r\n"}, {"Transfer-Encoding: ", ""}, {"Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"}, {"Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n"},
		{"Content-Length: 3\r\nContent-Length: 3", "abc"}, {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"},
	}
)

// nastyRequests are n different requests, the same for a seed.
func nastyRequests(n int, seed uint64) []nasty {
	r := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // the same every time
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	var out []nasty
	seen := map[string]bool{}
	add := func(q nasty) {
		if text := q.String(); !seen[text] && len(out) < n {
			seen[text] = true
			out = append(out, q)
		}
	}
	plain := nasty{method: "GET", target: "/a", host: "a.test"}
	with := func(change func(*nasty)) {
		q := plain
		change(&q)
		add(q)
	}
	for _, m := range nastyMethods {
		with(func(q *nasty) { q.method = m })
	}
	for _, target := range []string{"a.test:80", "secure.test:80", "secure.test", "b.test:443"} {
		with(func(q *nasty) { q.method, q.target = "CONNECT", target })
		with(func(q *nasty) { q.method, q.target, q.host = "CONNECT", target, target })
	}
	for _, target := range nastyTargets {
		with(func(q *nasty) { q.target = target })
		with(func(q *nasty) { q.target, q.method = target, "OPTIONS" })
	}
	for _, h := range nastyHosts {
		with(func(q *nasty) { q.host = h })
	}
	for _, target := range []string{"/a", "/hop", "/te", "/none", "/xff", "/ref", "/%2fp"} {
		for _, l := range nastyLines {
			with(func(q *nasty) { q.target, q.lines = target, [][2]string{l} })
		}
	}
	for _, target := range []string{"/a", "/hop", "/none", "/admin", "/moved", "/p", "//"} {
		for _, to := range []string{"foo", "websocket", "h2c", "", "websocket, foo", "TLS/1.0"} {
			for _, host := range []string{"a.test", "secure.test", "b.test"} {
				with(func(q *nasty) {
					q.target, q.host, q.lines = target, host, [][2]string{{"Connection", "Upgrade"}, {"Upgrade", to}}
				})
			}
		}
	}
	body := func(q *nasty) {
		b := nastyBodies[r.IntN(len(nastyBodies))]
		q.body = b[1]
		for line := range strings.SplitSeq(b[0], "\r\n") {
			name, value, _ := strings.Cut(line, ": ")
			q.lines = append(q.lines, [2]string{name, value})
		}
	}
	for range 200 {
		with(func(q *nasty) {
			q.method, q.target = pick([]string{"POST", "GET", "PUT"}), pick([]string{"/a", "/hop", "/admin"})
			body(q)
		})
	}
	for _, path := range nastyPaths(300) {
		with(func(q *nasty) { q.target = path })
	}
	for len(out) < n {
		with(func(q *nasty) {
			if r.IntN(4) == 0 {
				q.method = pick(nastyMethods)
			}
			if q.target = pick(nastyTargets); r.IntN(4) == 0 {
				q.host = pick(nastyHosts)
			}
			for range r.IntN(4) {
				q.lines = append(q.lines, nastyLines[r.IntN(len(nastyLines))])
			}
			if r.IntN(6) == 0 {
				body(q)
			}
		})
	}
	return out
}
