package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/process"
)

// rulesFile is a file with rules in a folder of the test.
func rulesFile(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// children are the processes that a program has started.
func (r *running) children(t *testing.T) []int {
	pid := r.cmd.Process.Pid
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	var out []int
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			require.NoError(t, err)
			out = append(out, n)
		}
	}
	return out
}

// A reader of the output that stalls, of both streams, holds up neither requests nor changes nor the end, and what it
// does not read fills no memory, of Waymark or of Envoy.
func TestOutputThatNobodyReads(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		t.Run(engine, func(t *testing.T) {
			path, err := program()
			require.NoError(t, err)
			file := rulesFile(t, allowAll)
			ports, err := process.FreePorts(1)
			require.NoError(t, err)
			r := &running{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
			read, write, err := os.Pipe()
			require.NoError(t, err)
			defer func() { _ = read.Close() }()
			r.cmd = exec.Command(path, append(args, "run", "-f", file, "--listen", r.address, "--admin-port", "0", "--settle", "0")...)
			r.cmd.Stdout, r.cmd.Stderr = write, write
			require.NoError(t, r.cmd.Start())
			require.NoError(t, write.Close())
			defer func() { _ = r.cmd.Process.Kill() }() // it has ended by then
			require.Eventually(t, func() bool { s, err := r.get("a.test", "/"); return err == nil && s == http.StatusOK }, 20*time.Second, 20*time.Millisecond)

			resident := func() (sum int64) {
				for _, pid := range append(r.children(t), r.cmd.Process.Pid) {
					text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
					require.NoError(t, err)
					pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
					require.NoError(t, err)
					sum += pages * int64(os.Getpagesize())
				}
				return sum
			}
			long := "/" + strings.Repeat("x", 6000)
			var early int64
			const n = 12_000
			for i := range n {
				status, err := r.get("a.test", long)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, status)
				if i == n/4 {
					early = resident()
				}
			}
			assert.Less(t, resident()-early, int64(24<<20), "of the %d MB of log after that", n*3/4*6000>>20)

			renameInto(t, file, strings.ReplaceAll(allowAll, "status: 200", "status: 204"))
			assert.Eventually(t, func() bool { s, err := r.get("a.test", "/"); return err == nil && s == http.StatusNoContent }, 20*time.Second, 20*time.Millisecond, "a change")
			begun := time.Now()
			require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
			_ = r.exit(t, 15*time.Second) // its last words were lost
			assert.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}

// A reader that goes away does not end the service.
func TestOutputWhoseReaderIsGone(t *testing.T) {
	path, err := program()
	require.NoError(t, err)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &running{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	r.cmd = exec.Command(path, append(envoyArgs(defaultEnvoy(t)), "run", "-f", rulesFile(t, allowAll), "--listen", r.address, "--admin-port", "0")...)
	r.cmd.Stdout, r.cmd.Stderr = write, r
	require.NoError(t, r.cmd.Start())
	require.NoError(t, write.Close())
	require.NoError(t, read.Close())
	r.waitFor(t, "listening on")
	for range 20 {
		status, err := r.get("a.test", "/")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		time.Sleep(50 * time.Millisecond) // Envoy writes its log every 100 ms
	}
	r.waitFor(t, "lines for standard output were dropped: ")
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, r.exit(t, 10*time.Second), r.output())
}
