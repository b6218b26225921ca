package envoy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
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
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// policies are hosts NAME.test, each with a destination NAME.svc that has its own endpoints and traffic policy.
type policies struct {
	yaml strings.Builder
	port uint32
}

func newPolicies(t testing.TB) *policies {
	n := names{}.ports(t, "HTTP")
	p := &policies{port: n["HTTP"].(uint32)}
	p.yaml.WriteString(n.expand(t, `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}]
`))
	return p
}

func (p *policies) address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// add one host. Endpoints and policy are YAML; the policy may be "".
func (p *policies) add(name, endpoints, policy string) {
	fmt.Fprintf(&p.yaml, `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %[1]s, namespace: default}
spec: {hosts: [%[1]s.test], gateways: [gw], http: [{route: [{destination: {host: %[1]s.svc, port: {number: 80}}}], retries: {attempts: 0}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s, namespace: default}
spec: {hosts: [%[1]s.svc], resolution: STATIC, endpoints: [%[2]s], ports: [{number: 80, name: http, protocol: HTTP}]}
`, name, endpoints)
	if policy != "" {
		fmt.Fprintf(&p.yaml, `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %[1]s, namespace: default}
spec: {host: %[1]s.svc, trafficPolicy: {%[2]s}}
`, name, policy)
	}
}

// endpoint is an endpoint on the loopback address, with more fields.
func endpoint(u *httpUpstream, more string) string {
	return fmt.Sprintf("{address: 127.0.0.1, ports: {http: %d}%s}", u.port, more)
}

func endpointsOf(list ...*httpUpstream) string {
	var out []string
	for _, u := range list {
		out = append(out, endpoint(u, ""))
	}
	return strings.Join(out, ", ")
}

func startUpstreams(t testing.TB, list ...string) (out []*httpUpstream) {
	for _, name := range list {
		out = append(out, startUpstream(t, name, nil))
	}
	return out
}

// asker asks one Envoy, on one connection that is kept.
type asker struct {
	t testing.TB
	*client
}

func (a asker) ask(host, path string, headers map[string]string) answer {
	got, _ := ask(a.t, a.client, host, path, headers)
	return got
}

// counts are the answers to a number of requests, by upstream, or by status where none answered.
func (a asker) counts(host string, n int) map[string]int {
	out := map[string]int{}
	for range n {
		got := a.ask(host, "/", nil)
		who := got.headers.Get("X-Upstream")
		if got.status != http.StatusOK {
			who = fmt.Sprint(got.status)
		}
		out[who]++
	}
	return out
}

// DR-LB-01, DR-HASH-01 to DR-HASH-05
func TestLoadBalancing(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		five := startUpstreams(t, "1", "2", "3", "4", "5")
		two := startUpstreams(t, "busy", "idle")
		two[0].hold = make(chan struct{})
		all := endpointsOf(five...)
		const hash = "loadBalancer: {consistentHash: {%s}}"
		build := func(hashed string, warm string) *policies {
			p := newPolicies(t)
			p.add("rr", all, "loadBalancer: {simple: ROUND_ROBIN}")
			p.add("random", all, "loadBalancer: {simple: RANDOM}")
			p.add("least", endpointsOf(two...), "")
			p.add("passthrough", all, "loadBalancer: {simple: PASSTHROUGH}")
			p.add("ring", hashed, fmt.Sprintf(hash, "httpHeaderName: x-user, ringHash: {minimumRingSize: 2048}"))
			p.add("maglev", hashed, fmt.Sprintf(hash, "httpHeaderName: x-user, maglev: {tableSize: 65537}"))
			p.add("cookie", all, fmt.Sprintf(hash, "httpCookie: {name: user, path: /p, ttl: 60s}"))
			p.add("read", all, fmt.Sprintf(hash, "httpCookie: {name: user}"))
			p.add("query", all, fmt.Sprintf(hash, "httpQueryParameterName: user"))
			p.add("source", all, fmt.Sprintf(hash, "useSourceIp: true"))
			p.add("weights", endpoint(five[0], ", weight: 1")+", "+endpoint(five[1], ", weight: 3"), "loadBalancer: {simple: ROUND_ROBIN}")
			p.add("warm", warm, "loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 2s, minimumPercent: 5}}")
			return p
		}
		p := build(all, endpointsOf(five[0]))
		first, _ := translateYAML(t, p.yaml.String(), translate.Options{})
		d := openDoor(t, b, first, envoy.Options{})
		started := time.Now()
		a := asker{t, &client{address: p.address()}}
		defer a.close()

		assert.Equal(t, map[string]int{"1": 4, "2": 4, "3": 4, "4": 4, "5": 4}, a.counts("rr.test", 20), "round robin")
		assert.Equal(t, map[string]int{"1": 5, "2": 15}, a.counts("weights.test", 20), "by weights")
		assert.Equal(t, map[string]int{"503": 1}, a.counts("passthrough.test", 1), "nothing knows an original destination here")
		for name, n := range a.counts("random.test", 250) {
			assert.InDelta(t, 50, n, 3.9*6.33, "random: %s, within the binomial 99.99 %% interval", name)
		}

		// With one request held, two picks at random avoid the host that has it, unless both picks are that host.
		held := make(chan error, 1)
		other := asker{t, &client{address: p.address()}}
		for two[0].asked.Load() == 0 { // until it is the busy one that holds
			go func() {
				c := &client{address: p.address()}
				defer c.close()
				q := request("/hold", nil)
				q.Authority = "least.test"
				_, err := c.send(q)
				held <- err
			}()
			assert.Eventually(t, func() bool { return two[0].asked.Load()+two[1].asked.Load() > 0 }, 5*time.Second, time.Millisecond)
			if two[0].asked.Load() == 0 {
				require.NoError(t, <-held)
				two[1].asked.Store(0)
			}
		}
		assert.InDelta(t, 50, other.counts("least.test", 200)["busy"], 3.9*6.12, "least request: one in four")
		other.close()
		close(two[0].hold)
		require.NoError(t, <-held)

		hosts := map[string]map[int]string{"ring": {}, "maglev": {}}
		// What a host that goes does to the others' users, in percent. Envoy fills a ring to its smallest size: of four hosts
		// each has more points than of five, and takes some users from the others.
		staying := map[string]int{"ring": 80, "maglev": 97}
		const users = 1000
		user := func(name string, i int) string {
			return a.ask(name+".test", "/", map[string]string{"x-user": fmt.Sprint("user-", i)}).headers.Get("X-Upstream")
		}
		for name, of := range hosts {
			for i := range users {
				of[i] = user(name, i)
			}
			for i := range users {
				require.Equal(t, of[i], user(name, i), "%s: a user stays", name)
			}
		}
		none := map[string]bool{}
		for range 50 {
			none[a.ask("ring.test", "/", nil).headers.Get("X-Upstream")] = true
		}
		assert.Greater(t, len(none), 1, "without the header any host (DR-HASH-05)")

		cookie := a.ask("cookie.test", "/", nil)
		assert.Regexp(t, `^user="?[0-9a-f]+"?; Max-Age=60; Path=/p; HttpOnly$`, cookie.headers.Get("Set-Cookie"))
		value, _, _ := strings.Cut(cookie.headers.Get("Set-Cookie"), ";")
		for range 20 {
			got := a.ask("cookie.test", "/", map[string]string{"cookie": value})
			assert.Equal(t, cookie.headers.Get("X-Upstream"), got.headers.Get("X-Upstream"), "the cookie leads back")
			assert.Empty(t, got.headers.Get("Set-Cookie"))
		}
		assert.Empty(t, a.ask("read.test", "/", nil).headers.Get("Set-Cookie"), "without ttl a cookie is only read (DR-HASH-03)")
		sticky := func(what string, one func(i int) string) {
			seen := map[string]bool{}
			for i := range 40 {
				name := one(i)
				seen[name] = true
				assert.Equal(t, name, one(i), "%s leads to the same host", what)
			}
			assert.Greater(t, len(seen), 1, "%s leads to several hosts", what)
		}
		sticky("a cookie", func(i int) string {
			return a.ask("read.test", "/", map[string]string{"cookie": fmt.Sprint("user=", i)}).headers.Get("X-Upstream")
		})
		sticky("a query parameter", func(i int) string {
			return a.ask("query.test", fmt.Sprint("/?user=", i), nil).headers.Get("X-Upstream")
		})
		sticky("a source address", func(i int) string {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
			conn, err := dialer.Dial("tcp", p.address())
			require.NoError(t, err)
			c := asker{t, newClient(conn)}
			defer c.close()
			return c.ask("source.test", "/", nil).headers.Get("X-Upstream")
		})

		// One host of five disappears, and one more than the first warms up.
		time.Sleep(time.Until(started.Add(2500 * time.Millisecond)))
		q := build(endpointsOf(five[0], five[1], five[3], five[4]), endpointsOf(five[0], five[1]))
		text := strings.ReplaceAll(q.yaml.String(), fmt.Sprint("number: ", q.port), fmt.Sprint("number: ", p.port))
		second, _ := translateYAML(t, text, translate.Options{})
		listeners, modified := d.stat(t, "listener_manager.lds.update_success"), d.stat(t, "cluster_manager.cluster_modified")
		d.apply(t, second)
		require.Eventually(t, func() bool { return d.stat(t, "cluster.outbound|80||ring.svc;.membership_total") == 4 }, 5*time.Second, 5*time.Millisecond)
		assert.Less(t, a.counts("warm.test", 100)["2"], 36, "a new host gets less at first")
		require.Eventually(t, func() bool { return d.stat(t, "cluster.outbound|80||maglev.svc;.membership_total") == 4 }, 5*time.Second, 5*time.Millisecond)
		assert.Equal(t, listeners, d.stat(t, "listener_manager.lds.update_success"), "a change of endpoints is no change of listeners")
		assert.EqualValues(t, len(hosts), d.stat(t, "cluster_manager.cluster_modified")-modified, "and of no clusters but those whose endpoints stand in them: not of the one that warms up")
		for name, of := range hosts {
			stayed, gone := 0, 0
			for i := range users {
				now := user(name, i)
				require.NotEqual(t, "3", now)
				switch of[i] {
				case "3":
					gone++
				case now:
					stayed++
				}
			}
			t.Logf("%s: %d of %d users had the host that is gone; of the others, %d stay", name, gone, users, stayed)
			assert.InDelta(t, users/5, gone, 90, "%s: each host has its share", name)
			assert.Greater(t, stayed, (users-gone)*staying[name]/100, "%s: the users of the others stay", name)
			for i := range users {
				of[i] = user(name, i)
				require.Equal(t, of[i], user(name, i), "%s: and all stay from now on", name)
			}
		}
		assert.Eventually(t, func() bool { n := a.counts("warm.test", 20)["2"]; return n >= 9 }, 10*time.Second, 200*time.Millisecond, "and is warm in the end")
	})
}

// DR-CP-01 to DR-CP-04, DR-OD-01, DR-OD-02, DR-LOC-01
func TestPoolsAndOutliers(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		slow := startUpstream(t, "slow", nil)
		slow.hold = make(chan struct{})
		sick, well := startUpstream(t, "sick", nil), startUpstream(t, "well", nil)
		near, next, far := startUpstream(t, "near", nil), startUpstream(t, "next", nil), startUpstream(t, "far", nil)
		web := startUpstream(t, "web", nil)
		const outliers = "outlierDetection: {consecutive5xxErrors: 3, interval: 0.1s, baseEjectionTime: 0.6s, maxEjectionPercent: 100}"
		located := endpoint(near, ", locality: r1/z1/s1") + ", " + endpoint(next, ", locality: r1/z2/s1") + ", " + endpoint(far, ", locality: r2/z1/s1")

		p := newPolicies(t)
		p.add("breaker", endpointsOf(slow), "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}")
		p.add("requests", endpointsOf(slow), "connectionPool: {http: {http2MaxRequests: 1}}")
		p.add("outlier", endpointsOf(sick, well), outliers)
		p.add("gateway", endpointsOf(sick), "outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, interval: 0.1s, baseEjectionTime: 0.6s, maxEjectionPercent: 100}")
		// Envoy tells its workers of changed health once a second at most: what is ejected stays so for longer here.
		p.add("located", located, strings.Replace(outliers, "0.6s", "2.5s", 1))
		p.add("share", located, outliers+", loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {r1/z1/*: 20, r2/*: 80}}]}}")
		p.add("region", endpoint(next, ", locality: r3/z1")+", "+endpoint(far, ", locality: r2/z1"), outliers+", loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r2}]}}")
		p.add("single", endpointsOf(web), "connectionPool: {http: {maxRequestsPerConnection: 1}}")
		p.add("upgrade", endpointsOf(web), "connectionPool: {http: {h2UpgradePolicy: UPGRADE}}")
		p.add("client", endpointsOf(web), "connectionPool: {http: {useClientProtocol: true}}")
		first, _ := translateYAML(t, p.yaml.String(), translate.Options{Locality: "r1/z1/s1"})
		d := openDoor(t, b, first, envoy.Options{})
		a := asker{t, &client{address: p.address()}}
		defer a.close()

		t.Run("circuit breakers", func(t *testing.T) {
			answers := make(chan answer, 3)
			hold := func(host string) {
				c := &client{address: p.address()}
				defer c.close()
				q := request("/hold", nil)
				q.Authority = host
				got, _ := c.send(q)
				answers <- got
			}
			gauge := func(name string, n int64) {
				require.Eventually(t, func() bool { return d.stat(t, name) == n }, 5*time.Second, 5*time.Millisecond, name)
			}
			go hold("breaker.test")
			gauge("cluster.outbound|80||breaker.svc;.upstream_rq_active", 1)
			go hold("breaker.test")
			gauge("cluster.outbound|80||breaker.svc;.upstream_rq_pending_active", 1)
			got := a.ask("breaker.test", "/", nil)
			assert.Equal(t, http.StatusServiceUnavailable, got.status, "one is served, one waits, the third is too much")
			assert.Equal(t, "true", got.headers.Get("X-Envoy-Overloaded"))
			go hold("requests.test")
			gauge("cluster.outbound|80||requests.svc;.upstream_rq_active", 1)
			assert.Equal(t, map[string]int{"503": 1}, a.counts("requests.test", 1), "http2MaxRequests counts for HTTP/1 as well")
			assert.Eventually(t, func() bool { return strings.Contains(d.log.Output(), `"flags":"UO"`) }, 5*time.Second, 20*time.Millisecond)

			close(slow.hold)
			for range 3 {
				assert.Equal(t, "slow", (<-answers).headers.Get("X-Upstream"), "what was let in is served")
			}
			assert.Equal(t, map[string]int{"slow": 3}, a.counts("breaker.test", 3), "and it is used again")
			assert.Equal(t, map[string]int{"slow": 3}, a.counts("requests.test", 3))
		})
		t.Run("outlier detection", func(t *testing.T) {
			both := func() bool { n := a.counts("outlier.test", 20); return n["sick"] > 0 && n["well"] > 0 && len(n) == 2 }
			assert.True(t, both())
			sick.status.Store(500)
			require.Eventually(t, func() bool { return a.counts("outlier.test", 10)["well"] == 10 }, 5*time.Second, time.Millisecond)
			assert.Positive(t, d.stat(t, "cluster.outbound|80||outlier.svc;.outlier_detection.ejections_enforced_consecutive_5xx"))
			asked := sick.asked.Load()
			assert.Equal(t, map[string]int{"well": 20}, a.counts("outlier.test", 20))
			assert.Equal(t, asked, sick.asked.Load(), "one that is ejected is not asked")
			sick.status.Store(0)
			assert.Eventually(t, both, 10*time.Second, 20*time.Millisecond, "it comes back, and is used again")

			assert.Equal(t, map[string]int{"sick": 5}, a.counts("gateway.test", 5))
			sick.status.Store(500)
			assert.Equal(t, map[string]int{"500": 10}, a.counts("gateway.test", 10), "500 is no gateway error")
			sick.status.Store(503)
			assert.Eventually(t, func() bool {
				asked := sick.asked.Load()
				return a.counts("gateway.test", 1)["503"] == 1 && sick.asked.Load() == asked
			}, 5*time.Second, time.Millisecond, "503 is, and it is ejected, even as the last one: there is no panic (DR-OD-02)")
			sick.status.Store(0)
			assert.Eventually(t, func() bool { return a.counts("gateway.test", 1)["sick"] == 1 }, 10*time.Second, 20*time.Millisecond)
		})
		t.Run("localities", func(t *testing.T) {
			assert.Equal(t, map[string]int{"near": 20}, a.counts("located.test", 20))
			assert.Equal(t, map[string]int{"far": 20}, a.counts("region.test", 20), "r1 fails over to r2, not to r3")
			n := a.counts("share.test", 300)
			assert.Equal(t, 300, n["near"]+n["far"], n)
			assert.InDelta(t, 60, n["near"], 3.9*6.93, "20 of 100")
			near.status.Store(503)
			require.Eventually(t, func() bool { return a.counts("located.test", 5)["next"] == 5 }, 5*time.Second, time.Millisecond, "to the same region")
			next.status.Store(503)
			require.Eventually(t, func() bool { return a.counts("located.test", 5)["far"] == 5 }, 5*time.Second, time.Millisecond, "and to another")
			near.status.Store(0)
			next.status.Store(0)
			assert.Eventually(t, func() bool { return a.counts("located.test", 5)["near"] == 5 }, 10*time.Second, 20*time.Millisecond, "and back")
		})
		t.Run("connection pools", func(t *testing.T) {
			assert.Equal(t, map[string]int{"web": 5}, a.counts("single.test", 5))
			assert.EqualValues(t, 5, d.stat(t, "cluster.outbound|80||single.svc;.upstream_cx_total"))
			assert.Equal(t, "HTTP/2.0", a.ask("upgrade.test", "/", nil).headers.Get("X-Upstream-Protocol"))
			assert.Equal(t, "HTTP/1.1", a.ask("client.test", "/", nil).headers.Get("X-Upstream-Protocol"))
			response, err := h2Client(t, p.address()).Get("http://client.test/")
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, "HTTP/2.0", response.Header.Get("X-Upstream-Protocol"))
		})
	})
}

// DR-TLS-01 to DR-TLS-05, on Envoys and on the embedded data plane
func TestUpstreamTLS(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		upstreamTLSOn(t, func(p *plan.Plan) (changed func()) {
			openDoor(t, b, p, envoy.Options{})
			return func() {} // Envoy watches the files
		})
	})
	t.Run("embedded", func(t *testing.T) {
		_, wasm := program.ReadModule(t)
		upstreamTLSOn(t, func(p *plan.Plan) (changed func()) {
			plane, err := proxy.New(t.Context(), wasm, proxy.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, plane.Close(context.Background())) })
			require.NoError(t, plane.Apply(t.Context(), p))
			return func() { require.NoError(t, plane.Apply(t.Context(), p)) } // as run does when a file has changed
		})
	})
}

// upstreamTLSOn serves a plan with destinations of every kind of TLS, and asks all of them. serve returns what makes it
// read files that have changed.
func upstreamTLSOn(t *testing.T, serve func(*plan.Plan) (changed func())) {
	dir := t.TempDir()
	servers, clients, strangers := certs.NewIssuer(t, "servers"), certs.NewIssuer(t, "clients"), certs.NewIssuer(t, "strangers")
	ca, foreign := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "foreign.crt")
	resources.RenameInto(t, ca, servers.PEM)
	resources.RenameInto(t, foreign, strangers.PEM)
	cert, key := clients.Issue(t, "waymark.test").Files(t, dir, "client")
	strange, strangeKey := strangers.Issue(t, "waymark.test").Files(t, dir, "strange")
	shown := servers.Issue(t, "server.test", "host.test", "*.wild.test", "spiffe://mesh/server")
	simple := startUpstream(t, "simple", &tls.Config{Certificates: []tls.Certificate{shown.Pair(t)}})
	mutual := startUpstream(t, "mutual", &tls.Config{Certificates: []tls.Certificate{shown.Pair(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.Pool()})

	p := newPolicies(t)
	cases := map[string]struct {
		upstream *httpUpstream
		settings string
		more     string // of the policy
		fails    bool
		sni      string
		protocol string // "" is HTTP/1.1
	}{
		"verified":  {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test, subjectAltNames: [server.test]", sni: "server.test"},
		"nameless":  {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: other.test", sni: "other.test"},
		"uri":       {upstream: simple, settings: `mode: SIMPLE, caCertificates: ` + ca + `, sni: server.test, subjectAltNames: ["spiffe://mesh/server"]`, sni: "server.test"},
		"misnamed":  {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test, subjectAltNames: [else.test]", fails: true},
		"foreign":   {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + foreign + ", sni: server.test", fails: true},
		"system":    {upstream: simple, settings: "mode: SIMPLE, sni: server.test", fails: true},
		"host":      {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca, sni: "host.test"},
		"unhosted":  {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca, fails: true},
		"insecure":  {upstream: simple, settings: "mode: SIMPLE, insecureSkipVerify: true", sni: "insecure.test"},
		"disabled":  {upstream: simple, settings: "mode: DISABLE", fails: true},
		"mutual":    {upstream: mutual, settings: "mode: MUTUAL, caCertificates: " + ca + ", clientCertificate: " + cert + ", privateKey: " + key + ", sni: server.test", sni: "server.test"},
		"unproved":  {upstream: mutual, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test", fails: true},
		"strangely": {upstream: mutual, settings: "mode: MUTUAL, caCertificates: " + ca + ", clientCertificate: " + strange + ", privateKey: " + strangeKey + ", sni: server.test", fails: true},
		"wildcard":  {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test, subjectAltNames: [A.wild.test]", sni: "server.test"},
		"deep":      {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test, subjectAltNames: [a.b.wild.test]", fails: true},
		"second":    {upstream: simple, settings: "mode: SIMPLE, caCertificates: " + ca + ", sni: server.test", more: ", connectionPool: {http: {h2UpgradePolicy: UPGRADE}}", sni: "server.test", protocol: "HTTP/2.0"},
		"secretive": {upstream: mutual, settings: "mode: MUTUAL, credentialName: client, sni: server.test", sni: "server.test"},
	}
	for name, c := range cases {
		p.add(name, endpointsOf(c.upstream), "tls: {"+c.settings+"}"+c.more)
	}
	next, _ := translateYAML(t, p.yaml.String()+certs.Secret("client", clients.Issue(t, "waymark.test"), servers.PEM), translate.Options{SystemAuthorities: foreign})
	changed := serve(next)
	a := asker{t, &client{address: p.address()}}
	defer a.close()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := a.ask(name+".test", "/", nil)
			if c.fails {
				want := http.StatusServiceUnavailable
				if name == "disabled" {
					want = http.StatusBadRequest // the server's own
				}
				assert.Equal(t, want, got.status, got.body)
				return
			}
			assert.Equal(t, http.StatusOK, got.status, got.body)
			assert.Equal(t, c.upstream.name, got.headers.Get("X-Upstream"))
			assert.Equal(t, c.sni, c.upstream.observed.Load().TLS.ServerName)
			assert.Equal(t, cmp.Or(c.protocol, "HTTP/1.1"), got.headers.Get("X-Upstream-Protocol"))
		})
	}
	resources.RenameInto(t, foreign, servers.PEM)
	changed()
	assert.Eventually(t, func() bool { return a.ask("foreign.test", "/", nil).status == http.StatusOK }, 10*time.Second, 50*time.Millisecond, "an authority that is replaced")
}
