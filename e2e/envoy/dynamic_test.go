package envoy

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
)

// TestTranslateDynamic writes files that Envoy watches, and again after changes: only what differs is written, Envoy takes
// it, and rules that are wrong change nothing.
func TestTranslateDynamic(t *testing.T) {
	rules := t.TempDir()
	text, err := exec.Command("cp", "-r", filepath.Join(repository.Root, "examples", "bookinfo")+"/.", rules).CombinedOutput()
	require.NoError(t, err, "%s", text)
	ports, err := process.FreePorts(2)
	require.NoError(t, err)
	replace := func(file, old, next string) {
		path := filepath.Join(rules, file)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(content), old)
		require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(content, []byte(old), []byte(next)), 0o600))
	}
	replace("gateway.yaml", "number: 8080", fmt.Sprintf("number: %d", ports[0]))
	dir := filepath.Join(t.TempDir(), "envoy")
	b := defaultEnvoy(t)
	translate := func(more ...string) (changed []string, status int) {
		args := append([]string{"translate", "-f", rules, "--dynamic", dir, "--admin-port", fmt.Sprint(ports[1]), "--envoy-version", b.Version}, more...)
		stdout, stderr, status := program.Run(t, "", args...)
		assert.Empty(t, stdout, "nothing is printed")
		return strings.Fields(stderr), status
	}
	first, status := translate()
	require.Zero(t, status, first)
	assert.Contains(t, first, envoy.BootstrapFile)
	assert.Contains(t, first, envoy.ListenersFile)
	assert.Contains(t, first, envoy.ClustersFile)
	info, err := os.Stat(filepath.Join(dir, envoy.ListenersFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "nobody else may read what may hold a key")

	bootstrap, err := os.ReadFile(filepath.Join(dir, envoy.BootstrapFile))
	require.NoError(t, err)
	p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: bootstrap, AdminPort: ports[1], Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	get := func(path string) int {
		q, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", ports[0], path), nil)
		require.NoError(t, err)
		q.Host = "bookinfo.example.com"
		response, err := program.HTTPClient.Do(q)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	assert.Equal(t, http.StatusOK, get("/healthz"))
	admin := fmt.Sprintf("127.0.0.1:%d", ports[1])

	again, status := translate("--admin", admin)
	assert.Zero(t, status)
	assert.Empty(t, again, "nothing has changed")

	replace("virtualservices.yaml", "exact: /healthz", "exact: /alive")
	changed, status := translate("--admin", admin)
	assert.Zero(t, status, changed)
	assert.True(t, slices.ContainsFunc(changed, func(f string) bool { return strings.HasPrefix(f, "plugins/") }), "%v", changed)
	assert.True(t, slices.ContainsFunc(changed, func(f string) bool { return strings.HasPrefix(f, "routes/") }), "%v", changed)
	assert.NotContains(t, changed, envoy.ListenersFile)
	assert.NotContains(t, changed, envoy.ClustersFile)
	assert.Equal(t, http.StatusOK, get("/alive"), "Envoy has it when the command ends")
	assert.Equal(t, http.StatusNotFound, get("/healthz"))

	replace("virtualservices.yaml", "weight: 60", "weight: 55")
	changed, status = translate("--admin", admin)
	assert.Zero(t, status, changed)
	assert.Len(t, changed, 1, "a weight is in the plugin configuration alone: %v", changed)

	replace("virtualservices.yaml", "exact: /alive", "exactly: /alive")
	wrong, status := translate("--admin", admin)
	assert.Equal(t, 65, status)
	assert.Contains(t, strings.Join(wrong, " "), `unknown field "exactly"`)
	assert.Equal(t, http.StatusOK, get("/alive"), "what was serving goes on")

	_, stderr, status := program.Run(t, "", "translate", "-f", rules, "--dynamic", dir, "-o", "plan")
	assert.Equal(t, 64, status, stderr)
}
