package envoy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// modernEnvoys are those on which everything that Envoy executes by itself is shown.
func modernEnvoys(t testing.TB) []envoytest.Binary {
	all := envoys(t)
	modern := slices.DeleteFunc(slices.Clone(all), func(b envoytest.Binary) bool { return b.Minor < 39 })
	if len(modern) == 0 { // ENVOY_BIN names an older one
		return all
	}
	return modern
}

// onModernEnvoys runs a test on each.
func onModernEnvoys(t *testing.T, test func(t *testing.T, b envoytest.Binary)) {
	for _, b := range modernEnvoys(t) {
		t.Run("Envoy "+b.Version, func(t *testing.T) { test(t, b) })
	}
}

// names are what stands for $NAME in a piece of YAML.
type names map[string]any

func (ns names) expand(t testing.TB, yaml string) string {
	return os.Expand(yaml, func(name string) string {
		value, ok := ns[name]
		require.True(t, ok, "$%s stands for nothing", name)
		return fmt.Sprint(value)
	})
}

// ports fills in free ports.
func (ns names) ports(t testing.TB, list ...string) names {
	found, err := process.FreePorts(len(list))
	require.NoError(t, err)
	for i, name := range list {
		ns[name] = found[i]
	}
	return ns
}

func (ns names) address(port string) string { return fmt.Sprintf("127.0.0.1:%d", ns[port]) }

// translateYAML makes the plan of a piece of YAML, which must have no errors.
func translateYAML(t testing.TB, yaml string, o translate.Options) (*plan.Plan, diag.Findings) {
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(yaml)}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	p, more := translate.Plan(in.Set, o)
	require.False(t, more.HasErrors(), "%v", more)
	return p, diag.Merge(in.Findings, more)
}

// door is an Envoy on files that it watches.
type door struct {
	*process.Process
	options envoy.Options
	dir     *files.Dir
	log     *logBuffer
}

// openDoor starts an Envoy with a plan until the test ends. Without a module, routes are matched natively.
func openDoor(t testing.TB, b envoytest.Binary, p *plan.Plan, o envoy.Options) *door {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	o.AdminPort, o.Minor, o.Dir = ports[0], b.Minor, t.TempDir()
	if o.Matching = envoy.MatchingFilter; o.Module == "" {
		o.Matching = envoy.MatchingNative
	}
	d := &door{options: o, dir: &files.Dir{Path: o.Dir}, log: &logBuffer{}}
	d.apply(t, p)
	text, err := os.ReadFile(filepath.Join(o.Dir, envoy.BootstrapFile))
	require.NoError(t, err)
	d.Process, err = process.Start(context.Background(), process.Options{
		Binary: b.Path, Bootstrap: text, AdminPort: o.AdminPort, Concurrency: 1, Output: d.log,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop()) })
	d.dir.Watcher = &files.Admin{Ask: d.Admin}
	rejected, err := d.Stat(context.Background(), "listener_manager.lds.update_rejected")
	require.NoError(t, err)
	require.Zero(t, rejected, d.Log())
	return d
}

// apply changes the plan while Envoy runs.
func (d *door) apply(t testing.TB, p *plan.Plan) {
	resources, err := envoy.Build(p, d.options)
	require.NoError(t, err)
	require.NoError(t, d.dir.Apply(context.Background(), resources))
}

// stat is a statistic of Envoy.
func (d *door) stat(t testing.TB, name string) int64 {
	n, err := d.Stat(context.Background(), name)
	require.NoError(t, err)
	return n
}

// logBuffer keeps all that Envoy prints, access logs among it.
type logBuffer struct{ program.Running }

// httpUpstream answers every request with its name, in HTTP/1.1 and in HTTP/2 without TLS.
type httpUpstream struct {
	name     string
	port     uint32
	asked    atomic.Int64
	status   atomic.Int64 // 0 is 200
	hold     chan struct{}
	delay    time.Duration
	observed atomic.Pointer[http.Request]
}

func startUpstream(t testing.TB, name string, config *tls.Config) *httpUpstream {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u := &httpUpstream{name: name, port: uint32(l.Addr().(*net.TCPAddr).Port)}
	s := &http.Server{Handler: u, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute, Protocols: &http.Protocols{}, TLSConfig: config}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(config != nil)
	s.Protocols.SetUnencryptedHTTP2(config == nil)
	if config == nil {
		go func() { _ = s.Serve(l) }() // ends when closed
	} else {
		go func() { _ = s.ServeTLS(l, "", "") }() // as above
	}
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return u
}

func (u *httpUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.asked.Add(1)
	u.observed.Store(r)
	if u.hold != nil && r.URL.Path == "/hold" {
		<-u.hold
	}
	time.Sleep(u.delay)
	w.Header().Set("X-Upstream", u.name)
	w.Header().Set("X-Upstream-Protocol", r.Proto)
	if n := u.status.Load(); n != 0 {
		w.WriteHeader(int(n))
	}
	_, _ = io.WriteString(w, u.name) // the proxy may be gone
}

// tcpUpstream begins every connection with its name, and sends back what it gets.
func tcpUpstream(t testing.TB, name string, config *tls.Config) uint32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := uint32(l.Addr().(*net.TCPAddr).Port)
	if config != nil {
		l = tls.NewListener(l, config)
	}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				if _, err := io.WriteString(c, name+"\n"); err == nil {
					_, _ = io.Copy(c, c) // until one of both is gone
				}
			}()
		}
	}()
	return port
}

// greet connects, and returns the first line that it is sent.
func greet(address string, config *tls.Config) (string, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a socket has deadlines
	if config != nil {
		conn = tls.Client(conn, config)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if back, err := r.ReadString('\n'); back != "hello\n" {
		return "", fmt.Errorf("sent back %q: %w", back, err)
	}
	return strings.TrimSpace(line), nil
}

// secure is the answer over TLS, with what the handshake showed.
type secure struct {
	answer
	tls.ConnectionState
}

// server is the first name of the certificate that the server showed.
func (s secure) server() string { return s.PeerCertificates[0].DNSNames[0] }

// getTLS makes a new connection, and one request of HTTP/1.1 on it.
func getTLS(address string, config *tls.Config, host, path string) (out secure, err error) {
	raw, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return out, err
	}
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second)) // a socket has deadlines
	conn := tls.Client(raw, config)
	if err := conn.Handshake(); err != nil {
		return out, err
	}
	out.ConnectionState = conn.ConnectionState()
	c := newClient(conn)
	q := request(path, nil)
	q.Authority = host
	out.answer, err = c.send(q)
	return out, err
}

// h2Client speaks HTTP/2 with prior knowledge, to one address.
func h2Client(t testing.TB, address string) *http.Client {
	transport := &http.Transport{
		Protocols: &http.Protocols{},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// insecure takes any certificate: which one is shown is what tests look at.
func insecure(sni string) *tls.Config {
	return &tls.Config{ServerName: sni, InsecureSkipVerify: true} //nolint:gosec // as above
}

func newClient(conn net.Conn) *client { return &client{conn: conn, reader: bufio.NewReader(conn)} }
