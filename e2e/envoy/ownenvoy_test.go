package envoy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/markdown"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// TestOwnEnvoy loads what 'translate -o plugin-config' and '--dynamic' print into the bootstrap of examples/own-envoy, by
// the commands of its README, in every version: requests are decided by the filter, and executed by the routes.
func TestOwnEnvoy(t *testing.T) {
	_, err := program.Path()
	require.NoError(t, err)
	program.ServeBookinfo(t, "wasm") // whose stand-ins answer
	readme, err := os.ReadFile(filepath.Join(repository.Root, "examples", "own-envoy", "README.md"))
	require.NoError(t, err)
	dir := likeRoot(t)
	commands := 0
	for _, b := range markdown.Blocks(string(readme)) {
		for _, line := range b.Lines {
			if b.Kind != "sh" || !strings.Contains(line, "bin/waymark translate") && !strings.Contains(line, "bin/waymark module") {
				continue
			}
			commands++
			c := exec.Command("sh", "-c", line)
			c.Dir = dir
			text, err := c.CombinedOutput()
			require.NoError(t, err, "%s\n%s", line, text)
		}
	}
	require.Equal(t, 3, commands)
	bootstrap, err := os.ReadFile(filepath.Join(repository.Root, "examples", "own-envoy", "envoy.yaml"))
	require.NoError(t, err)
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			ports, err := process.FreePorts(2)
			require.NoError(t, err)
			text := strings.NewReplacer("port_value: 10000", fmt.Sprintf("port_value: %d", ports[0]), "port_value: 10001", fmt.Sprintf("port_value: %d", ports[1]),
				"envoy-files/", filepath.Join(dir, "envoy-files")+"/").Replace(string(bootstrap))
			file := filepath.Join(dir, "envoy-files", "filter.yaml")
			filter, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(filter), "filename: envoy-files/", "filename: "+filepath.Join(dir, "envoy-files")+"/", 1)), 0o600))
			config := filepath.Join(t.TempDir(), "envoy.yaml")
			require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
			p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Config: config, AdminPort: ports[1], Concurrency: 1})
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Stop()) }()
			ask := func(host, path, user string) (status int, service string) {
				q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", ports[0], path), nil)
				require.NoError(t, err)
				q.Host = host
				if user != "" {
					q.Header.Set("End-User", user)
				}
				response, err := program.HTTPClient.Do(q)
				if err != nil {
					return 0, err.Error()
				}
				_ = response.Body.Close() // it was not read
				return response.StatusCode, response.Header.Get("X-Service")
			}
			require.Eventually(t, func() bool {
				status, service := ask("reviews.bookinfo.example.com", "/reviews/0", "jason")
				return status == http.StatusOK && service == "reviews v2"
			}, 10*time.Second, 50*time.Millisecond, "the first rule: %s", p.Log())
			seen := map[string]bool{}
			for range 200 {
				status, service := ask("reviews.bookinfo.example.com", "/reviews/0", "")
				require.Equal(t, http.StatusOK, status)
				seen[service] = true
			}
			assert.Len(t, seen, 3, "the split: %v", seen)
			c := exec.Command("sh", "-c", fmt.Sprintf("bin/waymark translate -f examples/bookinfo --dynamic envoy-files --admin 127.0.0.1:%d", ports[1]))
			c.Dir = dir
			said, err := c.CombinedOutput()
			require.NoError(t, err, "it reads the folder, although its bootstrap is another one: %s", said)
			status, _ := ask("ratings.bookinfo.example.com", "/ratings/0", "tester")
			assert.Equal(t, http.StatusServiceUnavailable, status, "a fault")
			for host, path := range map[string]string{"bookinfo.example.com": "/none", "example.org": "/"} {
				status, _ = ask(host, path, "")
				assert.Equal(t, http.StatusNotFound, status, host)
			}
		})
	}
}
