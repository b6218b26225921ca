package e2e

import (
	"bytes"
	"fmt"
	"net"
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

	"waymark.dev/waymark/envoy/process"
)

// allowAll lets every host pass, and denySecret, which comes later in the same file, forbids one path of one host.
const (
	allowAll = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: open}
spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}
`
	denySecret = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: deny}
spec: {hosts: [a.test], gateways: [gw], http: [{match: [{uri: {prefix: /secret}}], directResponse: {status: 403}}, {directResponse: {status: 200}}]}
`
)

// serve starts 'waymark run' on files until the test ends, without waiting for it.
func serve(t *testing.T, files string, args ...string) *running {
	path, err := program()
	require.NoError(t, err)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &running{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	r.cmd = exec.Command(path, append([]string{"run", "-f", files, "--listen", r.address, "--admin-port", "0"}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGINT) // it may have ended
		_ = r.cmd.Wait()                         // as above
	})
	return r
}

func (r *running) waitFor(t *testing.T, text string) {
	t.Helper()
	r.eventually(t, text, func() bool { return strings.Contains(r.output(), text) })
}

// eventually waits until something is so, and shows what was printed where it never is.
func (r *running) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s: never. Printed:\n%s", what, r.output())
		}
	}
}

// writeSlowly writes a file in place, with a pause between its parts that is shorter than --settle.
func writeSlowly(t *testing.T, file string, parts ...string) {
	f, err := os.Create(file)
	require.NoError(t, err)
	for i, part := range parts {
		if i > 0 {
			time.Sleep(700 * time.Millisecond)
		}
		_, err := f.WriteString(part)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}

// denied asks for the forbidden path until stop is called, which returns how often, and fails for each answer but 403.
func denied(t *testing.T, r *running) (stop func() int) {
	end, done, sent := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
			status, err := r.get("a.test", "/secret")
			sent++
			if err != nil || status != http.StatusForbidden {
				t.Errorf("/secret: %d %v", status, err)
				return
			}
		}
	}()
	return func() int {
		close(end)
		<-done
		return sent
	}
}

// A file that is written in place, slowly, is not served before it is complete: neither while the rules before are
// served, nor at the start.
func TestHalfWrittenFiles(t *testing.T) {
	t.Run("a change", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(allowAll+denySecret), 0o600))
		r := serve(t, file)
		r.waitFor(t, "listening on")
		stop := denied(t, r)
		more := strings.ReplaceAll(denySecret, "{hosts: [a.test]", "{hosts: [b.test]")
		writeSlowly(t, file, allowAll, "# the rest comes later\n", denySecret, strings.ReplaceAll(more, "name: deny", "name: more"))
		r.waitFor(t, "the changed files are served now")
		assert.Positive(t, stop())
		assert.Equal(t, 1, strings.Count(r.output(), "the changed files are served now"), "only the whole file is served")
		assert.NotContains(t, r.output(), "are not used")
		status, err := r.get("b.test", "/secret")
		require.NoError(t, err)
		assert.Equal(t, http.StatusForbidden, status)
	})
	t.Run("the start", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(allowAll), 0o600))
		written := make(chan struct{})
		go func() {
			defer close(written)
			writeSlowly(t, file, allowAll, "#\n", "#\n", denySecret)
		}()
		r := serve(t, file)
		r.waitFor(t, "listening on")
		select {
		case <-written:
		default:
			t.Error("it listens before the file is complete")
		}
		stop := denied(t, r)
		time.Sleep(100 * time.Millisecond)
		assert.Positive(t, stop())
		<-written
	})
	t.Run("files that were there are read at once", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(allowAll), 0o600))
		time.Sleep(6 * time.Second)
		begun := time.Now()
		serve(t, file, "--settle", "6s").waitFor(t, "listening on")
		assert.Less(t, time.Since(begun), 6*time.Second)
	})
}

func TestTimesThatAreNone(t *testing.T) {
	for _, flag := range []string{"--settle", "--drain-timeout"} {
		_, stderr, status := waymark(t, "", "run", "-f", "examples/bookinfo", flag, "-1s")
		assert.Equal(t, 64, status)
		assert.Contains(t, stderr, flag+" -1s is less than 0")
	}
}

// A file of the same size and time is another one by its inode or by what it holds.
func TestChangesThatSizeAndTimeDoNotShow(t *testing.T) {
	for what, replace := range map[string]func(t *testing.T, file string, text []byte){
		"renamed": func(t *testing.T, file string, text []byte) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file+".new", text, 0o600))
			require.NoError(t, os.Chtimes(file+".new", info.ModTime(), info.ModTime()))
			require.NoError(t, os.Rename(file+".new", file))
		},
		"written in place": func(t *testing.T, file string, text []byte) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, text, 0o600))
			require.NoError(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
		},
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rules.yaml")
			text := []byte(allowAll + denySecret)
			require.NoError(t, os.WriteFile(file, text, 0o600))
			r := serve(t, file)
			r.waitFor(t, "listening on")
			replace(t, file, bytes.ReplaceAll(text, []byte("status: 403"), []byte("status: 418")))
			r.waitFor(t, "the changed files are served now")
			status, err := r.get("a.test", "/secret")
			require.NoError(t, err)
			assert.Equal(t, http.StatusTeapot, status)
		})
	}
}

// What fails for a reason that passes, such as a port that is in use, is tried again without another change.
func TestPassingFailures(t *testing.T) {
	for _, engine := range []string{"wasm", "envoy"} {
		t.Run(engine, func(t *testing.T) {
			ports, err := process.FreePorts(2)
			require.NoError(t, err)
			rules := strings.ReplaceAll(allowAll, "number: 80", fmt.Sprintf("number: %d", ports[0]))
			file := filepath.Join(t.TempDir(), "rules.yaml")
			require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
			args := []string{"--engine", engine, "--listen", "127.0.0.1", "--settle", "100ms"}
			if engine == "envoy" {
				args = append(args, "--envoy", defaultEnvoy(t).Path, "--matching", "native")
			}
			r := serve(t, file, args...)
			r.waitFor(t, "listening on")
			taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports[1]))
			require.NoError(t, err)
			another := fmt.Sprintf("  - {port: {number: %d, name: more, protocol: HTTP}, hosts: [\"*\"]}\n---", ports[1])
			renameInto(t, file, strings.Replace(rules, "---", another, 1))
			r.waitFor(t, "are not used")
			require.NoError(t, taken.Close())
			r.waitFor(t, "the changed files are served now")
			assert.Equal(t, 1, strings.Count(r.output(), "are not used"), "the same failure is told once")
			r.address = fmt.Sprintf("127.0.0.1:%d", ports[1])
			status, err := r.get("a.test", "/")
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, status)
		})
	}
}
