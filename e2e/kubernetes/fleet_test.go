package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/e2e/internal/apiserver"
	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/fleet"
)

// generation is one state of the objects in the cluster. What an Envoy answers depends on its numbers.
type generation struct{ rule, endpoint, destination, certificate int }

// padding is how many rules precede those that are asked for: with so many, --matching auto makes a tree.
const padding = 40

// aFleet is a cluster, replicas of 'waymark serve --kubernetes' with the rights that are shipped, and Envoys that get their
// rules from them. Each Envoy has a Gateway of its own, with ports of its own.
type aFleet struct {
	*apiserver.Server
	objects    dynamic.Interface
	kubeconfig string
	echo       [2]*echo.Server // the Service's endpoint is in one of them; the first one has all other destinations
	issuer     *certs.Issuer
	issued     map[int]certs.Issued
	members    []*member
	written    *generation
}

// member is one Envoy.
type member struct {
	name      string
	port, tls uint32
	admin     uint32
	envoy     *process.Process
	client    *http.Client
}

// startFleet starts a cluster with the objects of the first generation, for as many Envoys.
func startFleet(t *testing.T, envoys int) *aFleet {
	f := &aFleet{Server: istio(t), issuer: certs.NewIssuer(t, "authority"), issued: map[int]certs.Issued{}}
	var err error
	f.objects, err = dynamic.NewForConfig(f.Admin())
	require.NoError(t, err)
	f.kubeconfig = f.Kubeconfig(t, waymark(t, f.Server))
	for i := range f.echo {
		f.echo[i], err = echo.Start()
		require.NoError(t, err)
		f.echo[i].Respond(http.Header{"x-server": {fmt.Sprint(i)}})
		server := f.echo[i]
		t.Cleanup(func() { require.NoError(t, server.Close()) })
	}
	ports, err := process.FreePorts(3 * envoys)
	require.NoError(t, err)
	for i := range envoys {
		m := &member{name: fmt.Sprintf("proxy-%d", i), port: ports[3*i], tls: ports[3*i+1], admin: ports[3*i+2], client: newClient()}
		f.members = append(f.members, m)
	}
	f.Apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n")
	f.Apply(t, f.gateways())
	f.Apply(t, f.destinations())
	f.write(t, generation{})
	return f
}

func (f *aFleet) gateways() string {
	var b strings.Builder
	for _, m := range f.members {
		fmt.Fprintf(&b, `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %[1]s}
spec:
  selector: {proxy: %[1]s}
  servers:
  - {port: {number: %[2]d, name: http, protocol: HTTP}, hosts: ["*"], bind: 127.0.0.1}
  - {port: {number: %[3]d, name: https, protocol: HTTPS}, hosts: [a.test], bind: 127.0.0.1, tls: {mode: SIMPLE, credentialName: cert}}
`, m.name, m.port, m.tls)
	}
	return b.String()
}

// destinations are those that stay: a Service, and a ServiceEntry with two versions.
func (f *aFleet) destinations() string {
	first, port := f.echo[0].Address("stable-v1")
	second, _ := f.echo[0].Address("stable-v2")
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: moving}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: stable}
spec:
  hosts: [stable.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %[1]d}]
  endpoints: [{address: %[2]s, labels: {version: v1}}, {address: %[3]s, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: stable}
spec: {host: stable.test, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`, port, first, second)
}

func istioResource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: name}
}

func destinationName(n int) string { return fmt.Sprintf("d%d", n) }

// destination is a ServiceEntry to which rules of one or two generations lead.
func (f *aFleet) destination(n int) string {
	ip, port := f.echo[0].Address(destinationName(n))
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s}
spec:
  hosts: [%[1]s.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %[2]d}]
  endpoints: [{address: %[3]s}]
`, destinationName(n), port, ip)
}

func (f *aFleet) endpoint(t *testing.T, n int) string {
	_, port := f.echo[n%2].Address("")
	return fmt.Sprintf(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: moving-1, labels: {kubernetes.io/service-name: moving}}
addressType: IPv4
ports: [{name: http, port: %d}]
endpoints: [{addresses: [%s], conditions: {ready: true}}]
`, port, apiserver.Address(t))
}

func (f *aFleet) rule(g generation) string {
	var gateways []string
	for _, m := range f.members {
		gateways = append(gateways, m.name)
	}
	var pad strings.Builder
	for i := range padding {
		fmt.Fprintf(&pad, "  - match: [{uri: {exact: /padding/%d}}]\n    directResponse: {status: 204}\n", i)
	}
	return fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.test]
  gateways: [%[1]s]
  http:
%[2]s  - match: [{uri: {exact: /rule}}]
    directResponse: {status: 200, body: {string: "%[3]d"}}
  - match: [{uri: {exact: /stable}}]
    route: [{destination: {host: stable.test, subset: v2}}]
  - match: [{uri: {prefix: /endpoint}}]
    route: [{destination: {host: moving.default.svc.cluster.local}}]
  - match: [{uri: {regex: "/split/[0-9]+"}}]
    route:
    - {destination: {host: %[4]s.test}, weight: 50}
    - {destination: {host: %[5]s.test}, weight: 50}
`, strings.Join(gateways, ", "), pad.String(), g.rule, destinationName(g.destination), destinationName(g.destination+1))
}

// put writes one object, as kubectl apply --server-side does.
func (f *aFleet) put(ctx context.Context, text string) error {
	var o struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
	}
	body, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return err
	}
	resources := map[string]string{
		"VirtualService": "virtualservices", "ServiceEntry": "serviceentries", "EndpointSlice": "endpointslices", "Secret": "secrets", "Gateway": "gateways",
	}
	group := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).GroupVersion()
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	force := true
	_, err = f.objects.Resource(group.WithResource(resources[o.Kind])).Namespace(o.Namespace).
		Patch(ctx, o.Name, types.ApplyPatchType, body, meta.PatchOptions{FieldManager: "test", Force: &force})
	return err
}

// write writes what differs from the generation that was written last, in an order that a careful operator would choose.
func (f *aFleet) write(t *testing.T, g generation) {
	t.Helper()
	before := f.written
	put := func(text string) { require.NoError(t, f.put(t.Context(), strings.TrimPrefix(text, "---\n"))) }
	if before == nil || before.certificate != g.certificate {
		put(certs.Secret("cert", f.certificate(t, g.certificate), ""))
	}
	if before == nil || before.endpoint != g.endpoint {
		put(f.endpoint(t, g.endpoint))
	}
	if before == nil {
		put(f.destination(g.destination))
		put(f.destination(g.destination + 1))
		put(f.rule(g))
	} else if before.destination != g.destination || before.rule != g.rule {
		for n := before.destination + 2; n <= g.destination+1; n++ {
			put(f.destination(n))
		}
		put(f.rule(g))
		entries := f.objects.Resource(istioResource("serviceentries")).Namespace("default")
		for n := before.destination; n < g.destination; n++ {
			require.NoError(t, entries.Delete(t.Context(), destinationName(n), meta.DeleteOptions{}))
		}
	}
	f.written = &g
}

func (f *aFleet) certificate(t *testing.T, n int) certs.Issued {
	if _, ok := f.issued[n]; !ok {
		f.issued[n] = f.issuer.Issue(t, "a.test", fmt.Sprintf("generation-%d", n))
	}
	return f.issued[n]
}

// served is one replica of the control plane.
type served struct {
	*program.Running
	name       string
	xds, admin string
	args       []string
}

// serve starts a replica, until the test ends.
func (f *aFleet) serve(t *testing.T, name string, args ...string) *served {
	ports, err := process.FreePorts(2)
	require.NoError(t, err)
	module, _ := program.ReadModule(t)
	s := &served{name: name, xds: fmt.Sprintf("127.0.0.1:%d", ports[0]), admin: fmt.Sprintf("127.0.0.1:%d", ports[1])}
	s.args = append([]string{
		"serve", "--kubernetes", "--kubeconfig", f.kubeconfig, "--lease", "waymark-system/waymark", "--identity", name, "--xds-listen", s.xds, "--admin-listen", s.admin, "--module", module,
	}, args...)
	s.start(t)
	return s
}

func (s *served) start(t *testing.T) {
	path, err := program.Path()
	require.NoError(t, err)
	r := &program.Running{Cmd: exec.Command(path, s.args...)}
	r.Cmd.Stdout, r.Cmd.Stderr = r, r
	require.NoError(t, r.Cmd.Start())
	s.Running = r
	t.Cleanup(func() {
		_ = r.Cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = r.Cmd.Wait()                          // as above
		if t.Failed() {
			text := r.Output()
			t.Logf("%s printed:\n%s", s.name, text[max(0, len(text)-4<<10):])
		}
	})
}

func (s *served) status(t *testing.T) (out fleet.Status) {
	stdout, stderr, status := program.Run(t, "", "status", "--server", s.admin, "-o", "json")
	require.Zero(t, status, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	return out
}

// text is what 'waymark status' prints.
func (s *served) text(t *testing.T) string {
	stdout, stderr, status := program.Run(t, "", "status", "--server", s.admin)
	require.Zero(t, status, stderr)
	return stdout
}

// join starts an Envoy of the fleet, until the test ends. It gets its rules from an address.
func (f *aFleet) join(t *testing.T, i int, version, xds string, flags ...string) {
	all, err := envoytest.All()
	require.NoError(t, err)
	at := slices.IndexFunc(all, func(b envoytest.Binary) bool { return b.Version == version })
	require.GreaterOrEqual(t, at, 0, version)
	m := f.members[i]
	bootstrap, stderr, status := program.Run(t, "", append([]string{
		"bootstrap", "--xds", xds, "--node", m.name, "--labels", "proxy=" + m.name, "--envoy-version", version, "--admin-port", fmt.Sprint(m.admin),
	}, flags...)...)
	require.Zero(t, status, stderr)
	m.envoy, err = process.Start(context.Background(), process.Options{Binary: all[at].Path, Bootstrap: []byte(bootstrap), AdminPort: m.admin, Concurrency: 1})
	require.NoError(t, err)
	p := m.envoy
	t.Cleanup(func() {
		_ = p.Stop() // it may have been killed
		m.client.CloseIdleConnections()
	})
}

// newClient keeps one connection, and never sends a request twice: it sends what a client may not repeat.
func newClient() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
}

// answer is what came back.
type answer struct {
	status              int
	body, server, reply string // reply is the destination that was reached
}

func (m *member) ask(path string) (a answer, err error) { return m.askWith(m.client, "a.test", path) }

func (m *member) askOf(host, path string) (a answer, err error) {
	return m.askWith(m.client, host, path)
}

func (m *member) askWith(c *http.Client, host, path string) (a answer, err error) {
	q, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d%s", m.port, path), http.NoBody)
	if err != nil {
		return a, err
	}
	q.Host = host
	response, err := c.Do(q)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	text, err := io.ReadAll(response.Body)
	a.status, a.body, a.server = response.StatusCode, string(text), response.Header.Get("x-server")
	var seen echo.Request
	if json.Unmarshal(text, &seen) == nil {
		a.reply = seen.Destination
	}
	return a, err
}

// handshake is the generation of the certificate that an Envoy shows.
func (f *aFleet) handshake(m *member) (string, error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", fmt.Sprintf("127.0.0.1:%d", m.tls), &tls.Config{ServerName: "a.test", RootCAs: f.issuer.Pool(), MinVersion: tls.VersionTLS12})
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }() // nothing was sent
	return certificateOf(c.ConnectionState().PeerCertificates[0]), nil
}

func certificateOf(c *x509.Certificate) string {
	for _, name := range c.DNSNames {
		if n, ok := strings.CutPrefix(name, "generation-"); ok {
			return n
		}
	}
	return ""
}

// judge says what is wrong with an answer to a request that was sent when from was in force, and answered before anything
// after to was written; "" is nothing.
func judge(path string, a answer, err error, from, to generation) string {
	if err != nil {
		return fmt.Sprintf("%s: %v", path, err)
	}
	if a.status != http.StatusOK {
		return fmt.Sprintf("%s: status %d: %.100s", path, a.status, a.body)
	}
	ok := false
	kind := path
	if strings.HasPrefix(path, "/split/") {
		kind = "/split"
	}
	switch kind {
	case "/rule":
		for n := from.rule; n <= to.rule; n++ {
			ok = ok || a.body == fmt.Sprint(n)
		}
	case "/stable":
		ok = a.reply == "stable-v2"
	case "/endpoint":
		for n := from.endpoint; n <= to.endpoint; n++ {
			ok = ok || a.server == fmt.Sprint(n%2)
		}
	case "/split":
		for n := from.destination; n <= to.destination+1; n++ {
			ok = ok || a.reply == destinationName(n)
		}
	}
	if !ok {
		a.body = a.body[:min(len(a.body), 100)]
		return fmt.Sprintf("%s: %+v, between %+v and %+v", path, a, from, to)
	}
	return ""
}

// serves reports whether an Envoy answers as a generation does.
func (f *aFleet) serves(m *member, g generation) string {
	for _, path := range []string{"/rule", "/stable", "/endpoint", "/split/1"} {
		a, err := m.ask(path)
		if problem := judge(path, a, err, g, g); problem != "" {
			return m.name + " " + problem
		}
	}
	name, err := f.handshake(m)
	if err != nil || name != fmt.Sprint(g.certificate) {
		return fmt.Sprintf("%s shows the certificate %q, not %d: %v", m.name, name, g.certificate, err)
	}
	return ""
}

// arrives waits until some Envoys answer as a generation does.
func (f *aFleet) arrives(t *testing.T, g generation, members ...*member) {
	t.Helper()
	limit := time.Now().Add(60 * time.Second)
	for _, m := range members {
		for problem := f.serves(m, g); problem != ""; problem = f.serves(m, g) {
			if time.Now().After(limit) {
				require.Fail(t, "the change does not arrive", "%s\n%s", problem, m.envoy.Log())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// pressure is a constant load of requests on some Envoys while generations are written, each answer judged by the generations
// that were in force meanwhile.
type pressure struct {
	fleet       *aFleet
	members     []*member
	done, begun atomic.Pointer[generation]
	stop        chan struct{}
	workers     sync.WaitGroup
	sent        []atomic.Int64 // by member

	mu       sync.Mutex
	problems []string
	failed   int
}

// press waits until Envoys serve what was written last, and sends requests to each of them from then on.
func (f *aFleet) press(t *testing.T, members ...*member) *pressure {
	p := &pressure{fleet: f, members: members, stop: make(chan struct{}), sent: make([]atomic.Int64, len(members))}
	f.arrives(t, *f.written, members...)
	g := *f.written
	p.begun.Store(&g)
	p.done.Store(&g)
	paths := []string{"/rule", "/stable", "/endpoint", "/split"}
	for at, m := range members {
		for worker := range 2 {
			p.workers.Go(func() {
				c := newClient()
				defer c.CloseIdleConnections()
				for i := 0; ; i++ {
					select {
					case <-p.stop:
						return
					default:
					}
					path := paths[(i+worker)%len(paths)]
					if path == "/split" {
						path = fmt.Sprintf("/split/%d", i)
					}
					from := *p.done.Load()
					a, err := m.askWith(c, "a.test", path)
					p.report(m, judge(path, a, err, from, *p.begun.Load()))
					p.sent[at].Add(1)
				}
			})
		}
	}
	return p
}

func (p *pressure) report(m *member, problem string) {
	if problem == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
	if len(p.problems) < 20 {
		p.problems = append(p.problems, time.Now().Format("15:04:05.000 ")+m.name+" "+problem)
	}
}

// total is how many requests there were.
func (p *pressure) total() (n int64) {
	for i := range p.sent {
		n += p.sent[i].Load()
	}
	return n
}

// write writes a generation, and does not wait.
func (p *pressure) write(t *testing.T, g generation) {
	p.begun.Store(&g)
	p.fleet.write(t, g)
}

// roll writes a generation, and waits until all serve it.
func (p *pressure) roll(t *testing.T, g generation) {
	t.Helper()
	p.write(t, g)
	p.settle(t)
}

// settle waits until all serve what was written last.
func (p *pressure) settle(t *testing.T) {
	t.Helper()
	p.fleet.arrives(t, *p.begun.Load(), p.members...)
	p.done.Store(p.begun.Load())
}

// end ends the load, and fails the test with what was wrong.
func (p *pressure) end(t *testing.T) {
	t.Helper()
	close(p.stop)
	p.workers.Wait()
	assert.Zero(t, p.failed, "of %d requests:\n%s", p.total(), strings.Join(p.problems, "\n"))
	for i := range p.sent {
		assert.Positive(t, p.sent[i].Load())
	}
}
