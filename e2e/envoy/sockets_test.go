package envoy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// websocketUpstream answers every upgrade, and sends back what it gets.
func websocketUpstream(t testing.TB) uint32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				r := bufio.NewReader(c)
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err == nil {
					_, _ = io.Copy(c, r) // until one of both is gone
				}
			}()
		}
	}()
	return uint32(l.Addr().(*net.TCPAddr).Port)
}

// websocket is an open one.
type websocket struct {
	net.Conn
	r *bufio.Reader
}

func openWebsocket(t testing.TB, c net.Conn, host string) *websocket {
	require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	_, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	require.NoError(t, err)
	w := &websocket{c, bufio.NewReader(c)}
	response, err := http.ReadResponse(w.r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	return w
}

// echo says that what is sent comes back.
func (w *websocket) echo(text string) error {
	if _, err := io.WriteString(w, text+"\n"); err != nil {
		return err
	}
	line, err := w.r.ReadString('\n')
	if err == nil && line != text+"\n" {
		err = fmt.Errorf("%q came back", line)
	}
	return err
}

const chainRules = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: main, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}
  - {port: {number: $TLS, name: https, protocol: HTTPS}, bind: 127.0.0.1, hosts: [a.test], tls: {mode: SIMPLE, credentialName: cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [main]
  http:
  - {match: [{uri: {prefix: /other}}], EXTRA route: [{destination: {host: web.svc}}]}
  - {route: [{destination: {host: web.svc}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
`

// anotherServer is a Gateway that comes before the main one in every order.
const anotherServer = `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: aaa, namespace: default, creationTimestamp: "2001-01-01T00:00:00Z"}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $TLS, name: first, protocol: HTTPS}, bind: 127.0.0.1, hosts: [0.test], tls: {mode: SIMPLE, credentialName: cert}}
`

// TestWebsocketsOutliveChanges changes everything beside two open websockets, over TLS and without: other Gateways on the
// port come and go, the first rules with a fault and with CORS appear, endpoints change. Envoy drains no filter chain and
// no listener: a drained one would close them after Envoy's drain time.
func TestWebsocketsOutliveChanges(t *testing.T) {
	module, _ := program.ReadModule(t)
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		for _, module := range []string{"", module} {
			t.Run(fmt.Sprintf("filter %v", module != ""), func(t *testing.T) {
				n := names{"WEB": websocketUpstream(t)}.ports(t, "HTTP", "TLS")
				certificate := certs.Secret("cert", certs.NewIssuer(t, "authority").Issue(t, "a.test"), "")
				rules := func(extra, more string) string {
					return n.expand(t, strings.Replace(chainRules, "EXTRA", extra, 1)+more) + certificate
				}
				p, _ := translateYAML(t, rules("", ""), translate.Options{})
				d := openDoor(t, b, p, envoy.Options{Module: module})
				plain, err := net.Dial("tcp", n.address("HTTP"))
				require.NoError(t, err)
				over, err := tls.Dial("tcp", n.address("TLS"), insecure("a.test"))
				require.NoError(t, err)
				open := []*websocket{openWebsocket(t, plain, "a.test"), openWebsocket(t, over, "a.test")}
				for _, change := range []struct{ what, extra, more string }{
					{"another Gateway on the port", "", anotherServer},
					{"the first fault", "fault: {abort: {percentage: {value: 100}, httpStatus: 418}},", anotherServer},
					{"and the first CORS policy", "fault: {abort: {percentage: {value: 100}, httpStatus: 418}}, corsPolicy: {allowOrigins: [{exact: http://x.test}]},", anotherServer},
					{"neither", "", anotherServer},
					{"the Gateway is gone", "", ""},
					{"another endpoint", "", strings.NewReplacer("name: web,", "name: more,", "web.svc", "more.svc").Replace(strings.SplitAfter(chainRules, "---\n")[2])},
				} {
					if strings.HasPrefix(change.more, "apiVersion") {
						change.more = "---\n" + change.more
					}
					p, _ := translateYAML(t, rules(change.extra, change.more), translate.Options{})
					d.apply(t, p)
					for _, w := range open {
						require.NoError(t, w.echo(change.what), change.what)
					}
					if change.what == "the Gateway is gone" { // its own chain is to drain
						continue
					}
					if change.what != "another endpoint" {
						assert.Zero(t, d.stat(t, "listener_manager.total_filter_chains_draining"), change.what)
					}
					assert.Zero(t, d.stat(t, "listener_manager.total_listeners_draining"), change.what)
				}
				assert.LessOrEqual(t, d.stat(t, "listener_manager.total_filter_chains_draining"), int64(1), "that of the Gateway that is gone")
				for _, w := range open {
					require.NoError(t, w.Close())
				}
			})
		}
	})
}

// TestRequestsOutliveChangedEndpoints moves the only endpoint of a service while a request to it is under way, and a
// websocket open.
func TestRequestsOutliveChangedEndpoints(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		slow, next := startUpstream(t, "old", nil), startUpstream(t, "new", nil)
		slow.hold = make(chan struct{})
		n := names{"WEB": slow.port}.ports(t, "HTTP", "TLS")
		certificate := certs.Secret("cert", certs.NewIssuer(t, "authority").Issue(t, "a.test"), "")
		rules := func(port uint32) string {
			return strings.Replace(n.expand(t, strings.Replace(chainRules, "EXTRA", "", 1)), "[{address: 127.0.0.1}]", fmt.Sprintf("[{address: 127.0.0.1, ports: {http: %d}}]", port), 1) + certificate
		}
		p, _ := translateYAML(t, rules(slow.port), translate.Options{})
		d := openDoor(t, b, p, envoy.Options{})
		held := make(chan string, 1)
		go func() {
			got, err := (&client{address: n.address("HTTP")}).send(request("/hold", nil))
			held <- fmt.Sprint(got.status, got.body, err)
		}()
		require.Eventually(t, func() bool { return slow.asked.Load() > 0 }, 5*time.Second, time.Millisecond)
		p, _ = translateYAML(t, rules(next.port), translate.Options{})
		d.apply(t, p)
		got, err := (&client{address: n.address("HTTP")}).send(request("/", nil))
		require.NoError(t, err)
		assert.Equal(t, "new", got.body)
		close(slow.hold)
		assert.Equal(t, "200old<nil>", <-held)
	})
}

// A Gateway that is bound to another address of the same port is served there, and there alone.
func TestBindChanges(t *testing.T) {
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		t.Run(engine, func(t *testing.T) {
			everywhere := engine == "envoy" // the embedded data plane takes the loopback address for every one
			ports, err := process.FreePorts(1)
			require.NoError(t, err)
			rules := func(bind string) string {
				return strings.Replace(resources.AllowAll, "{port: {number: 80,", fmt.Sprintf("{bind: %q, port: {number: %d,", bind, ports[0]), 1)
			}
			file := resources.RulesFile(t, rules("127.0.0.1"))
			r := program.Serve(t, file, append(args, "--settle", "0", "--listen", "")...)
			r.WaitFor(t, "listening on")
			open := func(address string) bool { // to a new connection: old ones outlive their listener
				c := &client{address: fmt.Sprintf("%s:%d", address, ports[0])}
				defer c.close()
				got, err := c.send(request("/", nil))
				return err == nil && got.status == http.StatusOK
			}
			require.True(t, open("127.0.0.1"))
			require.False(t, open("127.0.0.2"))
			for _, bind := range []string{"0.0.0.0", "127.0.0.2", "127.0.0.1", "::", "127.0.0.1"} {
				resources.RenameInto(t, file, rules(bind))
				want := [2]bool{bind != "127.0.0.2" && (bind != "::" || everywhere), bind == "127.0.0.2" || bind != "127.0.0.1" && everywhere}
				var got [2]bool
				assert.Eventually(t, func() bool {
					got = [2]bool{open("127.0.0.1"), open("127.0.0.2")}
					return got == want
				}, 15*time.Second, 50*time.Millisecond)
				assert.Equal(t, want, got, "%s: %s", bind, r.Output())
			}
			assert.NotContains(t, r.Output(), "are not used")
		})
	}
}

// All addresses of IPv6 are those of IPv4, too; --listen takes an address of IPv6 with a port, and without.
func TestIPv6(t *testing.T) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	addresses := []string{fmt.Sprintf("[::]:%d", ports[0]), "::", "[::]"}
	probe, err := net.Listen("tcp", "[::1]:0") // a system may have no address of IPv6
	loopback := err == nil
	if loopback {
		require.NoError(t, probe.Close())
		addresses = append(addresses, fmt.Sprintf("[::1]:%d", ports[0]))
	}
	for engine, args := range map[string][]string{"wasm": {"--engine", "wasm"}, "envoy": envoyArgs(defaultEnvoy(t))} {
		for _, listen := range addresses {
			t.Run(engine+" "+listen, func(t *testing.T) {
				rules := strings.Replace(resources.AllowAll, "number: 80", fmt.Sprintf("number: %d", ports[0]), 1)
				r := program.Serve(t, resources.RulesFile(t, rules), append(args, "--listen", listen)...)
				r.WaitFor(t, "listening on [::")
				answers := func(host string) bool {
					r.Address = net.JoinHostPort(host, fmt.Sprint(ports[0]))
					status, err := r.Get("a.test", "/")
					return err == nil && status == http.StatusOK
				}
				assert.Equal(t, !strings.Contains(listen, "::1"), answers("127.0.0.1"))
				assert.Equal(t, loopback, answers("::1"))
				require.NoError(t, r.Cmd.Process.Signal(os.Interrupt))
				require.NoError(t, r.Exit(t, 10*time.Second), r.Output())
			})
		}
	}
	_, stderr, status := program.Run(t, "", "run", "-f", "examples/bookinfo", "--listen", "[::]:x")
	assert.Equal(t, 64, status)
	assert.Contains(t, stderr, `--listen "[::]:x": "x" is not a valid port`)
}

// A client of IPv4 is itself at a listener of IPv6.
func TestIPv4ClientsOfIPv6Listeners(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		web := startUpstream(t, "web", nil)
		n := names{"WEB": web.port}.ports(t, "HTTP", "TLS")
		rules := strings.ReplaceAll(strings.Replace(chainRules, "EXTRA", "", 1), "bind: 127.0.0.1", `bind: "::"`)
		p, _ := translateYAML(t, n.expand(t, rules)+certs.Secret("cert", certs.NewIssuer(t, "authority").Issue(t, "a.test"), ""), translate.Options{})
		openDoor(t, b, p, envoy.Options{TrustedHops: 0})
		got, err := (&client{address: n.address("HTTP")}).send(request("/", nil))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.status)
		assert.NotContains(t, web.observed.Load().Header.Get("X-Forwarded-For"), ":")
	})
}

// Certificates are read again when they are written in place, and when certificate and key stand in different folders.
func TestCertificateFiles(t *testing.T) {
	port, err := process.FreePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", port[0])
	rules := strings.Replace(resources.AllowAll, "http, protocol: HTTP}, hosts: [\"*\"]}", "tls, protocol: HTTPS}, hosts: [\"*\"], tls: {mode: SIMPLE, credentialName: cert}}", 1)
	authority := certs.NewIssuer(t, "authority")
	shown := func() string {
		c, err := tls.Dial("tcp", address, insecure("a.test"))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	inPlace := func(t testing.TB, file, text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	for what, write := range map[string]func(t testing.TB, file, text string){"renamed": resources.RenameInto, "in place": inPlace} {
		t.Run("run "+what, func(t *testing.T) {
			cert, key := filepath.Join(t.TempDir(), "a.crt"), filepath.Join(t.TempDir(), "a.key")
			put := func(c certs.Issued) {
				write(t, key, c.Key)
				time.Sleep(50 * time.Millisecond)
				write(t, cert, c.Cert)
			}
			put(authority.Issue(t, "one.test"))
			r := program.Serve(t, resources.RulesFile(t, rules), append(envoyArgs(defaultEnvoy(t)), "--settle", "200ms", "--listen", address, "--secret", "cert="+cert+","+key)...)
			r.WaitFor(t, "listening on")
			require.Equal(t, "one.test", shown())
			put(authority.Issue(t, "two.test"))
			r.Eventually(t, "the change", func() bool { return shown() == "two.test" })
			assert.NotContains(t, r.Output(), "are not used", "a pair is read when both are there")
		})
	}
	t.Run("translate, keys in another folder", func(t *testing.T) {
		onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
			cert, key := filepath.Join(t.TempDir(), "a.crt"), filepath.Join(t.TempDir(), "a.key")
			first, second := authority.Issue(t, "one.test"), authority.Issue(t, "two.test")
			resources.RenameInto(t, key, first.Key)
			resources.RenameInto(t, cert, first.Cert)
			p, _ := translateYAML(t, rules, translate.Options{Secrets: map[string]translate.SecretFiles{"cert": {Cert: cert, Key: key}}})
			p.Listeners[0].Bind, p.Listeners[0].Port = "127.0.0.1", port[0]
			openDoor(t, b, p, envoy.Options{})
			require.Equal(t, "one.test", shown())
			resources.RenameInto(t, cert, second.Cert) // it does not fit the key yet
			time.Sleep(200 * time.Millisecond)
			resources.RenameInto(t, key, second.Key)
			assert.Eventually(t, func() bool { return shown() == "two.test" }, 10*time.Second, 50*time.Millisecond)
		})
	})
}

// TestManyServices serves more services than a user has instances of inotify, and changes one of them; Envoy needs as many
// as the files say.
func TestManyServices(t *testing.T) {
	const services = 300
	u := startUpstream(t, "web", nil)
	var b strings.Builder
	b.WriteString(strings.Split(resources.AllowAll, "---")[0] + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n")
	for i := range services {
		fmt.Fprintf(&b, "  - {match: [{uri: {exact: /s%d}}], route: [{destination: {host: s%d.test}}]}\n", i, i)
	}
	for i := range services {
		fmt.Fprintf(&b, "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s%d}\nspec: {hosts: [s%d.test], resolution: STATIC, endpoints: [{address: 127.0.0.%d}], ports: [{number: %d, name: http, protocol: HTTP}]}\n",
			i, i, 1+i%2, u.port)
	}
	file := resources.RulesFile(t, b.String())
	for _, matching := range []string{"native", "filter"} {
		t.Run(matching, func(t *testing.T) {
			resources.RenameInto(t, file, b.String())
			r := program.Serve(t, file, "--engine", "envoy", "--envoy", defaultEnvoy(t).Path, "--matching", matching, "--settle", "0")
			r.WaitFor(t, "listening on")
			status, err := r.Get("a.test", "/s298")
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, status)
			for _, pid := range r.Children(t) {
				assert.Zero(t, inotifyInstances(t, pid), "everything comes over one stream")
			}
			resources.RenameInto(t, file, strings.Replace(b.String(), "hosts: [s299.test], resolution: STATIC, endpoints: [{address: 127.0.0.2}]", "hosts: [s299.test], resolution: STATIC, endpoints: [{address: 127.0.0.1}]", 1))
			r.WaitFor(t, "the changed files are served now")
			status, err = r.Get("a.test", "/s299")
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, status)
		})
	}
}

func inotifyInstances(t *testing.T, pid int) (n int) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.Contains(target, "inotify") {
			n++
		}
	}
	return n
}

// The number that is counted before Envoy is asked for it is the one that Envoy takes.
func TestWatchesAreCounted(t *testing.T) {
	module, _ := program.ReadModule(t)
	own := certs.NewIssuer(t, "authority")
	cert, key := own.Issue(t, "files.test").Files(t, t.TempDir(), "files")
	n := names{"WEB": startUpstream(t, "web", nil).port}.ports(t, "HTTP", "TLS")
	rules := n.expand(t, strings.Replace(chainRules, "EXTRA", "", 1)+strings.Replace(anotherServer, "credentialName: cert", "credentialName: files", 1)) +
		certs.Secret("cert", own.Issue(t, "a.test"), "")
	for _, module := range []string{"", module} {
		p, _ := translateYAML(t, rules, translate.Options{Secrets: map[string]translate.SecretFiles{"files": {Cert: cert, Key: key}}})
		p.Clusters[0].Warmup = &plan.Warmup{Duration: time.Minute}
		d := openDoor(t, defaultEnvoy(t), p, envoy.Options{Module: module})
		resources, err := envoy.Build(p, d.options)
		require.NoError(t, err)
		assert.Equal(t, inotifyInstances(t, d.PID()), files.Watches(resources))
	}
}
