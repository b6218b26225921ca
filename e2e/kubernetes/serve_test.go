package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/process"
)

// edge is an Envoy that gets its rules from a replica of 'waymark serve', at a port of its own.
type edge struct {
	name    string
	port    uint32
	process *process.Process
	halted  atomic.Bool // nothing is asked
	failed  atomic.Int64
	sent    atomic.Int64
	last    atomic.Value // what failed
}

// ask returns the answer to a request.
func (e *edge) ask(path string) (string, error) {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", e.port, path), nil)
	if err != nil {
		return "", err
	}
	q.Host = "shop.test"
	response, err := program.HTTPClient.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	return string(body), err
}

// answers waits until it answers a request like this.
func (e *edge) answers(t *testing.T, path, want string) {
	t.Helper()
	var got string
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(50 * time.Millisecond) {
		if got, err = e.ask(path); err == nil && got == want {
			return
		}
	}
	t.Fatalf("%s: %s: %q is never the answer but %q, %v", e.name, path, want, got, err)
}

// serving is a replica of 'waymark serve --kubernetes'.
type serving struct {
	*program.Running
	xds string
}

func serve(t *testing.T, kubeconfig, identity, xds, state string) *serving {
	path, err := program.Path()
	require.NoError(t, err)
	module, _ := program.ReadModule(t)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	r := &serving{&program.Running{}, xds}
	r.Cmd = exec.Command(path, "serve", "--kubernetes", "--kubeconfig", kubeconfig, "--lease", "waymark-system/waymark", "--identity", identity,
		"--xds-listen", xds, "--admin-listen", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--module", module, "--state-dir", state)
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	t.Cleanup(func() {
		_ = r.Cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = r.Cmd.Wait()                          // as above
	})
	return r
}

// backend is a service whose endpoints an API server takes.
func backend(t *testing.T, answer string) (address string, port int) {
	l, err := net.Listen("tcp", net.JoinHostPort(apiserver.Address(t), "0"))
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // until it is closed
	t.Cleanup(func() { _ = s.Close() })
	at := l.Addr().(*net.TCPAddr)
	return at.IP.String(), at.Port
}

const gatewayOf = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %[1]s}
spec:
  selector: {proxy: %[1]s}
  servers: [{port: {number: %[2]d, name: http, protocol: HTTP}, hosts: ["*"], bind: 127.0.0.1}]
---
`

const webService = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80, name: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: %d}]
endpoints: [{addresses: [%q], conditions: {ready: true}}]
`

// rule answers with a number, and sends /web to a service.
func rule(edges []*edge, number int) string {
	var names []string
	for _, e := range edges {
		names = append(names, e.name)
	}
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec:
  hosts: [shop.test]
  gateways: [%s]
  http:
  - {match: [{uri: {prefix: /web}}], route: [{destination: {host: web, port: {number: 80}}}]}
  - {directResponse: {status: 200, body: {string: "%d"}}}
`, strings.Join(names, ", "), number)
}

// Rules that are written into a cluster reach Envoys of several versions, through two replicas that have only the rights that
// are shipped; while the API server, a replica or an Envoy is gone or halted, no request fails, and what was changed meanwhile
// arrives.
func TestServeFromACluster(t *testing.T) {
	s := istio(t)
	kubeconfig := s.Kubeconfig(t, waymark(t, s))
	binaries, err := envoytest.All()
	require.NoError(t, err)
	binaries = []envoytest.Binary{binaries[0], binaries[len(binaries)-1]} // the oldest and the newest
	ports, err := process.FreePorts(2 * len(binaries))
	require.NoError(t, err)
	var edges []*edge
	var gateways strings.Builder
	for i := range binaries {
		e := &edge{name: fmt.Sprintf("edge-%d", i), port: ports[2*i]}
		edges = append(edges, e)
		fmt.Fprintf(&gateways, gatewayOf, e.name, e.port)
	}
	firstAddress, firstPort := backend(t, "first")
	secondAddress, secondPort := backend(t, "second")
	s.Apply(t, gateways.String()+rule(edges, 1)+"---\n"+fmt.Sprintf(webService, firstPort, firstAddress))
	replicas, states := make([]*serving, len(edges)), make([]string, len(edges))
	for i, e := range edges {
		states[i] = t.TempDir()
		replicas[i] = serve(t, kubeconfig, fmt.Sprintf("replica-%d", i), fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]), states[i])
		e.start(t, binaries[i], replicas[i].xds)
		e.answers(t, "/", "1")
		e.answers(t, "/web", "first")
	}
	everywhere := func(path, want string) {
		t.Helper()
		for _, e := range edges {
			e.answers(t, path, want)
		}
	}
	stop := load(edges)

	s.Apply(t, rule(edges, 2))
	everywhere("/", "2")
	s.Apply(t, fmt.Sprintf(webService, secondPort, secondAddress))
	everywhere("/web", "second")
	objects := virtualServices(t, s.Admin())
	condition := func(name string, i int) string {
		o, err := objects.Get(t.Context(), name, meta.GetOptions{})
		require.NoError(t, err)
		if all := conditions(o); len(all) > i {
			return all[i]
		}
		return ""
	}
	generation := " 2"
	is := func(i int, want string) func() bool {
		return func() bool {
			return strings.HasPrefix(condition("rule", i), want) && strings.HasSuffix(condition("rule", i), generation)
		}
	}
	require.Eventually(t, is(0, "waymark.dev/Accepted True"), time.Minute, 100*time.Millisecond)
	require.Eventually(t, is(1, "waymark.dev/Programmed True"), time.Minute, 100*time.Millisecond)

	// An object with an error harms itself alone.
	s.Apply(t, broken)
	require.Eventually(t, func() bool { return strings.HasPrefix(condition("broken", 0), "waymark.dev/Accepted False") }, time.Minute, 100*time.Millisecond)
	s.Apply(t, rule(edges, 3))
	everywhere("/", "3")

	s.Kill(t)
	time.Sleep(2 * time.Second)
	everywhere("/", "3")
	s.Restart(t)
	s.Apply(t, rule(edges, 4))
	everywhere("/", "4")

	// A replica is killed. Its Envoy keeps what it has, the other one serves on and writes the statuses.
	leader := 0
	if strings.Contains(replicas[1].Output(), "this replica leads") {
		leader = 1
	}
	other := 1 - leader
	require.NoError(t, replicas[leader].Cmd.Process.Kill())
	_ = replicas[leader].Cmd.Wait() // killed
	s.Apply(t, rule(edges, 5))
	edges[other].answers(t, "/", "5")
	edges[leader].answers(t, "/", "4")
	generation = " 5"
	require.Eventually(t, is(0, "waymark.dev/Accepted True"), time.Minute, 100*time.Millisecond, "the other one leads: %s", replicas[other].Output())
	replicas[leader] = serve(t, kubeconfig, "replica-again", replicas[leader].xds, states[leader])
	everywhere("/", "5")

	// An Envoy is halted, and takes what it has missed.
	edges[other].halted.Store(true)
	time.Sleep(200 * time.Millisecond) // for the request that is under way
	require.NoError(t, syscall.Kill(edges[other].process.PID(), syscall.SIGSTOP))
	s.Apply(t, rule(edges, 6))
	edges[leader].answers(t, "/", "6")
	require.NoError(t, syscall.Kill(edges[other].process.PID(), syscall.SIGCONT))
	edges[other].halted.Store(false)
	everywhere("/", "6")
	stop()
	for _, e := range edges {
		assert.Zero(t, e.failed.Load(), "%s: %v", e.name, e.last.Load())
		assert.Greater(t, e.sent.Load(), int64(500), e.name)
	}
}

// start starts the Envoy until the test ends.
func (e *edge) start(t *testing.T, b envoytest.Binary, xds string) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	bootstrap, stderr, status := program.Run(t, "", "bootstrap", "--xds", xds, "--node", e.name, "--labels", "proxy="+e.name, "--namespace", "default",
		"--envoy-version", fmt.Sprintf("1.%d", b.Minor), "--admin-port", fmt.Sprint(ports[0]))
	require.Zero(t, status, stderr)
	e.process, err = process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: []byte(bootstrap), AdminPort: ports[0], Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.process.Stop() }) // nothing depends on it
}

// load asks each Envoy again and again, one request at a time, until stop is called.
func load(edges []*edge) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, e := range edges {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				time.Sleep(5 * time.Millisecond)
				if e.halted.Load() {
					continue
				}
				path := []string{"/", "/web"}[n%2]
				got, err := e.ask(path)
				if err != nil || path == "/web" && got != "first" && got != "second" {
					e.failed.Add(1)
					e.last.Store(fmt.Sprintf("%s: %q %v", path, got, err))
				}
				e.sent.Add(1)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}
