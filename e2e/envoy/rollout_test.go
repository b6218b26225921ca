package envoy

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// generation is one state of the rules that a rollout goes through. Every part of it depends on its number.
type generation struct {
	rule, endpoint, destination, certificate int
	matching                                 envoy.Matching // "": by the filter
}

// yaml writes a generation: /rule answers with its number by a direct response, /split goes to one of two destinations
// that change, /stable always goes to the same, /endpoint to an endpoint that changes. The same is served with TLS, with a
// certificate that stands in a Secret.
func (g generation) yaml(certificate certs.Issued) string {
	return certs.Secret("cert", certificate, "") + fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialName: cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - match: [{uri: {exact: /rule}}]
    directResponse: {status: 200, body: {string: "%[1]d"}}
  - match: [{uri: {exact: /stable}}]
    route: [{destination: {host: stable.test}}]
  - match: [{uri: {prefix: /endpoint}}]
    route: [{destination: {host: moving.test}}]
  - match: [{uri: {regex: "/split/[0-9]+"}}]
    route:
    - {destination: {host: d%[2]d.test}, weight: 50}
    - {destination: {host: d%[3]d.test}, weight: 50}
`, g.rule, g.destination, g.destination+1)
}

// rolling is an Envoy on files that change.
type rolling struct {
	dir     string
	echo    *echo.Server
	envoy   *process.Process
	admin   uint32
	port    uint32
	tls     uint32
	issuer  *certs.Issuer
	issued  map[int]certs.Issued // certificates by generation
	binary  envoytest.Binary
	module  string
	changed []string // files of the last change

	server *xds.Server // delivers instead of files, unless it is nil
	socket string
}

func startRolling(t *testing.T, b envoytest.Binary) *rolling {
	module, _ := program.ReadModule(t)
	server, err := echo.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	ports, err := process.FreePorts(3)
	require.NoError(t, err)
	return &rolling{
		dir: t.TempDir(), echo: server, port: ports[0], admin: ports[1], tls: ports[2], binary: b, module: module,
		issuer: certs.NewIssuer(t, "authority"), issued: map[int]certs.Issued{},
	}
}

// files are those of a generation.
func (r *rolling) files(t *testing.T, g generation) *envoy.Resources {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if _, ok := r.issued[g.certificate]; !ok {
		r.issued[g.certificate] = r.issuer.Issue(t, fmt.Sprintf("generation-%d", g.certificate), "a.test")
	}
	require.NoError(t, os.WriteFile(file, []byte(g.yaml(r.issued[g.certificate])), 0o600))
	in := gateway.Load([]string{file}, resource.Options{}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	p, _ := translate.Plan(in.Set, translate.Options{})
	for _, l := range p.Listeners {
		l.Bind = "127.0.0.1"
		if l.Port == 443 {
			l.Port = r.tls
		} else {
			l.Port = r.port
		}
	}
	p.Clusters = nil
	for _, host := range []string{"stable", "moving", fmt.Sprintf("d%d", g.destination), fmt.Sprintf("d%d", g.destination+1)} {
		name := "outbound|80||" + host + ".test"
		destination := name
		if host == "moving" {
			destination = fmt.Sprintf("endpoint-%d", g.endpoint%4)
		}
		ip, port := r.echo.Address(destination)
		p.Clusters = append(p.Clusters, &plan.Cluster{Name: name, Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: ip, Port: port}}}}})
	}
	o := r.options()
	matchingOf(cmp.Or(g.matching, envoy.MatchingFilter))(&o)
	f, err := envoy.Build(p, o)
	require.NoError(t, err)
	return f
}

func (r *rolling) options() envoy.Options {
	o := envoy.Options{Minor: r.binary.Minor, Module: r.module, AdminPort: r.admin}
	if r.server == nil {
		o.Dir = r.dir
	} else {
		o.Control = &envoy.Control{Socket: r.socket, Node: envoy.Node{ID: "rolling", Cluster: "test"}}
	}
	return o
}

// apply rolls a generation out, and starts Envoy where none runs.
func (r *rolling) apply(t *testing.T, g generation) {
	if r.server != nil {
		r.update(t, r.files(t, g))
		return
	}
	r.changed = nil
	d := &files.Dir{Path: r.dir, Changed: func(file string) { r.changed = append(r.changed, file) }}
	if r.envoy != nil {
		d.Watcher = &files.Admin{Ask: r.envoy.Admin}
	}
	require.NoError(t, d.Apply(context.Background(), r.files(t, g)))
	if r.envoy == nil {
		r.start(t)
	}
}

func (r *rolling) start(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(r.dir, envoy.BootstrapFile))
	require.NoError(t, err)
	r.envoy, err = process.Start(context.Background(), process.Options{Binary: r.binary.Path, Bootstrap: text, AdminPort: r.admin, Concurrency: 2})
	require.NoError(t, err)
	p := r.envoy
	t.Cleanup(func() { _ = p.Stop() }) // it may have been killed
}

func (r *rolling) client() *client { return &client{address: fmt.Sprintf("127.0.0.1:%d", r.port)} }

// pressure is a constant load of requests while generations are rolled out, each judged by the generations that were in
// force meanwhile.
type pressure struct {
	rolling     *rolling
	done, begun atomic.Pointer[generation] // rolled out, and being rolled out
	stop        chan struct{}
	problems    chan string
	workers     sync.WaitGroup
	sent        atomic.Int64
}

// press rolls a generation out and sends requests for paths from then on.
func (r *rolling) press(t *testing.T, g generation, paths ...string) *pressure {
	p := &pressure{rolling: r, stop: make(chan struct{}), problems: make(chan string, 100)}
	p.roll(t, g)
	for worker := range 3 {
		p.workers.Go(func() {
			c := r.client()
			defer c.close()
			for i := 0; !p.isOver(); i++ {
				path := paths[(i+worker)%len(paths)]
				if path == "/split" {
					path = fmt.Sprintf("/split/%d", i)
				}
				from := *p.done.Load()
				got, err := c.send(request(path, nil))
				p.report(judge(path, got, err, from, *p.begun.Load()))
				p.sent.Add(1)
			}
		})
	}
	return p
}

func (p *pressure) isOver() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

func (p *pressure) report(problem string) {
	if problem == "" {
		return
	}
	select {
	case p.problems <- problem:
	default: // there are enough
	}
}

// roll rolls a generation out.
func (p *pressure) roll(t *testing.T, g generation) {
	p.begun.Store(&g)
	p.rolling.apply(t, g)
	p.done.Store(&g)
}

// end ends the load, and fails the test with what was wrong.
func (p *pressure) end(t *testing.T) {
	close(p.stop)
	p.workers.Wait()
	close(p.problems)
	for problem := range p.problems {
		t.Error(problem)
	}
	assert.Greater(t, p.sent.Load(), int64(1000))
}

// changes is how many changes go under load.
const changes = 200

// TestChangesUnderLoad makes 200 changes of rules, endpoints, destinations and certificates under a constant load: no request fails, and
// none is answered by what was over before it was sent, or by what was never rolled out.
func TestChangesUnderLoad(t *testing.T) { onModernEnvoys(t, changesUnderLoad) }

func changesUnderLoad(t *testing.T, b envoytest.Binary) {
	r := startRolling(t, b)
	var g generation
	load := r.press(t, g, "/rule", "/stable", "/endpoint", "/split")
	load.workers.Go(func() {
		for !load.isOver() {
			time.Sleep(20 * time.Millisecond)
			from := *load.done.Load()
			name, err := r.handshake()
			load.report(judgeCertificate(name, err, from, *load.begun.Load()))
		}
	})
	var early int64
	reloads := func() int64 {
		n, err := r.envoy.Stat(context.Background(), "extension_config_discovery.http_filter.waymark.http.80.config_reload")
		require.NoError(t, err)
		return n
	}
	for i := range changes {
		before := reloads()
		what := i % 4
		switch what {
		case 0:
			g.rule++
		case 1:
			g.endpoint++
		case 2:
			g.destination++
		case 3:
			g.certificate++
		}
		load.roll(t, g)
		if what == 1 {
			assert.Equal(t, []string{envoy.ClustersFile}, r.changed, "what a change of endpoints touches")
			assert.Equal(t, before, reloads(), "a change of endpoints does not touch the filter")
		}
		if what == 3 {
			assert.Len(t, r.changed, 1)
			assert.True(t, strings.HasPrefix(r.changed[0], "secrets/"), "a change of a certificate touches %s", r.changed[0])
		}
		if i == 40 {
			var err error
			early, err = envoytest.RSS(r.envoy)
			require.NoError(t, err)
		}
	}
	load.end(t)
	late, err := envoytest.RSS(r.envoy)
	require.NoError(t, err)
	t.Logf("%d requests during %d changes; memory %d MiB after 40 changes, %d MiB after all", load.sent.Load(), changes, early>>20, late>>20)
	assert.Less(t, float64(late), 1.15*float64(early), "memory is flat")
}

// TestWaysChangeUnderLoad makes changes of rules after which --matching auto takes another way for them, from every way to
// every other: no request fails, none is answered by other rules than those before and after, and no connection is closed.
func TestWaysChangeUnderLoad(t *testing.T) { onModernEnvoys(t, waysChangeUnderLoad) }

func waysChangeUnderLoad(t *testing.T, b envoytest.Binary) { changeWays(t, startRolling(t, b)) }

func changeWays(t *testing.T, r *rolling) {
	g := generation{matching: listsAlone}
	load := r.press(t, g, "/rule", "/stable", "/split")
	ways := []envoy.Matching{filterAlone, listsAlone, treesAlone, filterAlone, filterAlone, treesAlone, treesAlone, listsAlone, filterAlone}
	for _, way := range ways {
		g.matching = way
		g.rule++
		g.destination++
		load.roll(t, g)
		time.Sleep(200 * time.Millisecond) // requests in between
	}
	load.end(t)
	connections, err := r.envoy.Stat(context.Background(), "http."+envoy.StatName("http.80")+".downstream_cx_total")
	require.NoError(t, err)
	assert.EqualValues(t, 3, connections, "each worker keeps its connection")
	t.Logf("%d requests during %d changes", load.sent.Load(), len(ways))
}

// handshake shakes hands with the TLS listener and returns the name in the certificate that it shows.
func (r *rolling) handshake() (string, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", fmt.Sprintf("127.0.0.1:%d", r.tls),
		&tls.Config{ServerName: "a.test", RootCAs: r.issuer.Pool()})
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }() // the certificate was seen
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// judgeCertificate allows the certificate before, too: Envoy takes a file of certificates when it comes to it, and nobody
// waits for that.
func judgeCertificate(name string, err error, from, to generation) string {
	if err != nil {
		return "handshake: " + err.Error()
	}
	var n int
	if _, err := fmt.Sscanf(name, "generation-%d", &n); err != nil || n < from.certificate-1 || n > to.certificate {
		return fmt.Sprintf("the certificate is %s, between %+v and %+v", name, from, to)
	}
	return ""
}

// judge says what is wrong with an answer to a request that was sent when from was rolled out, and answered when to had
// been begun.
func judge(path string, got answer, err error, from, to generation) string {
	if err != nil {
		return fmt.Sprintf("%s: %s", path, err)
	}
	if got.status != 200 {
		return fmt.Sprintf("%s: status %d, between %+v and %+v", path, got.status, from, to)
	}
	if path == "/rule" {
		var n int
		if _, err := fmt.Sscan(got.body, &n); err != nil || n < from.rule || n > to.rule {
			return fmt.Sprintf("/rule is answered by generation %s, between %d and %d", got.body, from.rule, to.rule)
		}
		return ""
	}
	var seen echo.Request
	if err := json.Unmarshal([]byte(got.body), &seen); err != nil {
		return fmt.Sprintf("%s: %s", path, err)
	}
	allowed := map[string]bool{}
	switch path {
	case "/stable":
		allowed["outbound|80||stable.test"] = true
	case "/endpoint":
		for n := from.endpoint; n <= to.endpoint; n++ {
			allowed[fmt.Sprintf("endpoint-%d", n%4)] = true
		}
		// Envoy takes a file of endpoints when it comes to it, and nobody waits for that: the ones before may answer.
		allowed[fmt.Sprintf("endpoint-%d", (from.endpoint+3)%4)] = true
	default:
		for n := from.destination; n <= to.destination+1; n++ {
			allowed[fmt.Sprintf("outbound|80||d%d.test", n)] = true
		}
	}
	if !allowed[seen.Destination] {
		return fmt.Sprintf("%s is answered by %s, between %+v and %+v", path, seen.Destination, from, to)
	}
	return ""
}

// TestKilledWhileItChanges kills Envoy at random moments of changes. Each time it starts again from the files as they are,
// and serves rules of before or after.
func TestKilledWhileItChanges(t *testing.T) {
	r := startRolling(t, defaultEnvoy(t))
	var g generation
	r.apply(t, g)
	dice := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		next := generation{rule: g.rule + 1, endpoint: g.endpoint + 1, destination: g.destination + 1, certificate: g.certificate + 1}
		ctx, cancel := context.WithCancel(context.Background())
		killed := make(chan struct{})
		after := time.Duration(dice.IntN(600)) * time.Millisecond
		go func() {
			defer close(killed)
			time.Sleep(after)
			_ = syscall.Kill(r.envoy.PID(), syscall.SIGKILL) // ours, by its id
			<-r.envoy.Done()
			cancel()
		}()
		d := &files.Dir{Path: r.dir, Watcher: &files.Admin{Ask: r.envoy.Admin, Limit: 5 * time.Second}}
		_ = d.Apply(ctx, r.files(t, next)) // Envoy is gone in the middle
		<-killed
		r.start(t)
		c := r.client()
		for _, path := range []string{"/rule", "/stable", "/endpoint", "/split/1"} {
			got, err := c.retry(request(path, nil))
			assert.Empty(t, judge(path, got, err, g, next), "killed after %s", after)
		}
		c.close()
		r.apply(t, next) // and the change can be finished
		c = r.client()
		got, err := c.retry(request("/rule", nil))
		assert.Empty(t, judge("/rule", got, err, next, next))
		c.close()
		g = next
	}
}

// TestRemovedDestinationsDrain removes the destination of a request that is under way.
func TestRemovedDestinationsDrain(t *testing.T) {
	r := startRolling(t, defaultEnvoy(t))
	r.apply(t, generation{})
	slow := make(chan string, 1)
	began := r.echo.Hold()
	go func() {
		c := r.client()
		defer c.close()
		got, err := c.send(request("/split/1", nil))
		slow <- judge("/split/1", got, err, generation{}, generation{})
	}()
	<-began
	r.apply(t, generation{destination: 5}) // d0 and d1 are no more
	r.echo.Release()
	assert.Empty(t, <-slow, "the request that had begun is finished")
	got, err := r.client().retry(request("/split/2", nil))
	assert.Empty(t, judge("/split/2", got, err, generation{destination: 5}, generation{destination: 5}))
	text, err := r.envoy.Admin(context.Background(), "/clusters")
	require.NoError(t, err)
	assert.NotContains(t, text, "d0.test", "what nothing needs is gone")
}
