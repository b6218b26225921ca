package envoy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

// The virtual hosts of upgradeRules: a.test has rules for everything, empty.test has none for most paths, secure.test
// requires TLS, plain.test is short enough for a list with --matching auto.
const upgradeRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: [a.test, some.test, plain.test, tree.test]}
  - {port: {number: $HTTP, name: http-s, protocol: HTTP}, bind: 127.0.0.1, hosts: [secure.test], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test, secure.test]
  gateways: [gw]
  http:
  - {name: secret, match: [{uri: {prefix: /secret}}], directResponse: {status: 403, body: {string: secret}}}
  - {name: fault, match: [{uri: {prefix: /fault}}], fault: {abort: {percentage: {value: 100}, httpStatus: 418}}, route: [{destination: {host: up.svc}}]}
  - {name: moved, match: [{uri: {prefix: /moved}}], redirect: {uri: /elsewhere}}
  - {name: header, match: [{headers: {x-a: {exact: b}}}], route: [{destination: {host: up.svc}}], headers: {request: {set: {x-rule: header}}}}
  - {name: all, route: [{destination: {host: up.svc}}], headers: {request: {set: {x-rule: all}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: some, namespace: default}
spec:
  hosts: [some.test]
  gateways: [gw]
  http:
  - {name: one, match: [{uri: {exact: /some}, headers: {x-a: {}}}], route: [{destination: {host: up.svc}}]}
  - {name: two, match: [{uri: {exact: /some}, headers: {x-b: {}}}], route: [{destination: {host: up.svc}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: plain, namespace: default}
spec:
  hosts: [plain.test]
  gateways: [gw]
  http: [{name: plain, match: [{uri: {prefix: /s}}], route: [{destination: {host: up.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tree, namespace: default}
spec:
  hosts: [tree.test]
  gateways: [gw]
  http:
  - {name: one, match: [{uri: {prefix: /s/t}}], directResponse: {status: 403}}
  - {name: two, match: [{uri: {prefix: /s}}], route: [{destination: {host: up.svc}}]}
  - {name: three, match: [{uri: {prefix: /t}}], route: [{destination: {host: up.svc}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: up, namespace: default}
spec: {hosts: [up.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $UP, name: http, protocol: HTTP}]}
`

// switching is an upstream that agrees to every upgrade, and repeats what it gets from then on.
type switching struct {
	port  uint32
	asked atomic.Int64
	rule  atomic.Value // x-rule of the last request
}

func startSwitching(t testing.TB) *switching {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &switching{port: uint32(l.Addr().(*net.TCPAddr).Port)}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *switching) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		s.asked.Add(1)
		s.rule.Store(q.Header.Get("X-Rule"))
		to := q.Header.Get("Upgrade")
		if to == "" {
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"); err != nil {
				return
			}
			continue
		}
		if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: %s\r\n\r\n", to); err == nil {
			_, _ = io.Copy(c, r) // until one of both is gone
		}
		return
	}
}

// upgraded is what came of a request that asked for another protocol.
type upgraded struct {
	status int
	// bytes say that what the client sent after the answer came back from the upstream.
	bytes bool
	// forwarded is how many requests the upstream saw.
	forwarded int64
}

// upgrade sends a request as it is, and a line after the answer.
func (s *switching) upgrade(t testing.TB, address, raw string) upgraded {
	before := s.asked.Load()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, raw)
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err, "%q", raw)
	out := upgraded{status: response.StatusCode}
	if out.status == http.StatusSwitchingProtocols {
		_, err = io.WriteString(conn, "past every rule\n")
		require.NoError(t, err)
		line, err := r.ReadString('\n')
		out.bytes = err == nil && line == "past every rule\n"
	}
	out.forwarded = s.asked.Load() - before
	return out
}

// Kinds of auto, which take one way for all virtual hosts: trees only where the rules can be divided.
const (
	listsAlone  envoy.Matching = "lists"
	treesAlone  envoy.Matching = "trees"
	filterAlone envoy.Matching = "filter, by auto"
)

// matchings are the ways to match of a test that compares them.
var matchings = []envoy.Matching{envoy.MatchingNative, envoy.MatchingFilter, envoy.MatchingAuto, treesAlone}

// matchingOf chooses a way to match. With auto, a virtual host of one rule has a list, one whose rules share nothing a tree,
// and all others the filter.
func matchingOf(m envoy.Matching) func(*envoy.Options) {
	return func(o *envoy.Options) {
		const never = 1e6
		costs := envoy.Costs{Path: 1, Separated: 1, Regex: 1, Header: 1, Query: 1, Tree: 0.01, Filter: 0.8}
		o.Matching = envoy.MatchingAuto
		switch m {
		case listsAlone:
			costs.Tree, costs.Filter = never, never
		case treesAlone:
			costs.Tree, costs.Filter = 0, never
		case filterAlone:
			costs.Tree, costs.Filter = never, 0
		default:
			o.Matching = m
		}
		o.Costs = &costs
	}
}

// onMatchings starts an Envoy of every version for each way to match.
func onMatchings(t *testing.T, rules string, n names, test func(t *testing.T, b envoytest.Binary, m envoy.Matching, address string)) {
	module, _ := program.ReadModule(t)
	for _, b := range envoys(t) {
		for _, m := range matchings {
			t.Run(fmt.Sprintf("%s %s", b.Version, m), func(t *testing.T) {
				n.ports(t, "HTTP")
				p, _ := translateYAML(t, n.expand(t, rules), translate.Options{})
				o := envoy.Options{Minor: b.Minor}
				matchingOf(m)(&o)
				choices, err := envoy.Choices(p, o)
				require.NoError(t, err)
				for _, c := range choices {
					want := envoy.StrategyFilter
					switch {
					case m == envoy.MatchingNative, m != envoy.MatchingFilter && c.Rules == 1, m == treesAlone && c.Rules == 2:
						want = envoy.StrategyList
					case m == treesAlone, m == envoy.MatchingAuto && c.Rules == 3:
						want = envoy.StrategyTree
					}
					require.Equal(t, want, c.Strategy, c.VirtualHost)
				}
				startEnvoy(t, b, &testbed{plan: p}, module, matchingOf(m))
				test(t, b, m, n.address("HTTP"))
			})
		}
	}
}

// TestUpgrades asks for other protocols. Envoy decides about these before the filter runs, when no outcome was chosen.
func TestUpgrades(t *testing.T) {
	up := startSwitching(t)
	refused, nowhere := upgraded{status: http.StatusForbidden}, upgraded{status: http.StatusNotFound}
	switched := upgraded{status: http.StatusSwitchingProtocols, bytes: true, forwarded: 1}
	ask := func(path, host, upgrade string, more ...string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + "\r\n" + strings.Join(more, "") + "\r\n"
	}
	cases := map[string]struct {
		raw  string
		want upgraded
	}{
		"a websocket":                           {ask("/s", "a.test", "websocket"), switched},
		"a websocket in capitals":               {ask("/s", "a.test", "WebSocket"), switched},
		"a websocket by a later rule's header":  {ask("/s", "a.test", "websocket", "X-A: b\r\n"), switched},
		"a websocket where a rule answers":      {ask("/secret", "a.test", "websocket"), refused},
		"a websocket where a rule redirects":    {ask("/moved", "a.test", "websocket"), upgraded{status: http.StatusMovedPermanently}},
		"a websocket where a rule aborts":       {ask("/fault", "a.test", "websocket"), upgraded{status: http.StatusTeapot}},
		"a websocket that no rule takes":        {ask("/none", "some.test", "websocket"), nowhere},
		"a websocket to no host":                {ask("/s", "other.test", "websocket"), nowhere},
		"a websocket without TLS":               {ask("/s", "secure.test", "websocket"), upgraded{status: http.StatusMovedPermanently}},
		"a websocket in a list":                 {ask("/s", "plain.test", "websocket"), switched},
		"a websocket in a tree":                 {ask("/s", "tree.test", "websocket"), switched},
		"another protocol in a tree":            {ask("/s", "tree.test", "foo"), refused},
		"another protocol to no host":           {ask("/s", "other.test", "foo"), nowhere},
		"another protocol without TLS":          {ask("/s", "secure.test", "foo"), refused},
		"another protocol in a list":            {ask("/s", "plain.test", "foo"), refused},
		"another protocol where a rule answers": {ask("/secret", "a.test", "foo"), refused},
		"without Connection":                    {"GET /s HTTP/1.1\r\nHost: a.test\r\nUpgrade: foo\r\n\r\n", upgraded{status: http.StatusOK, forwarded: 1}},
		"h2c, which Envoy ignores":              {ask("/s", "a.test", "h2c"), upgraded{status: http.StatusOK, forwarded: 1}},
		"CONNECT-UDP, whose path says where to": {ask("/s", "a.test", "connect-udp"), nowhere},
		"CONNECT":                               {"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n", nowhere},
		"CONNECT with an upgrade":               {"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n", nowhere},
	}
	for _, to := range []string{"foo", "tcp", "SPDY/3.1", "TLS/1.0", "h2c, foo", "foo, h2c", "websocket, foo", "foo, websocket", "websocket/13", "websocke", "CONNECT", "", "\xff", "foo\xff", "websocket\xff", "é", "foo\tbar", strings.Repeat("f", 9000)} {
		cases["upgrade to "+to] = struct {
			raw  string
			want upgraded
		}{ask("/s", "a.test", to), refused}
	}
	cases["two upgrade headers"] = struct {
		raw  string
		want upgraded
	}{ask("/s", "a.test", "websocket", "Upgrade: foo\r\n"), refused}
	onMatchings(t, upgradeRules, names{"UP": up.port}, func(t *testing.T, _ envoytest.Binary, m envoy.Matching, address string) {
		for what, c := range cases {
			assert.Equal(t, c.want, up.upgrade(t, address, c.raw), what)
		}
		up.upgrade(t, address, ask("/s", "a.test", "websocket", "X-A: b\r\n"))
		assert.Equal(t, "header", up.rule.Load())
		up.upgrade(t, address, ask("/s", "a.test", "websocket"))
		assert.Equal(t, "all", up.rule.Load())

		// Where a virtual host has no rule for a request, Envoy knows so with a list, and says 404. The filter has not
		// decided yet: it is refused all the same, and as the other upgrades are.
		want := nowhere
		if m == envoy.MatchingFilter || m == envoy.MatchingAuto {
			want = refused
		}
		assert.Equal(t, want, up.upgrade(t, address, ask("/none", "some.test", "foo")), "another protocol that no rule takes")
		if m == envoy.MatchingAuto {
			want = nowhere
		}
		assert.Equal(t, want, up.upgrade(t, address, ask("/none", "tree.test", "foo")), "another protocol that no rule of a tree takes")
	})
}
