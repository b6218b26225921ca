package envoy

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy"
)

// limitFlags are the flags of docs/security.md, "Limits on clients", with a value that is nobody's default, and what
// becomes of it in Envoy's configuration.
var limitFlags = map[string]struct{ value, configured string }{
	"buffer-limit":             {"40000", `"per_connection_buffer_limit_bytes": 40000`},
	"request-timeout":          {"7s", `"request_timeout": "7s"`},
	"request-headers-timeout":  {"8s", `"request_headers_timeout": "8s"`},
	"stream-idle-timeout":      {"90s", `"stream_idle_timeout": "90s"`},
	"idle-timeout":             {"10s", `"idle_timeout": "10s"`},
	"max-streams":              {"11", `"max_concurrent_streams": 11`},
	"stream-window":            {"65537", `"initial_stream_window_size": 65537`},
	"connection-window":        {"65538", `"initial_connection_window_size": 65538`},
	"max-connections":          {"12", `"max_active_downstream_connections": "12"`},
	"headers-with-underscores": {"drop_header", `"headers_with_underscores_action": "DROP_HEADER"`},
	"escaped-slashes":          {"unescape_and_forward", `"path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"`},
	"merge-slashes":            {"true", `"merge_slashes": true`},
}

// oneSpace takes away what is random in Envoy's form of JSON.
func oneSpace(text string) string { return regexp.MustCompile(`": +`).ReplaceAllString(text, `": `) }

func TestLimitsAreFlags(t *testing.T) {
	documented := string(mustRead(t, filepath.Join(repository.Root, "docs", "security.md")))
	var args []string
	for name, f := range limitFlags {
		assert.Contains(t, documented, "| `--"+name+"` |")
		args = append(args, "--"+name+"="+f.value)
	}
	assert.Equal(t, len(limitFlags), strings.Count(documented, "\n| `--"), "each that is documented is tried")
	for _, profile := range []string{"edge", "plain"} {
		all := append([]string{"translate", "-f", "examples/bookinfo", "--matching", "native", "--admin-port", "0", "--profile", profile}, args...)
		stdout, stderr, status := program.Run(t, "", all...)
		require.Zero(t, status, stderr)
		for name, f := range limitFlags {
			assert.True(t, strings.Contains(oneSpace(stdout), f.configured), name)
		}
		assert.Contains(t, stderr, "clients are limited: buffer-limit=40000 request-timeout=7s")
		file := filepath.Join(t.TempDir(), "bootstrap.json")
		require.NoError(t, os.WriteFile(file, []byte(stdout), 0o600))
		for _, b := range envoys(t) {
			text, err := program.Command(b.Path, "--mode", "validate", "-c", file)
			assert.NoError(t, err, "%s", text)
		}
	}

	edge, stderr, _ := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--matching", "native")
	assert.Contains(t, oneSpace(edge), `"per_connection_buffer_limit_bytes": 32768`)
	assert.Contains(t, stderr, "notice: --profile edge, clients are limited: buffer-limit=32768 request-timeout=5m0s request-headers-timeout=1m0s stream-idle-timeout=5m0s "+
		"idle-timeout=1h0m0s max-streams=100 stream-window=65536 connection-window=1048576 max-connections=50000 headers-with-underscores=REJECT_REQUEST")

	plain, stderr, _ := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--matching", "native", "--profile", "plain")
	assert.NotContains(t, stderr, "limited", "what Istio does not limit is not limited")
	for _, field := range []string{"buffer_limit", "request_timeout", "request_headers_timeout", `"idle_timeout"`, "http2_protocol_options", "overload_manager", "underscores", "merge_slashes"} {
		assert.False(t, strings.Contains(plain, field), field)
	}
	assert.Contains(t, oneSpace(plain), `"stream_idle_timeout": "0s"`)
}

func mustRead(t testing.TB, file string) []byte {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// What the limits do: a body is kept for a second try up to the buffer, a slow request is given up, underscores are
// dropped.
func TestLimitsOnEnvoys(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		limits := envoy.ProfileEdge.Limits()
		limits.Request = 300 * time.Millisecond
		e := startEdge(t, b, envoy.Options{Limits: &limits, Underscores: "DROP_HEADER"})
		tries := func(size int) int64 {
			before := e.web.asked.Load()
			e.web.status.Store(http.StatusServiceUnavailable)
			defer e.web.status.Store(0)
			askRaw(e.address("HTTP"), post("/retried", size))
			return e.web.asked.Load() - before
		}
		assert.EqualValues(t, 3, tries(20<<10), "Istio's two retries")
		assert.EqualValues(t, 1, tries(100<<10))

		got := askRaw(e.address("HTTP"), "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nab")
		assert.Equal(t, "408", got.Outcome)

		answer, seen := e.ask(t, "/", map[string]string{"x_user": "a", "x-user": "b"})
		assert.Equal(t, http.StatusOK, answer.status)
		require.NotNil(t, seen)
		assert.Empty(t, seen.Header.Get("X_user"))
		assert.Equal(t, "b", seen.Header.Get("X-User"))
	})
}

// A body keeps the form in which it came, however long it is: with its length, or in chunks. It is the same with an Envoy
// and with the embedded data plane.
func TestBodiesKeepTheirLength(t *testing.T) {
	all := append(comparedEnvoys(t, defaultEnvoy(t), nastyRules, func(*envoy.Options) {})[:1], comparedPlane(t, nastyRules, &envoy.Options{}))
	long := strings.Repeat("a", 3<<20)
	for _, c := range []struct{ head, body, length, coding string }{
		{"Content-Length: 3", "abc", "3", ""},
		{"Content-Length: 0", "", "0", ""},
		{"Content-Length: 3145728", long, "3145728", ""},
		{"Transfer-Encoding: chunked", "300000\r\n" + long + "\r\n0\r\n\r\n", "", "chunked"},
	} {
		for _, who := range all {
			got := askRaw(who.address, "POST /a HTTP/1.1\r\nHost: a.test\r\n"+c.head+"\r\n\r\n"+c.body)
			require.NotNil(t, got.Seen, "%s, %s: %s", who.name, c.head, got.Outcome)
			assert.Equal(t, c.length, strings.Join(got.Seen.Headers["content-length"], ","), "%s, %s", who.name, c.head)
			assert.Equal(t, c.coding, strings.Join(got.Seen.Headers["transfer-encoding"], ","), "%s, %s", who.name, c.head)
		}
	}
}
