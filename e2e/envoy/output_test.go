package envoy

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
)

// A reader of the output that stalls, of both streams, holds up neither requests nor changes nor the end, and what it
// does not read fills no memory, of Waymark or of Envoy.
func TestOutputThatNobodyReads(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		t.Run(engine, func(t *testing.T) {
			path, err := program.Path()
			require.NoError(t, err)
			file := resources.RulesFile(t, resources.AllowAll)
			ports, err := process.FreePorts(1)
			require.NoError(t, err)
			r := &program.Running{Address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
			read, write, err := os.Pipe()
			require.NoError(t, err)
			defer func() { _ = read.Close() }()
			r.Cmd = exec.Command(path, append(args, "run", "-f", file, "--listen", r.Address, "--admin-port", "0", "--settle", "0")...)
			r.Cmd.Stdout, r.Cmd.Stderr = write, write
			require.NoError(t, r.Cmd.Start())
			require.NoError(t, write.Close())
			defer func() { _ = r.Cmd.Process.Kill() }() // it has ended by then
			require.Eventually(t, func() bool { s, err := r.Get("a.test", "/"); return err == nil && s == http.StatusOK }, 20*time.Second, 20*time.Millisecond)

			resident := func() (sum int64) {
				for _, pid := range append(r.Children(t), r.Cmd.Process.Pid) {
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
				status, err := r.Get("a.test", long)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, status)
				if i == n/4 {
					early = resident()
				}
			}
			assert.Less(t, resident()-early, int64(24<<20), "of the %d MB of log after that", n*3/4*6000>>20)

			resources.RenameInto(t, file, strings.ReplaceAll(resources.AllowAll, "status: 200", "status: 204"))
			assert.Eventually(t, func() bool { s, err := r.Get("a.test", "/"); return err == nil && s == http.StatusNoContent }, 20*time.Second, 20*time.Millisecond, "a change")
			begun := time.Now()
			require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
			_ = r.Exit(t, 15*time.Second) // its last words were lost
			assert.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}

// A reader that goes away does not end the service.
func TestOutputWhoseReaderIsGone(t *testing.T) {
	path, err := program.Path()
	require.NoError(t, err)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &program.Running{Address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	r.Cmd = exec.Command(path, append(envoyArgs(defaultEnvoy(t)), "run", "-f", resources.RulesFile(t, resources.AllowAll), "--listen", r.Address, "--admin-port", "0")...)
	r.Cmd.Stdout, r.Cmd.Stderr = write, r
	require.NoError(t, r.Cmd.Start())
	require.NoError(t, write.Close())
	require.NoError(t, read.Close())
	r.WaitFor(t, "listening on")
	for range 20 {
		status, err := r.Get("a.test", "/")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		time.Sleep(50 * time.Millisecond) // Envoy writes its log every 100 ms
	}
	r.WaitFor(t, "lines for standard output were dropped: ")
	require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, r.Exit(t, 10*time.Second), r.Output())
}
