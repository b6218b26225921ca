package envoy

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

const edgeRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}
  - {port: {number: $TCP, name: tcp, protocol: TCP}, bind: 127.0.0.1, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: default}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - {name: down, match: [{uri: {prefix: /down}}], retries: {attempts: 0}, route: [{destination: {host: down.svc}}]}
  - {name: secret, match: [{uri: {prefix: /secret}}], directResponse: {status: 403}}
  - {name: retried, match: [{uri: {prefix: /retried}}], retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: web.svc}}]}
  - {name: web, route: [{destination: {host: web.svc}}]}
  tcp: [{route: [{destination: {host: plain.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: down, namespace: default}
spec: {hosts: [down.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $DOWN, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: plain, namespace: default}
spec: {hosts: [plain.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $PLAIN, name: tcp, protocol: TCP}]}
`

// edge is an Envoy with an upstream behind it.
type edge struct {
	*door
	names
	web *httpUpstream
}

func startEdge(t testing.TB, b envoytest.Binary, o envoy.Options) *edge {
	e := &edge{web: startUpstream(t, "web", nil)}
	e.names = names{"WEB": e.web.port, "PLAIN": tcpUpstream(t, "plain", nil)}.ports(t, "HTTP", "TCP", "DOWN")
	p, _ := translateYAML(t, e.expand(t, edgeRules), translate.Options{})
	e.door = openDoor(t, b, p, o)
	return e
}

// ask makes one request on a connection of its own, and returns what the upstream saw of it; nil where it saw none.
func (e *edge) ask(t testing.TB, path string, headers map[string]string) (answer, *http.Request) {
	e.web.observed.Store(nil)
	a := asker{t, &client{address: e.address("HTTP")}}
	defer a.close()
	got := a.ask("a.test", path, headers)
	return got, e.web.observed.Load()
}

// GW-HCM-01, GW-HCM-02, GW-HCM-04, GW-NORM-01, GW-HCM-07
func TestEdge(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		e := startEdge(t, b, envoy.Options{})

		t.Run("underscores in headers are refused", func(t *testing.T) {
			got, seen := e.ask(t, "/", map[string]string{"x_user": "a"})
			assert.Equal(t, http.StatusBadRequest, got.status)
			assert.Nil(t, seen)
		})
		t.Run("headers of at most 60 KB", func(t *testing.T) {
			got, seen := e.ask(t, "/", map[string]string{"x-a": strings.Repeat("a", 50<<10)})
			assert.Equal(t, http.StatusOK, got.status)
			assert.NotNil(t, seen)
			got, seen = e.ask(t, "/", map[string]string{"x-a": strings.Repeat("a", 64<<10)})
			assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, got.status)
			assert.Nil(t, seen)
		})
		t.Run("paths are normalised before rules see them", func(t *testing.T) {
			for path, want := range map[string]string{
				"/a/../b": "/b", "/a/./b": "/a/b", "/%61": "/a", `/a\b`: "/a/b", "/a//b": "/a/b",
			} {
				got, seen := e.ask(t, path, nil)
				require.Equal(t, http.StatusOK, got.status, path)
				assert.Equal(t, want, seen.RequestURI, path)
			}
			for _, path := range []string{"/public/../%73ecret/x", "//secret", `/\secret`, "/x/..//secret"} {
				got, seen := e.ask(t, path, nil)
				assert.Equal(t, http.StatusForbidden, got.status, path)
				assert.Nil(t, seen)
			}
			for path, want := range map[string]string{"/%2fsecret": "/secret", "/x/..%2fsecret?a=%2f": "/secret?a=%2f", "/%5csecret": "/secret", "/a%2Fb": "/a/b"} {
				got, seen := e.ask(t, path, nil)
				assert.Equal(t, http.StatusTemporaryRedirect, got.status, path)
				assert.Equal(t, want, got.headers.Get("Location"), path)
				assert.Nil(t, seen)
			}
		})
		t.Run("what only the proxy may say", func(t *testing.T) {
			_, seen := e.ask(t, "/", map[string]string{
				"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9", "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-upstream-alt-stat-name": "x",
				"x-envoy-external-address": "9.9.9.9", "x-envoy-internal": "true", "x-envoy-original-path": "/x",
				"x-forwarded-client-cert": "Hash=0", "x-forwarded-proto": "https", "x-forwarded-for": "9.9.9.9", "x-request-id": "mine",
			})
			require.NotNil(t, seen)
			for name, values := range seen.Header {
				known := []string{"X-Envoy-External-Address", "X-Envoy-Attempt-Count", "X-Envoy-Expected-Rq-Timeout-Ms"}
				assert.True(t, !strings.HasPrefix(name, "X-Envoy-") || slices.Contains(known, name), "%s: %s", name, values)
			}
			assert.Equal(t, "127.0.0.1", seen.Header.Get("X-Envoy-External-Address"))
			assert.Empty(t, seen.Header.Get("X-Forwarded-Client-Cert"))
			assert.Equal(t, "http", seen.Header.Get("X-Forwarded-Proto"))
			assert.Regexp(t, `^9\.9\.9\.9,[0-9.]+$`, seen.Header.Get("X-Forwarded-For"), "of a client on the loopback address Envoy writes the machine's own")
			assert.NotEqual(t, "mine", seen.Header.Get("X-Request-Id"))
		})
		t.Run("limits of HTTP/2", func(t *testing.T) {
			settings := h2Settings(t, e.address("HTTP"))
			assert.EqualValues(t, 100, settings[maxConcurrentStreams])
			assert.EqualValues(t, 64<<10, settings[initialWindowSize])
		})
		t.Run("time limits", func(t *testing.T) {
			dump, err := e.Admin(context.Background(), "/config_dump?mask=dynamic_listeners")
			require.NoError(t, err)
			for _, field := range []string{`"stream_idle_timeout": "300s"`, `"request_timeout": "300s"`, `"request_headers_timeout": "60s"`, `"idle_timeout": "3600s"`} {
				assert.Contains(t, dump, field)
			}
		})
		t.Run("the access log says rule, destination and flags", func(t *testing.T) {
			e.ask(t, "/logged", nil)
			e.ask(t, "/down", nil)
			_, err := greet(e.address("TCP"), nil)
			require.NoError(t, err)
			lines := map[string]map[string]any{}
			require.Eventually(t, func() bool {
				for line := range strings.Lines(e.log.Output()) {
					var object map[string]any
					if json.Unmarshal([]byte(line), &object) == nil {
						lines[fmt.Sprint(object["path"])] = object
					}
				}
				return lines["/logged"] != nil && lines["/down"] != nil && lines["<nil>"] != nil
			}, 5*time.Second, 20*time.Millisecond, e.log.Output)
			at := func(port string) string { return fmt.Sprintf("127.0.0.1:%d", e.names[port]) }
			for path, want := range map[string]map[string]any{
				"/logged": {"rule": "default/all.http[3]:web", "cluster": fmt.Sprintf("outbound|%d||web.svc", e.names["WEB"]), "flags": "-", "status": 200.0, "upstream": at("WEB"), "details": "via_upstream"},
				"/down":   {"rule": "default/all.http[0].match[0]:down", "cluster": fmt.Sprintf("outbound|%d||down.svc", e.names["DOWN"]), "flags": "UF", "status": 503.0},
				"<nil>":   {"rule": "default/all.tcp[0]", "cluster": fmt.Sprintf("outbound|%d||plain.svc", e.names["PLAIN"]), "flags": "-", "protocol": "TCP", "upstream": at("PLAIN")},
			} {
				for name, value := range want {
					assert.Equal(t, value, lines[path][name], "%s of %s", name, path)
				}
			}
		})
	})
}

// Settings of HTTP/2 (RFC 9113, section 6.5.2).
const (
	maxConcurrentStreams = 3
	initialWindowSize    = 4
)

// h2Settings are what a server says in its first frame.
func h2Settings(t testing.TB, address string) map[uint16]uint32 {
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and settings of ours, none
	require.NoError(t, err)
	var head [9]byte
	_, err = io.ReadFull(conn, head[:])
	require.NoError(t, err)
	require.EqualValues(t, 4, head[3], "a frame of settings")
	body := make([]byte, int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(conn, body)
	require.NoError(t, err)
	out := map[uint16]uint32{}
	for ; len(body) >= 6; body = body[6:] {
		out[binary.BigEndian.Uint16(body)] = binary.BigEndian.Uint32(body[2:])
	}
	return out
}

// The fourth connection is refused, and the admin interface answers all the same; hops that are trusted may say who the
// client is, and a log for eyes is one line of text.
func TestEdgeConnectionsAndHops(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		limits := envoy.ProfileEdge.Limits()
		limits.Connections = 3
		e := startEdge(t, b, envoy.Options{Limits: &limits, TrustedHops: 2, AccessLog: envoy.AccessLogText})

		_, seen := e.ask(t, "/hops", map[string]string{"x-forwarded-for": "1.1.1.1, 2.2.2.2, 3.3.3.3", "x-forwarded-proto": "https"})
		require.NotNil(t, seen)
		assert.Equal(t, "2.2.2.2", seen.Header.Get("X-Envoy-External-Address"), "the address that the outermost trusted hop saw")
		assert.Equal(t, "https", seen.Header.Get("X-Forwarded-Proto"), "GW-HCM-01")
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^\[\S+Z\] "GET a\.test/hops HTTP/1\.1" 200 - via_upstream rule=default/all\.http\[3\]:web `+
			`cluster=outbound\|%d\|\|web\.svc upstream=127\.0\.0\.1:%d \d+ms client=2\.2\.2\.2 id=\S+$`, e.names["WEB"], e.names["WEB"]))
		require.Eventually(t, func() bool { return line.MatchString(e.log.Output()) }, 5*time.Second, 20*time.Millisecond, e.log.Output)

		require.Eventually(t, func() bool {
			return e.stat(t, "listener_manager.total_listeners_active") == 2 && e.stat(t, fmt.Sprintf("listener.127.0.0.1_%d.downstream_cx_active", e.names["HTTP"])) == 0
		},
			5*time.Second, 20*time.Millisecond)
		var open []*client
		for range 3 {
			c := &client{address: e.address("HTTP")}
			got, err := c.send(request("/", nil))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, got.status)
			open = append(open, c)
		}
		_, err := (&client{address: e.address("HTTP")}).send(request("/", nil))
		require.Error(t, err, "one too many")
		_, err = greet(e.address("TCP"), nil)
		require.Error(t, err, "on all listeners together")
		text, err := e.Admin(context.Background(), "/ready")
		require.NoError(t, err)
		assert.Equal(t, "LIVE\n", text)
		for _, c := range open {
			got, err := c.send(request("/", nil))
			require.NoError(t, err, "those that are there go on")
			assert.Equal(t, http.StatusOK, got.status)
			c.close()
		}
		assert.Eventually(t, func() bool {
			got, err := (&client{address: e.address("HTTP")}).send(request("/", nil))
			return err == nil && got.status == http.StatusOK
		}, 5*time.Second, 20*time.Millisecond, "there is room again")
	})
}

// Without the profile, Envoy's own limits hold; what a client may not say is the same.
func TestPlainProfile(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		e := startEdge(t, b, envoy.Options{Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeDecodeAndMergeSlashes}})
		got, seen := e.ask(t, "/", map[string]string{"x_user": "a", "x-envoy-max-retries": "9"})
		assert.Equal(t, http.StatusOK, got.status)
		require.NotNil(t, seen)
		assert.Equal(t, "a", seen.Header.Get("X_user"))
		assert.Empty(t, seen.Header.Get("X-Envoy-Max-Retries"))
		_, seen = e.ask(t, "/a//b%2Fc", nil)
		require.NotNil(t, seen)
		assert.Equal(t, "/a/b/c", seen.RequestURI)
		assert.NotEqualValues(t, 100, h2Settings(t, e.address("HTTP"))[maxConcurrentStreams])
		dump, err := e.Admin(context.Background(), "/config_dump")
		require.NoError(t, err)
		assert.NotContains(t, dump, "overload_manager")
	})
}
