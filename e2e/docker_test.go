//go:build docker

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process"
)

// TestDocker brings the road up in containers, as the compose file says, and walks it.
func TestDocker(t *testing.T) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	port := strconv.Itoa(int(ports[0]))
	run := func(args ...string) string {
		c := exec.Command("build/docker.sh", args...)
		c.Dir, c.Env = root, append(os.Environ(), "WAYMARK_PORT="+port)
		text, err := c.CombinedOutput()
		require.NoError(t, err, "%s", text)
		return string(text)
	}
	t.Cleanup(func() { run("down") })
	run("up")
	get := func(host, path string, headers map[string]string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+path, nil)
		require.NoError(t, err)
		r.Host = host
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		response, err := (&http.Client{Timeout: 5 * time.Second}).Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode, response.Header.Get("X-Service")
	}
	ready := func() bool {
		status, _ := get("bookinfo.example.com", "/healthz", nil)
		return status == http.StatusOK
	}
	if !assert.Eventually(t, ready, time.Minute, 200*time.Millisecond) {
		t.Fatal(run("logs"))
	}
	for _, c := range []struct {
		what, host, path string
		headers          map[string]string
		status           int
		service          string
	}{
		{"a service", "bookinfo.example.com", "/productpage", nil, 200, "productpage"},
		{"a subset by header", "reviews.bookinfo.example.com", "/", map[string]string{"end-user": "jason"}, 200, "reviews v2"},
		{"a fault", "ratings.bookinfo.example.com", "/", map[string]string{"end-user": "tester"}, 503, ""},
		{"a retry", "ratings.bookinfo.example.com", "/flaky", nil, 200, "ratings v1"},
		{"no rule", "bookinfo.example.com", "/nothing", nil, 404, ""},
		{"a client's own choice", "bookinfo.example.com", "/nothing", map[string]string{"x-waymark-route": "kaaaaaaaaaaaa", "x-envoy-fault-abort-request": "418"}, 404, ""},
	} {
		status, service := get(c.host, c.path, c.headers)
		assert.Equal(t, c.status, status, c.what)
		assert.Equal(t, c.service, service, c.what)
	}
}
