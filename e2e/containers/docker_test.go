//go:build docker

package containers

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// containers is a testbed in containers, of one compose file.
type containers struct {
	program.Running
	file string
	env  []string
}

// bringUp brings the services of a compose file up until the test ends.
func bringUp(t *testing.T, file string, env ...string) *containers {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	c := &containers{file: file, env: append(env, fmt.Sprintf("WAYMARK_PORT=%d", ports[0]))}
	c.Address = fmt.Sprintf("127.0.0.1:%d", ports[0])
	t.Cleanup(func() { c.docker(t, "down") })
	c.docker(t, "up")
	ready := func() bool {
		status, err := c.Get("bookinfo.example.com", "/healthz")
		return err == nil && status == http.StatusOK
	}
	if !assert.Eventually(t, ready, time.Minute, 200*time.Millisecond) {
		t.Fatal(c.docker(t, "logs"))
	}
	return c
}

// docker runs a command of build/docker.sh for the compose file.
func (c *containers) docker(t *testing.T, command string) string {
	cmd := exec.Command("build/docker.sh", command, c.file)
	cmd.Dir, cmd.Env = repository.Root, append(os.Environ(), c.env...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	return string(text)
}

// walk sends requests that show each kind of rule.
func (c *containers) walk(t *testing.T) {
	get := func(host, path string, headers map[string]string) (int, string) {
		r, err := http.NewRequest(http.MethodGet, "http://"+c.Address+path, nil)
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

// TestDocker brings up a stock Envoy with a translated bootstrap.
func TestDocker(t *testing.T) {
	bringUp(t, "build/docker-compose.yaml").walk(t)
}

// TestDockerImages brings up the example with Waymark's image, and changes a rule under load.
func TestDockerImages(t *testing.T) {
	_, err := program.Path()
	require.NoError(t, err)
	dir := t.TempDir()
	text, err := exec.Command("cp", "-r", filepath.Join(repository.Root, "examples", "bookinfo")+"/.", dir).CombinedOutput()
	require.NoError(t, err, "%s", text)
	c := bringUp(t, "examples/docker-compose/docker-compose.yaml", "WAYMARK_RULES="+dir)
	t.Run("waymark", func(t *testing.T) {
		c.walk(t)
		stop := program.UnderLoad(t, c.Get)
		file := filepath.Join(dir, "virtualservices.yaml")
		rules, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file+".tmp", bytes.Replace(rules, []byte("exact: /healthz"), []byte("exact: /alive"), 1), 0o644))
		require.NoError(t, os.Rename(file+".tmp", file))
		assert.Eventually(t, func() bool {
			alive, _ := c.Get("bookinfo.example.com", "/alive")
			health, _ := c.Get("bookinfo.example.com", "/healthz")
			return alive == http.StatusOK && health == http.StatusNotFound
		}, 30*time.Second, 50*time.Millisecond)
		assert.Greater(t, stop(), int64(100))
		for image, want := range map[string]string{"waymark": "101:101", "waymark-plugin": "65532:65532", "waymark-standin": "65532:65532"} {
			user, err := program.Command("docker", "image", "inspect", "--format", "{{.Config.User}}", image)
			require.NoError(t, err, user)
			assert.Equal(t, want, strings.TrimSpace(user), "%s does not run as root", image)
		}
	})
	t.Run("modules", func(t *testing.T) { // beside the program, where it looks for them
		for _, m := range program.Modules(t) {
			text, err := program.Command("docker", "run", "--rm", "--entrypoint", "/usr/local/bin/waymark", "waymark", "version", "--module", "/usr/local/bin/"+filepath.Base(m.Path))
			require.NoError(t, err, text)
			assert.Contains(t, text, fmt.Sprintf("%x", sha256.Sum256(m.Wasm)))
		}
	})
	t.Run("plugin", func(t *testing.T) {
		for image, m := range map[string]program.Module{"waymark-plugin:latest": program.Modules(t)[0], "waymark-plugin:small": program.Modules(t)[1]} {
			assert.Equal(t, map[string]string{"plugin.wasm": fmt.Sprintf("%x", sha256.Sum256(m.Wasm))}, onlyLayer(t, image))
		}
	})
}

// onlyLayer are the files of an image that has one layer, with their sums.
func onlyLayer(t *testing.T, image string) map[string]string {
	saved := filepath.Join(t.TempDir(), "image.tar")
	text, err := program.Command("docker", "save", "-o", saved, image)
	require.NoError(t, err, text)
	file, err := os.ReadFile(saved)
	require.NoError(t, err)
	parts := untar(t, file)
	var manifest []struct{ Layers []string }
	require.NoError(t, json.Unmarshal(parts["manifest.json"], &manifest))
	require.Len(t, manifest, 1)
	require.Len(t, manifest[0].Layers, 1)
	sums := map[string]string{}
	for name, content := range untar(t, parts[manifest[0].Layers[0]]) {
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return sums
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	out := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if h.Typeflag == tar.TypeReg {
			out[h.Name], err = io.ReadAll(r)
			require.NoError(t, err)
		}
	}
}
