package envoy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// drainRules send everything to one upstream.
const drainRules = gatewayRules + `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all}
spec: {hosts: ["*"], gateways: [gw], http: [{route: [{destination: {host: slow.test}}]}]}
`

// serveUpstream starts 'waymark run' in front of an upstream.
func serveUpstream(t *testing.T, port uint32, args ...string) *program.Running {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(drainRules), 0o600))
	r := program.Serve(t, file, append([]string{"--endpoint", fmt.Sprintf("slow.test=127.0.0.1:%d", port), "--settle", "0"}, args...)...)
	r.WaitFor(t, "listening on")
	return r
}

// engines are the ways to run a proxy: the embedded one, and the Envoys.
func engines(t *testing.T) map[string][]string {
	out := map[string][]string{"wasm": {"--engine", "wasm"}}
	for _, b := range envoys(t) {
		out["Envoy "+b.Version] = envoyArgs(b)
	}
	return out
}

func envoyArgs(b envoytest.Binary) []string {
	return []string{"--engine", "envoy", "--envoy", b.Path, "--matching", "native"}
}

// heldRequest is a request that its upstream does not answer before it is released.
func heldRequest(t *testing.T, r *program.Running, u *httpUpstream) <-chan string {
	done := make(chan string, 1)
	before := u.asked.Load()
	go func() {
		status, err := r.Get("a.test", "/hold")
		done <- fmt.Sprint(status, " ", err)
	}()
	require.Eventually(t, func() bool { return u.asked.Load() > before }, 10*time.Second, 5*time.Millisecond)
	return done
}

// Every signal that asks for an end lets the requests that are under way end, and takes no new connections.
func TestSignalsDrain(t *testing.T) {
	all := map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP, "SIGQUIT": syscall.SIGQUIT}
	for engine, args := range engines(t) {
		for name, s := range all {
			if s != syscall.SIGTERM && engine != "wasm" && engine != "Envoy "+defaultEnvoy(t).Version {
				continue // what Envoy does is the same for all signals: it gets none of them
			}
			t.Run(engine+" "+name, func(t *testing.T) {
				// A test run that ignores SIGHUP (nohup) hands that on, and what is under test then ignores it, too.
				caught := make(chan os.Signal, 1)
				signal.Notify(caught, s)
				defer signal.Stop(caught)
				u := startUpstream(t, "slow", nil)
				u.hold = make(chan struct{})
				r := serveUpstream(t, u.port, args...)
				done := heldRequest(t, r, u)
				require.NoError(t, r.Cmd.Process.Signal(s))
				assert.Eventually(t, func() bool {
					c, err := net.Dial("tcp", r.Address)
					if err == nil {
						_ = c.Close() // it is not needed
					}
					return errors.Is(err, syscall.ECONNREFUSED)
				}, 5*time.Second, 20*time.Millisecond, "no new connections")
				time.Sleep(time.Second)
				select {
				case got := <-done:
					t.Fatalf("answered before the upstream did: %s", got)
				default:
				}
				close(u.hold)
				assert.Equal(t, "200 <nil>", <-done)
				require.NoError(t, r.Exit(t, 5*time.Second), r.Output())
			})
		}
	}
}

// A signal that comes before anything is served ends the start, and that is no error.
func TestASignalAtTheStart(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		t.Run(engine, func(t *testing.T) {
			r := program.Serve(t, resources.RulesFile(t, drainRules), append(args, "--settle", "1h", "--endpoint", "slow.test=127.0.0.1:1")...)
			r.WaitFor(t, "the files are being written")
			require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, r.Exit(t, 10*time.Second), r.Output())
		})
	}
}

// A second signal does not wait, nor does --drain-timeout when it is over.
func TestDrainingEnds(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		for what, end := range map[string]func(t *testing.T, r *program.Running){
			"by a second signal": func(t *testing.T, r *program.Running) {
				time.Sleep(500 * time.Millisecond)
				require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
			},
			"by its time": func(*testing.T, *program.Running) {},
		} {
			t.Run(engine+" "+what, func(t *testing.T) {
				u := startUpstream(t, "slow", nil)
				u.hold = make(chan struct{})
				timeout := "1h"
				if what == "by its time" {
					timeout = "700ms"
				}
				r := serveUpstream(t, u.port, append(args, "--drain-timeout", timeout)...)
				done := heldRequest(t, r, u)
				begun := time.Now()
				require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
				end(t, r)
				_ = r.Exit(t, 10*time.Second) // it may say that it cut something
				assert.Less(t, time.Since(begun), 4*time.Second)
				assert.NotEqual(t, "200 <nil>", <-done)
				close(u.hold)
			})
		}
	}
}

// A connection that is forwarded as it is, is in flight as long as it is open.
func TestForwardedConnectionsDrain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	rules := strings.NewReplacer("protocol: HTTP", "protocol: TCP", "http: [", "tcp: [").Replace(drainRules)
	require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
	r := program.Serve(t, file, append(envoyArgs(defaultEnvoy(t)), "--endpoint", fmt.Sprintf("slow.test=127.0.0.1:%d", tcpUpstream(t, "tcp", nil)))...)
	r.WaitFor(t, "listening on")
	c, err := net.Dial("tcp", r.Address)
	require.NoError(t, err)
	buffer := make([]byte, 100)
	_, err = c.Read(buffer)
	require.NoError(t, err)
	require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
	time.Sleep(time.Second)
	_, err = io.WriteString(c, "still here\n")
	require.NoError(t, err)
	n, err := c.Read(buffer)
	require.NoError(t, err)
	assert.Equal(t, "still here\n", string(buffer[:n]))
	require.NoError(t, c.Close())
	require.NoError(t, r.Exit(t, 5*time.Second), r.Output())
}

// A websocket is in flight as long as it is open.
func TestWebsocketsDrain(t *testing.T) {
	r := serveUpstream(t, websocketUpstream(t), envoyArgs(defaultEnvoy(t))...)
	c, err := net.Dial("tcp", r.Address)
	require.NoError(t, err)
	w := openWebsocket(t, c, "a.test")
	require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
	time.Sleep(1500 * time.Millisecond)
	require.NoError(t, w.echo("still here"))
	require.NoError(t, w.Close())
	require.NoError(t, r.Exit(t, 5*time.Second), r.Output())
}

// Whatever hangs, a second signal ends: here, the reading of a pipe that nobody writes into.
func TestASecondSignalEndsWhatHangs(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	r := program.Serve(t, pipe)
	time.Sleep(500 * time.Millisecond)
	for range 2 {
		_ = r.Cmd.Process.Signal(syscall.SIGTERM) // it may have refused the pipe
		time.Sleep(200 * time.Millisecond)
	}
	_ = r.Exit(t, 10*time.Second) // it was cut
}

// TestRollingRestarts ends and starts two proxies in turn, under a load that uses whichever takes its connections. No
// request is lost that a proxy has taken, on kept connections or on new ones.
func TestRollingRestarts(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		t.Run(engine, func(t *testing.T) {
			u := startUpstream(t, "slow", nil)
			u.delay = 20 * time.Millisecond
			var addresses [2]atomic.Pointer[string]
			begin := func(i int) *program.Running {
				r := serveUpstream(t, u.port, args...)
				addresses[i].Store(&r.Address)
				return r
			}
			proxies := [2]*program.Running{begin(0), begin(1)}
			end := make(chan struct{})
			var load sync.WaitGroup
			var sent atomic.Int64
			for worker := range 6 {
				load.Go(func() {
					protocols := &http.Protocols{}
					protocols.SetHTTP1(engine == "wasm" || worker > 1)
					protocols.SetUnencryptedHTTP2(engine != "wasm" && worker <= 1)
					client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
						Protocols:         protocols,
						DisableKeepAlives: worker%2 == 0,
						DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
							var err error
							for i := range 4 {
								var c net.Conn
								c, err = (&net.Dialer{}).DialContext(ctx, "tcp", *addresses[(worker/2+i)%2].Load())
								if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
									return c, err
								}
							}
							return nil, err
						},
					}}
					defer client.CloseIdleConnections()
					for {
						select {
						case <-end:
							return
						default:
						}
						response, err := client.Post("http://a.test/", "text/plain", bytes.NewReader([]byte("x"))) // never sent twice
						sent.Add(1)
						if err != nil {
							t.Errorf("lost: %v", err)
							continue
						}
						_, err = io.Copy(io.Discard, response.Body)
						_ = response.Body.Close() // it was read
						if err != nil || response.StatusCode != http.StatusOK {
							t.Errorf("lost: %d %v", response.StatusCode, err)
						}
					}
				})
			}
			for i := range 4 { // a client that is not heard asks again after a second
				time.Sleep(1500 * time.Millisecond)
				require.NoError(t, proxies[i%2].Cmd.Process.Signal(syscall.SIGTERM))
				require.NoError(t, proxies[i%2].Exit(t, 20*time.Second))
				proxies[i%2] = begin(i % 2)
			}
			close(end)
			load.Wait()
			t.Logf("%d requests", sent.Load())
			assert.Greater(t, sent.Load(), int64(500))
		})
	}
}
