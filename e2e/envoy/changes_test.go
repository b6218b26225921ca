package envoy

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
)

// TestRunReadsChangedFiles changes rules under load, well and badly, and loses no request.
func TestRunReadsChangedFiles(t *testing.T) {
	for _, engine := range []string{"wasm", "envoy"} {
		t.Run(engine, func(t *testing.T) {
			r, dir := program.ServeBookinfo(t, engine)
			stop := program.UnderLoad(t, r.Get)
			file := filepath.Join(dir, "virtualservices.yaml")
			rules, err := os.ReadFile(file)
			require.NoError(t, err)
			replace := func(old, next string) {
				require.Contains(t, string(rules), old)
				require.NoError(t, os.WriteFile(file+".tmp", bytes.ReplaceAll(rules, []byte(old), []byte(next)), 0o600))
				require.NoError(t, os.Rename(file+".tmp", file))
			}
			status := func(path string) func() bool {
				return func() bool {
					got, err := r.Get("bookinfo.example.com", path)
					return err == nil && got == http.StatusOK
				}
			}
			assert.False(t, status("/alive")())
			replace("exact: /healthz", "exact: /alive")
			assert.Eventually(t, status("/alive"), 10*time.Second, 50*time.Millisecond, r.Output())
			replace("exact: /healthz", "exactly: /healthz")
			assert.Eventually(t, func() bool { return strings.Contains(r.Output(), `unknown field \"exactly\"`) }, 10*time.Second, 50*time.Millisecond)
			assert.Eventually(t, func() bool {
				return strings.Contains(r.Output(), "the changed files are served now, but for what is refused; what was served of it before is kept")
			}, 10*time.Second, 50*time.Millisecond)
			assert.True(t, status("/alive")(), "the old rules go on")
			replace("exact: /healthz", "exact: /well")
			assert.Eventually(t, status("/well"), 10*time.Second, 50*time.Millisecond, r.Output())
			assert.Eventually(t, func() bool { return !status("/alive")() }, 10*time.Second, 50*time.Millisecond)
			r.WaitFor(t, `"reload":3`)
			assert.Positive(t, stop())
			assert.Eventually(t, func() bool { // the access log names rule and destination
				return strings.Contains(r.Output(), "default/bookinfo.http[3].match[0]:page") &&
					strings.Contains(r.Output(), "outbound|9080||productpage.default.svc.cluster.local")
			}, 5*time.Second, 100*time.Millisecond)
		})
	}
}

// What fails for a reason that passes, such as a port that is in use, is tried again without another change.
func TestPassingFailures(t *testing.T) {
	for _, engine := range []string{"wasm", "envoy"} {
		t.Run(engine, func(t *testing.T) {
			ports, err := process.FreePorts(2)
			require.NoError(t, err)
			rules := strings.ReplaceAll(resources.AllowAll, "number: 80", fmt.Sprintf("number: %d", ports[0]))
			file := filepath.Join(t.TempDir(), "rules.yaml")
			require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
			args := []string{"--engine", engine, "--listen", "127.0.0.1", "--settle", "100ms"}
			if engine == "envoy" {
				args = append(args, "--envoy", defaultEnvoy(t).Path, "--matching", "native")
			}
			r := program.Serve(t, file, args...)
			r.WaitFor(t, "listening on")
			taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1]))
			require.NoError(t, err)
			another := fmt.Sprintf("  - {port: {number: %d, name: more, protocol: HTTP}, hosts: [\"*\"]}\n---", ports[1])
			resources.RenameInto(t, file, strings.Replace(rules, "---", another, 1))
			r.WaitFor(t, "are not used")
			require.NoError(t, taken.Close())
			r.WaitFor(t, "the changed files are served now")
			assert.Equal(t, 1, strings.Count(r.Output(), "are not used"), "the same failure is told once")
			r.Address = fmt.Sprintf("127.0.0.1:%d", ports[1])
			status, err := r.Get("a.test", "/")
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, status)
		})
	}
}
