package envoy

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy"
)

const earlyRules = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secure, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http-secure, protocol: HTTP}, hosts: [secure.test], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - {match: [{uri: {prefix: /secret}}], directResponse: {status: 403, body: {string: secret}}}
  - {match: [{uri: {prefix: /fault}}], fault: {abort: {percentage: {value: 100}, httpStatus: 418}}, route: [{destination: {host: up.svc}}]}
  - {match: [{uri: {prefix: /delay}}], fault: {delay: {percentage: {value: 100}, fixedDelay: 20ms}}, timeout: 3s, route: [{destination: {host: up.svc}}]}
  - match: [{uri: {prefix: /cors}}]
    corsPolicy: {allowOrigins: [{exact: "http://b.test"}], allowMethods: [GET]}
    route: [{destination: {host: up.svc}}]
  - {match: [{uri: {prefix: /limits}}], timeout: 7s, retries: {attempts: 2, perTryTimeout: 2s, retryOn: 5xx}, route: [{destination: {host: limited.svc}}]}
  - {match: [{uri: {exact: /only}, headers: {x-a: {exact: b}}}], route: [{destination: {host: up.svc}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: default}
spec:
  hosts: [secure.test]
  gateways: [secure]
  http:
  - {match: [{uri: {prefix: /secret}}], directResponse: {status: 403}}
  - {match: [{headers: {x-a: {exact: b}}}], route: [{destination: {host: limited.svc}}]}
  - {route: [{destination: {host: up.svc}}]}
`

// earlyChecks are requests about which Envoy decides something by the route, or could, before any filter runs. The keys
// are the checks of docs/security.md, "What Envoy checks before the filter"; outcomes are the statuses.
var earlyChecks = map[string]struct{ raw, outcome string }{
	"require_tls":                     {"GET /s HTTP/1.1\r\nHost: secure.test\r\n\r\n", "301"},
	"require_tls before a rule":       {"GET /secret HTTP/1.1\r\nHost: secure.test\r\n\r\n", "301"},
	"require_tls and a client's word": {"GET /s HTTP/1.1\r\nHost: secure.test\r\nX-Forwarded-Proto: https\r\nX-Envoy-Internal: true\r\n\r\n", "301"},
	"require_tls and a forged route":  {"GET /s HTTP/1.1\r\nHost: secure.test\r\nX-Waymark-Route: kffffffffffffffff\r\n\r\n", "301"},
	"upgrade":                         {"GET /limits HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", "403"},
	"upgrade and a forged route":      {"GET /limits HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade, x-waymark-route\r\nX-Waymark-Route: k1\r\nUpgrade: foo\r\n\r\n", "403"},
	"upgrade of gRPC":                 {"POST /limits HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/grpc\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", "200"},
	"upgrade with a body":             {"POST /limits HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 3\r\n\r\nabc", "403"},
	"upgrade with both lengths":       {"POST /limits HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	"upgrade in HTTP/1.0":             {"GET /limits HTTP/1.0\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", "426"},
	"CONNECT":                         {"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n", "404"},
	"CONNECT with a body":             {"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 3\r\n\r\nabc", "400"},
	"filters of a route: fault":       {"GET /fault HTTP/1.1\r\nHost: a.test\r\n\r\n", "418"},
	"filters of a route: delay":       {"GET /delay HTTP/1.1\r\nHost: a.test\r\n\r\n", "200"},
	"filters of a route: CORS":        {"OPTIONS /cors HTTP/1.1\r\nHost: a.test\r\nOrigin: http://b.test\r\nAccess-Control-Request-Method: GET\r\n\r\n", "200"},
	"body limits":                     {post("/limits", 30<<10), "200"},
	"body limits, above the buffer":   {post("/limits", 2<<20), "200"},
	"body limits, an expected body":   {"POST /limits HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", "200"},
	"time limits":                     {"GET /limits HTTP/1.1\r\nHost: a.test\r\n\r\n", "200"},
	"time limits of gRPC":             {"POST /limits HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/grpc\r\nGrpc-Timeout: 1S\r\n\r\n", "200"},
	"no route":                        {"GET /only HTTP/1.1\r\nHost: a.test\r\n\r\n", "404"},
	"no virtual host":                 {"GET /s HTTP/1.1\r\nHost: other.test\r\n\r\n", "404"},
	"no virtual host and an upgrade":  {"GET /s HTTP/1.1\r\nHost: other.test\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", "404"},
	"no virtual host and a websocket": {"GET /s HTTP/1.1\r\nHost: other.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "404"},
}

func post(path string, size int) string {
	return "POST " + path + " HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat("b", size)
}

// earlyH2 are the same over HTTP/2, as header fields.
var earlyH2 = map[string]struct {
	fields  []string
	outcome string
}{
	"extended CONNECT":              {[]string{":method", "CONNECT", ":scheme", "http", ":authority", "a.test", ":path", "/limits", ":protocol", "websocket"}, "closed"},
	"extended CONNECT to foo":       {[]string{":method", "CONNECT", ":scheme", "http", ":authority", "a.test", ":path", "/limits", ":protocol", "foo"}, "closed"},
	"CONNECT of HTTP/2":             {[]string{":method", "CONNECT", ":authority", "a.test:80"}, "404"},
	"upgrade in HTTP/2":             {[]string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/limits", "upgrade", "foo"}, "closed"},
	"upgrade in HTTP/2, connection": {[]string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/limits", "connection", "upgrade"}, "closed"},
	"require_tls of HTTP/2":         {[]string{":method", "GET", ":scheme", "http", ":authority", "secure.test", ":path", "/s"}, "301"},
	"require_tls and :scheme":       {[]string{":method", "GET", ":scheme", "https", ":authority", "secure.test", ":path", "/s"}, "301"},
	"no route of HTTP/2":            {[]string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/only"}, "404"},
	"no virtual host of HTTP/2":     {[]string{":method", "GET", ":scheme", "http", ":authority", "other.test", ":path", "/"}, "404"},
	"time limits of HTTP/2":         {[]string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/limits"}, "200"},
}

// TestEarlyChecks sends what Envoy decides about before the filter runs to all ways of matching, which must agree.
func TestEarlyChecks(t *testing.T) {
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) { earlyChecksOn(t, b) })
	}
}

func earlyChecksOn(t *testing.T, b envoytest.Binary) {
	all := comparedEnvoys(t, b, earlyRules)
	native := all[0]
	for what, c := range earlyChecks {
		want := askRaw(native.address, c.raw)
		assert.Equal(t, c.outcome, want.Outcome, "%s: %s", what, want)
		for _, other := range all[1:] {
			assert.Equal(t, want.String(), askRaw(other.address, c.raw).String(), "%s with %s", what, other.name)
		}
	}
	for what, c := range earlyH2 {
		want, settings := askH2(native.address, c.fields...)
		assert.Equal(t, c.outcome, want.Outcome, "%s: %s", what, want)
		assert.Zero(t, settings[http2.SettingEnableConnectProtocol], "as at Istio's gateways")
		for _, other := range all[1:] {
			got, settings := askH2(other.address, c.fields...)
			assert.Equal(t, want.String(), got.String(), "%s with %s", what, other.name)
			assert.Zero(t, settings[http2.SettingEnableConnectProtocol])
		}
	}
}

// readEarly are the fields of a route that Envoy reads before the filter has chosen it. With one of them, filter and list
// would differ.
var readEarly = []string{
	"idle_timeout", "flush_timeout", "max_stream_duration", "upgrade_configs", "internal_redirect_policy", "early_data_policy",
	"per_request_buffer_limit_bytes", "request_body_buffer_limit", "tracing", "decorator",
}

// TestOutcomesHaveNothingThatIsReadEarly looks at the routes of all vectors.
func TestOutcomesHaveNothingThatIsReadEarly(t *testing.T) {
	routes := 0
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["match"] != nil && v["name"] != nil { // a route
				routes++
				action, _ := v["route"].(map[string]any)
				for _, field := range readEarly {
					assert.NotContains(t, v, field)
					assert.NotContains(t, action, field)
				}
			}
			for _, below := range v {
				look(below)
			}
		case []any:
			for _, below := range v {
				look(below)
			}
		}
	}
	for _, c := range vectors.Load(t, vectors.Open(t)) {
		b, err := envoy.Bootstrap(c.Plan, envoy.Options{Matching: envoy.MatchingFilter, Minor: 40, Module: "waymark.wasm"})
		require.NoError(t, err)
		text, err := envoy.JSON(b)
		require.NoError(t, err)
		var tree any
		require.NoError(t, json.Unmarshal(text, &tree))
		look(tree)
	}
	assert.Greater(t, routes, 700)
}

// TestEarlyChecksAreDocumented holds the requests against the table of docs/security.md.
func TestEarlyChecksAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "security.md"))
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "## What Envoy checks before the filter\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for line := range strings.Lines(section) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| ") && name != "check" && name != "---" {
			rows = append(rows, name)
		}
	}
	asked := append(slices.Collect(maps.Keys(earlyChecks)), slices.Collect(maps.Keys(earlyH2))...)
	fits := func(row string) func(string) bool {
		return func(key string) bool { return strings.HasPrefix(key, row) }
	}
	for _, row := range rows {
		assert.True(t, row == "tracing" || slices.ContainsFunc(asked, fits(row)), "no request for %q", row)
	}
	for _, key := range asked {
		assert.True(t, slices.ContainsFunc(rows, func(row string) bool { return fits(row)(key) }), "%q is not documented", key)
	}
	assert.Greater(t, len(rows), 8)
}
