package envoy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// With --validate an Envoy looks at the configuration before anything is printed or written. What only it can know, here
// that it cannot read a certificate, is its to say.
func TestTranslateValidates(t *testing.T) {
	yaml := strings.Replace(resources.BadGateway, "$TLS", "serverCertificate: /nowhere/a.crt, privateKey: /nowhere/a.key", 1)
	for _, b := range envoys(t) {
		dir := t.TempDir()
		for _, to := range [][]string{nil, {"--dynamic", dir, "--pause", "0s"}} {
			args := append([]string{"translate", "-f", "-", "--remote-files", "--envoy", b.Path}, to...)
			stdout, stderr, status := program.Run(t, yaml, append(args, "--validate")...)
			assert.Equal(t, 65, status)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, "envoy refuses the configuration: ")
			assert.Contains(t, stderr, "/nowhere/a.")
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left, "nothing is written")

			_, stderr, status = program.Run(t, yaml, args...)
			assert.Zero(t, status, stderr)
		}
		_, stderr, status := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--validate", "--envoy", b.Path)
		assert.Zero(t, status, stderr)
	}
	t.Setenv("ENVOY_BIN", "")
	t.Setenv("PATH", t.TempDir())
	_, stderr, status := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--validate")
	assert.Equal(t, 65, status)
	assert.Contains(t, stderr, "no envoy is on the path")
}

// A certificate of a Secret is validated, too, and no file with its key is left behind.
func TestValidatingLeavesNoKeys(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	own := certs.NewIssuer(t, "own").Issue(t, "a.test")
	yaml := strings.Replace(resources.BadGateway, "$TLS", "credentialName: c", 1) + "---\n" + certs.Secret("c", own, "")
	stdout, stderr, status := program.Run(t, yaml, "translate", "-f", "-", "--validate", "--envoy", defaultEnvoy(t).Path, "--dynamic", t.TempDir(), "--pause", "0s")
	assert.Zero(t, status, stderr)
	assert.NotContains(t, stdout, "PRIVATE KEY")
	require.NoError(t, filepath.WalkDir(temporary, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			assert.Equal(t, ".lock", entry.Name(), "%s is left behind", path)
		}
		return err
	}))
}

// 'run' lets Envoy look at a change before anything is written: what it refuses is said, and the files and what is served
// stay as they were.
func TestRunValidates(t *testing.T) {
	b := defaultEnvoy(t)
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll), 0o600))
	r := program.Serve(t, file, "--engine", "envoy", "--envoy", b.Path, "--matching", "native", "--dynamic", folder, "--remote-files", "--listen", "127.0.0.1")
	r.WaitFor(t, "listening on")
	before := snapshot(t, folder)
	missing := strings.Replace(resources.BadGateway, "$TLS", "serverCertificate: /nowhere/a.crt, privateKey: /nowhere/a.key", 1)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(resources.AllowAll, "status: 200", "status: 201", 1)+"---\n"+missing), 0o600))
	r.WaitFor(t, "envoy refuses the configuration: ")
	r.WaitFor(t, "the rules before go on being served")
	assert.Contains(t, r.Output(), "/nowhere/a.")
	assert.Equal(t, before, snapshot(t, folder), "nothing was written")
}

// snapshot is the content of a folder's files, by path.
func snapshot(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json") {
			text, err := os.ReadFile(path)
			out[path] = string(text)
			return err
		}
		return err
	}))
	require.NotEmpty(t, out)
	return out
}
