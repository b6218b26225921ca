package envoy

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
)

// Keys are in no file. Temporary folders go with their process, and those of one that was killed with the next start; its Envoy
// goes at once.
func TestTemporaryFoldersWithKeys(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	key := certs.NewIssuer(t, "authority").Issue(t, "a.test")
	rules := strings.Replace(resources.AllowAll, "http, protocol: HTTP}, hosts: [\"*\"]}", "tls, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: SIMPLE, credentialName: cert}}", 1)
	file := resources.RulesFile(t, rules+certs.Secret("cert", key, ""))
	holding := func() (files []string) {
		for path, text := range contents(t, tmp) {
			assert.NotContains(t, text, "inline_bytes", "keys go over a socket")
			assert.NotContains(t, text, "PRIVATE KEY")
			if strings.Contains(path, "/run-") {
				files = append(files, path)
			}
		}
		return files
	}
	r := program.Serve(t, file, envoyArgs(defaultEnvoy(t))...)
	r.WaitFor(t, "listening on")
	require.NotEmpty(t, holding())
	info, err := os.Stat(filepath.Join(tmp, fmt.Sprintf("waymark-%d", os.Getuid())))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	children := r.Children(t)
	require.Len(t, children, 1)
	require.NoError(t, r.Cmd.Process.Kill())
	_ = r.Cmd.Wait() // it was killed
	assert.Eventually(t, func() bool { return errors.Is(syscall.Kill(children[0], 0), syscall.ESRCH) }, 5*time.Second, 10*time.Millisecond, "its Envoy is gone")
	left := holding()
	require.NotEmpty(t, left)

	r = program.Serve(t, file, envoyArgs(defaultEnvoy(t))...)
	r.WaitFor(t, "listening on")
	for _, f := range left {
		assert.NotContains(t, holding(), f)
	}
	require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, r.Exit(t, 10*time.Second), r.Output())
	assert.Empty(t, holding())
}

// One folder that can be written is enough: --dynamic, or that of TMPDIR.
func TestOneFolderIsEnough(t *testing.T) {
	args := append(envoyArgs(defaultEnvoy(t)), "--matching", "filter")
	file, dir := resources.RulesFile(t, resources.AllowAll), t.TempDir()
	_, err := program.Path() // built where there is a temporary folder
	require.NoError(t, err)
	t.Run("dynamic", func(t *testing.T) {
		t.Setenv("TMPDIR", "/proc/nowhere")
		r := program.Serve(t, file, append(args, "--dynamic", dir)...)
		r.WaitFor(t, "listening on")
		require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, r.Exit(t, 10*time.Second), r.Output())
	})
	t.Run("neither", func(t *testing.T) {
		t.Setenv("TMPDIR", "/proc/nowhere")
		r := program.Serve(t, file, args...)
		require.Error(t, r.Exit(t, 10*time.Second))
		assert.Contains(t, r.Output(), "TMPDIR names another place")
	})
	t.Run("another process has it", func(t *testing.T) {
		program.Serve(t, file, append(args, "--dynamic", dir)...).WaitFor(t, "listening on")
		r := program.Serve(t, file, append(args, "--dynamic", dir)...)
		require.Error(t, r.Exit(t, 10*time.Second))
		assert.Contains(t, r.Output(), dir+" is used by another process of Waymark")
	})
}

// Somebody else's files in the folder stay.
func TestFilesOfOthersStay(t *testing.T) {
	dir := t.TempDir()
	foreign := map[string]string{"mine.json": "{}", "routes/mine.json": "{}", "endpoints/web.json": `{"resources": []}`}
	for name, text := range foreign {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for _, args := range [][]string{{"-f", "examples/bookinfo"}, {"-f", "examples/bookinfo", "--matching", "native"}} {
		_, stderr, status := program.Run(t, "", append([]string{"translate", "--dynamic", dir, "--pause", "1ms"}, args...)...)
		require.Zero(t, status, stderr)
	}
	got := contents(t, dir)
	for name, text := range foreign {
		assert.Equal(t, text, got[name], name)
	}
	for name := range got {
		assert.False(t, strings.HasPrefix(name, "plugins/"), "%s is not needed any more", name)
	}
}

// An Envoy of another user reads the files where --file-mode lets it; else the error names the file, and the way out.
func TestAnEnvoyOfAnotherUser(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "waymark-test-") // others can enter it
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	require.NoError(t, os.Chmod(dir, 0o777))
	binary, err := filepath.EvalSymlinks(defaultEnvoy(t).Path)
	require.NoError(t, err)
	reachable := filepath.Join(dir, "envoy-of-others") // where it was installed, others may not come
	text, err := exec.Command("sh", "-c", `ln "$0" "$1" 2>/dev/null || cp "$0" "$1"`, binary, reachable).CombinedOutput()
	require.NoError(t, err, "%s", text)
	become := ""
	if os.Getuid() == 0 {
		become = "setpriv --reuid 65534 --regid 65534 --clear-groups "
	}
	wrapper := filepath.Join(t.TempDir(), "envoy")
	require.NoError(t, os.WriteFile(wrapper, []byte("#!/bin/sh\nexec "+become+reachable+" \"$@\"\n"), 0o755))
	dynamic := filepath.Join(dir, "envoy")
	args := []string{"--engine", "envoy", "--envoy", wrapper, "--matching", "native", "--dynamic", dynamic}
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	args = append(args, "--admin-port", fmt.Sprint(ports[0]))

	r := program.Serve(t, resources.RulesFile(t, resources.AllowAll), append(args, "--file-mode", "0644")...)
	r.WaitFor(t, "listening on")
	status, err := r.Get("a.test", "/")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
	_ = r.Exit(t, 10*time.Second) // an Envoy of another user gets no signals of ours

	if os.Getuid() == 0 {
		r = program.Serve(t, resources.RulesFile(t, resources.AllowAll), append(args, "--file-mode", "0600")...)
		require.Error(t, r.Exit(t, 20*time.Second))
		assert.Contains(t, r.Output(), "whose mode is 0600: where it runs as another user, --dynamic with --file-mode lets it")
		assert.Contains(t, r.Output(), "envoy cannot read "+dynamic+"/")
	}
	_, stderr, status := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--dynamic", dynamic, "--file-mode", "0777")
	assert.Equal(t, 64, status)
	assert.Contains(t, stderr, `--file-mode "0777" is not`)
}
