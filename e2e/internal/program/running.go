package program

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// Running is 'waymark run' in the background.
type Running struct {
	Cmd     *exec.Cmd
	Address string
	mu      sync.Mutex
	out     bytes.Buffer
}

// Write takes what the program prints.
func (r *Running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(b)
}

// Output is what it has printed.
func (r *Running) Output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// Get sends one request, and returns the status of the answer.
func (r *Running) Get(host, path string) (int, error) {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.Address+path, nil)
	if err != nil {
		return 0, err
	}
	q.Host = host
	response, err := HTTPClient.Do(q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// WaitFor waits until it has printed a text.
func (r *Running) WaitFor(t *testing.T, text string) {
	t.Helper()
	r.Eventually(t, text, func() bool { return strings.Contains(r.Output(), text) })
}

// Eventually waits until something is so, and shows what was printed where it never is.
func (r *Running) Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s: never. Printed:\n%s", what, r.Output())
		}
	}
}

// Exit waits for the end of the program.
func (r *Running) Exit(t *testing.T, limit time.Duration) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		_ = r.Cmd.Process.Kill() // ours
		t.Fatalf("it has not ended after %s: %s", limit, r.Output())
		return nil
	}
}

// Children are the processes that a program has started.
func (r *Running) Children(t *testing.T) []int {
	pid := r.Cmd.Process.Pid
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

// Serve starts 'waymark run' on files until the test ends, without waiting for it.
func Serve(t *testing.T, files string, args ...string) *Running {
	path, err := Path()
	require.NoError(t, err)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &Running{Address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	r.Cmd = exec.Command(path, append([]string{"run", "-f", files, "--listen", r.Address, "--admin-port", "0"}, args...)...)
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		_ = r.Cmd.Process.Signal(syscall.SIGINT) // it may have ended
		_ = r.Cmd.Wait()                         // as above
	})
	return r
}

// ServeBookinfo serves a copy of the bookinfo example and returns its folder.
func ServeBookinfo(t *testing.T, engine string, more ...string) (*Running, string) {
	path, err := Path()
	require.NoError(t, err)
	dir := t.TempDir()
	text, err := exec.Command("cp", "-r", filepath.Join(repository.Root, "examples", "bookinfo")+"/.", dir).CombinedOutput()
	require.NoError(t, err, "%s", text)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &Running{Address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	args := []string{"run", "-f", dir, "--backends", "demo", "--engine", engine, "--listen", r.Address, "--admin-port", "0"}
	if engine == "envoy" {
		b, err := envoytest.Default()
		require.NoError(t, err)
		args = append(args, "--envoy", b.Path)
	}
	args = append(args, more...)
	r.Cmd = exec.Command(path, args...)
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, r.Cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, r.Cmd.Wait(), "Ctrl-C ends it in order: %s", r.Output())
	})
	require.Eventually(t, func() bool { return strings.Contains(r.Output(), "listening on "+r.Address) }, 30*time.Second, 50*time.Millisecond, r.Output())
	return r, dir
}

// HTTPClient keeps its connections, more than a load has workers.
var HTTPClient = &http.Client{
	Timeout:       5 * time.Second,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// UnderLoad lets four clients ask for the bookinfo page until stop is called, which reports every answer but 200 and returns
// how many requests there were.
func UnderLoad(t *testing.T, get func(host, path string) (int, error)) (stop func() int64) {
	end, failures := make(chan struct{}), make(chan string, 1000)
	var load sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				if status, err := get("bookinfo.example.com", "/productpage"); err != nil || status != http.StatusOK {
					failures <- fmt.Sprint(status, err)
				}
				sent.Add(1)
			}
		})
	}
	return func() int64 {
		close(end)
		load.Wait()
		close(failures)
		for f := range failures {
			t.Errorf("a request failed: %s", f)
		}
		return sent.Load()
	}
}
