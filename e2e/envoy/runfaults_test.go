package envoy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
)

// faulty is 'waymark run --engine envoy' under load, to which something happens.
type faulty struct {
	*program.Running
	file, module string
	more         string // documents that come with every change
	bind         string // of the Gateway
	port         uint32
	n            atomic.Int64 // the latest rules
	away         atomic.Bool  // Envoy is not running for a moment: connections fail
	reconnect    atomic.Bool  // each request has a connection of its own
	stop         chan struct{}
	load         sync.WaitGroup
	problems     chan string
	sent         atomic.Int64
}

func (f *faulty) rules() string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: %d, name: http, protocol: HTTP}, hosts: ["*"], bind: %s}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: ["*"], gateways: [gw], http: [{match: [{uri: {regex: "/[a-z]+"}}], directResponse: {status: 200, body: {string: "%d"}}}]}
%s`, f.port, f.bind, f.n.Load(), f.more)
}

// startFaulty serves rules that need the filter, and lets two clients ask for them.
func startFaulty(t *testing.T, args ...string) *faulty {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	_, wasm := program.ReadModule(t)
	f := &faulty{port: ports[0], bind: "127.0.0.1", stop: make(chan struct{}), problems: make(chan string, 100), module: filepath.Join(t.TempDir(), "filter.wasm")}
	require.NoError(t, os.WriteFile(f.module, wasm, 0o600))
	f.n.Store(1)
	f.file = resources.RulesFile(t, f.rules())
	f.Running = program.Serve(t, f.file, append([]string{"--listen", "", "--engine", "envoy", "--envoy", defaultEnvoy(t).Path, "--settle", "0", "--module", f.module}, args...)...)
	f.WaitFor(t, "listening on")
	for range 2 {
		f.load.Go(func() {
			c := &client{address: fmt.Sprintf("127.0.0.1:%d", f.port)}
			defer func() { c.close() }()
			for {
				select {
				case <-f.stop:
					return
				default:
				}
				if f.reconnect.Load() {
					c.close()
					c = &client{address: c.address}
				}
				before := f.n.Load() - 1
				got, err := c.send(request("/abc", nil))
				n, _ := strconv.ParseInt(got.body, 10, 64)
				switch after := f.n.Load(); {
				case errors.Is(err, syscall.ECONNRESET) && f.reconnect.Load(): // it was in the queue of a socket that closed
				case err != nil && f.away.Load():
					c.close()
					c = &client{address: c.address}
					time.Sleep(10 * time.Millisecond)
					continue
				case err != nil || got.status != 200 || n < before || n > after:
					select {
					case f.problems <- fmt.Sprintf("%d %q %v, between %d and %d", got.status, got.body, err, before, after):
					default: // there are enough
					}
				}
				f.sent.Add(1)
			}
		})
	}
	t.Cleanup(func() {
		close(f.stop)
		f.load.Wait()
		close(f.problems)
		for p := range f.problems {
			t.Error(p)
		}
		assert.Greater(t, f.sent.Load(), int64(200))
	})
	return f
}

// change writes the next rules.
func (f *faulty) change(t *testing.T) {
	f.n.Add(1)
	resources.RenameInto(t, f.file, f.rules())
}

func (f *faulty) answer(t *testing.T) string {
	c := &client{address: fmt.Sprintf("127.0.0.1:%d", f.port)}
	defer c.close()
	got, err := c.send(request("/abc", nil))
	if f.away.Load() && err != nil {
		return ""
	}
	require.NoError(t, err)
	require.Equal(t, 200, got.status, f.Output())
	return got.body
}

// arrives waits until the latest rules are answered.
func (f *faulty) arrives(t *testing.T) {
	t.Helper()
	f.Eventually(t, fmt.Sprint("rules ", f.n.Load()), func() bool { return f.answer(t) == fmt.Sprint(f.n.Load()) })
}

// TestRunAnswersOldOrNew lets things go wrong while rules change under load: every request is answered by the rules before or
// after, and in the end by the latest.
func TestRunAnswersOldOrNew(t *testing.T) {
	t.Run("the module is missing at a change, and comes back", func(t *testing.T) {
		f := startFaulty(t)
		require.NoError(t, os.Rename(f.module, f.module+".away"))
		f.change(t)
		f.WaitFor(t, "are not used")
		assert.Equal(t, "1", f.answer(t))
		require.NoError(t, os.Rename(f.module+".away", f.module))
		f.n.Add(-1) // the refused rules never were
		f.change(t)
		f.arrives(t)
	})
	t.Run("Envoy is killed in the middle of a change", func(t *testing.T) {
		f := startFaulty(t)
		for i := range 4 {
			f.away.Store(true)
			f.change(t)
			time.Sleep(time.Duration(i) * 150 * time.Millisecond)
			for _, pid := range f.Children(t) {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL)) // it may be the Envoy that only looks at the change
			}
			f.arrives(t)
			f.away.Store(false)
			f.Eventually(t, "the change is over", func() bool { return strings.Count(f.Output(), "the changed files are served now") == i+1 })
		}
	})
	t.Run("no name can be resolved", func(t *testing.T) {
		f := startFaulty(t)
		f.more = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dns}
spec: {hosts: [dns.test], resolution: DNS, endpoints: [{address: nowhere.invalid}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: dns}
spec: {hosts: [dns.test], gateways: [gw], http: [{route: [{destination: {host: dns.test}}]}]}
`
		f.change(t)
		f.arrives(t)
		f.change(t)
		f.arrives(t)
	})
	t.Run("the disk is full", func(t *testing.T) {
		f := startFaulty(t)
		limit := func(n uint64) {
			require.NoError(t, unix.Prlimit(f.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}, nil))
		}
		limit(0)
		f.change(t)
		f.WaitFor(t, "are not used")
		assert.Equal(t, "1", f.answer(t))
		limit(unix.RLIM_INFINITY)
		f.arrives(t) // it is tried again
	})
	t.Run("the address of a port changes", func(t *testing.T) {
		f := startFaulty(t)
		f.reconnect.Store(true) // a connection that is open stays with its listener while that drains
		for _, bind := range []string{"0.0.0.0", "127.0.0.1", "0.0.0.0"} {
			f.bind = bind
			f.change(t)
			f.arrives(t)
		}
	})
	t.Run("two side by side", func(t *testing.T) {
		f, g := startFaulty(t), startFaulty(t)
		for range 3 {
			f.change(t)
			g.change(t)
			f.arrives(t)
			g.arrives(t)
		}
		assert.NotContains(t, f.Output()+g.Output(), "are not used")
	})
	t.Run("a change is refused", func(t *testing.T) {
		f := startFaulty(t)
		_, wasm := program.ReadModule(t)
		require.NoError(t, os.WriteFile(f.module, []byte("not a module"), 0o600))
		f.change(t)
		f.WaitFor(t, "envoy refuses the filter's module or its configuration")
		assert.Equal(t, "1", f.answer(t))
		require.NoError(t, os.WriteFile(f.module, wasm, 0o600))
		f.n.Add(-1) // the refused rules never were
		f.change(t)
		f.arrives(t)
	})
}
