package envoy

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// testbed is all vectors in one plan: a listener for each of their plaintext ports, on a free port of the loopback address,
// and every destination played by one echo server.
type testbed struct {
	plan  *plan.Plan
	echo  *echo.Server
	ports map[string]uint32 // by listener name
}

func listenerName(file string, port uint32) string { return fmt.Sprintf("%s-%d", file, port) }

// buildTestbed merges plans. Faults and
// time-outs are taken out: they have tests of their own.
func buildTestbed(t testing.TB, cases []*vectors.File) *testbed {
	server, err := echo.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	r := &testbed{plan: &plan.Plan{}, echo: server, ports: map[string]uint32{}}
	clusters := map[string]bool{}
	for _, c := range cases {
		for _, l := range c.Plan.Listeners {
			if len(l.Chains) != 1 || l.Chains[0].TLS != nil || l.Chains[0].Routes == nil {
				continue // executing TLS is not promised yet
			}
			moved := *l
			moved.Name, moved.Bind = listenerName(c.Name, l.Port), "127.0.0.1"
			r.plan.Listeners = append(r.plan.Listeners, &moved)
			for _, h := range l.Chains[0].Routes.VirtualHosts {
				for _, rule := range h.Rules {
					rule.Fault = nil
					if rule.Route != nil {
						rule.Route.Timeout = 0 // of a millisecond, some of them
						if rule.Route.Retry != nil {
							rule.Route.Retry.PerTryTimeout = 0
						}
						rule.Seal()
					}
					collectClusters(rule, clusters)
				}
			}
		}
	}
	ports, err := process.FreePorts(len(r.plan.Listeners))
	require.NoError(t, err)
	for i, l := range r.plan.Listeners {
		l.Port = ports[i]
		r.ports[l.Name] = l.Port
	}
	for name := range clusters {
		ip, port := server.Address(name)
		r.plan.Clusters = append(r.plan.Clusters, &plan.Cluster{Name: name, Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: ip, Port: port}}}}})
	}
	slices.SortFunc(r.plan.Clusters, func(a, b *plan.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return r
}

func collectClusters(rule *plan.Rule, into map[string]bool) {
	if rule.Route == nil {
		return
	}
	for _, d := range rule.Route.Destinations {
		into[d.Cluster] = true
	}
	for _, m := range rule.Route.Mirrors {
		into[m.Cluster] = true
	}
}

// client sends requests byte for byte as they are given.
type client struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // it may be closed already
	}
	c.conn = nil
}

// answer is a response with its body read.
type answer struct {
	status  int
	headers http.Header
	body    string
}

func (c *client) send(r verdict.Request) (answer, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, 5*time.Second)
		if err != nil {
			return answer{}, err
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	method := r.Method
	if method == "" {
		method = "GET"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.Path, r.Authority)
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, v := range r.Headers[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	b.WriteString("\r\n")
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second)) // a socket has deadlines
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		c.close()
		return answer{}, err
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		c.close()
		return answer{}, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.Close {
		c.close()
	}
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// retry sends again where a kept-alive connection had been closed meanwhile.
func (c *client) retry(r verdict.Request) (answer, error) {
	a, err := c.send(r)
	if err != nil {
		a, err = c.send(r)
	}
	return a, err
}

// replay sends every request that can be sent, and compares what came of it. It returns how many were compared, and
// fails for each that differs.
func (r *testbed) replay(t *testing.T, cases []*vectors.File, expect func(file string, i int) vectors.Expectation, skip func(verdict.Request) bool) int {
	compared, failures := 0, 0
	for _, c := range cases {
		clients := map[uint32]*client{}
		for i, q := range c.Requests {
			port, ok := r.ports[listenerName(c.Name, q.GatewayPort)]
			if !ok || q.TLS || c.Expected[i].Error != "" || skip(q) {
				continue
			}
			if clients[port] == nil {
				clients[port] = &client{address: fmt.Sprintf("127.0.0.1:%d", port)}
			}
			want := expect(c.Name, i)
			sample := sampleOf(&want)
			r.echo.Respond(sample)
			got, err := clients[port].retry(q)
			compared++
			problem := ""
			if err != nil {
				problem = err.Error()
			} else {
				problem = compareAnswer(&want, got, sample)
			}
			if problem != "" {
				if failures++; failures <= 20 {
					text, _ := json.Marshal(q)
					t.Errorf("%s[%d]: %s\n  request %s", c.Name, i, problem, text)
				}
			}
		}
		for _, c := range clients {
			c.close()
		}
	}
	if failures > 20 {
		t.Errorf("and %d more", failures-20)
	}
	return compared
}

// sampleOf is the response that destinations give: each header that an operation mentions is "from-upstream".
func sampleOf(e *vectors.Expectation) http.Header {
	h := http.Header{}
	for _, c := range e.Clusters {
		for _, name := range append(e.ResponseHeaders.Names(), c.ResponseHeaders.Names()...) {
			h[http.CanonicalHeaderKey(name)] = []string{"from-upstream"}
		}
	}
	h["Server-Note"], h["X-Upstream"] = []string{"upstream"}, []string{"a"}
	return h
}

// compareAnswer says how an answer differs from what is expected, or "".
func compareAnswer(e *vectors.Expectation, got answer, sample http.Header) string {
	switch e.Kind {
	case verdict.Route:
		return compareRoute(e, got, sample)
	case verdict.DirectResponse:
		if got.body != e.Body && got.headers.Get(echo.SeenHeader) == "" && len(got.body) > 0 {
			return fmt.Sprintf("body %q, want %q", got.body, e.Body)
		}
	}
	if got.status != e.Status {
		return fmt.Sprintf("status %d, want %d (%s)", got.status, e.Status, e.Kind)
	}
	if got.headers.Get("Location") != e.Location {
		return fmt.Sprintf("location %q, want %q", got.headers.Get("Location"), e.Location)
	}
	if got.headers.Get(echo.SeenHeader) != "" {
		return fmt.Sprintf("a destination was asked, want %s", e.Kind)
	}
	return ""
}

func compareRoute(e *vectors.Expectation, got answer, sample http.Header) string {
	if e.CORSEffect != nil {
		for name, values := range e.CORSEffect.ResponseHeaders {
			if !slices.Equal(got.headers.Values(name), values) {
				return fmt.Sprintf("response header %s: %q, want %q", name, got.headers.Values(name), values)
			}
		}
		if e.CORSEffect.Status != 0 {
			if got.status != e.CORSEffect.Status || got.headers.Get(echo.SeenHeader) != "" {
				return fmt.Sprintf("status %d, want an answer to the preflight by the proxy", got.status)
			}
			return ""
		}
	}
	if got.status != http.StatusOK {
		return fmt.Sprintf("status %d, want a destination's 200", got.status)
	}
	text, err := base64.StdEncoding.DecodeString(got.headers.Get(echo.SeenHeader))
	if err != nil {
		return err.Error()
	}
	var seen echo.Request
	if err := json.Unmarshal(text, &seen); err != nil {
		return "no destination was asked"
	}
	problem := fmt.Sprintf("destination %q is not one of those expected", seen.Destination)
	for i, c := range e.Clusters { // one cluster may be there several times, with other headers
		if c.Name == seen.Destination && c.Weight > 0 {
			if problem = compareDestination(e, i, seen, got, sample); problem == "" {
				return ""
			}
		}
	}
	return problem
}

func compareDestination(e *vectors.Expectation, i int, seen echo.Request, got answer, sample http.Header) string {
	c := e.Clusters[i]
	if seen.Authority != c.Upstream.Authority || seen.Path != c.Upstream.Path {
		return fmt.Sprintf("upstream %q %q, want %q %q", seen.Authority, seen.Path, c.Upstream.Authority, c.Upstream.Path)
	}
	if d := compareHeaders(seen.Headers, c.Upstream.Headers); d != "" {
		return "upstream header " + d
	}
	mentioned := slices.Concat([]string{"server-note", "x-upstream"}, e.ResponseHeaders.Names(), c.ResponseHeaders.Names())
	for name, sent := range sample {
		want := sent
		if slices.Contains(mentioned, strings.ToLower(name)) {
			want = c.ResponseSample[strings.ToLower(name)]
		}
		if !slices.Equal(got.headers.Values(name), want) {
			return fmt.Sprintf("response header %s: %q, want %q", name, got.headers.Values(name), want)
		}
	}
	return ""
}

// compareHeaders wants the expected lines, and nothing beyond them but what connection managers add.
func compareHeaders(got, want map[string][]string) string {
	for name, values := range want {
		if name == "content-length" || name == "connection" {
			continue
		}
		if !slices.Equal(got[name], values) {
			return fmt.Sprintf("%s: %q, want %q", name, got[name], values)
		}
	}
	for name, values := range got {
		added := slices.Contains([]string{"x-forwarded-for", "x-forwarded-proto", "x-request-id", "content-length", "transfer-encoding", "accept-encoding", "connection"}, name) ||
			name == "x-envoy-attempt-count" || name == "x-envoy-original-path" || name == "x-envoy-original-host" || name == "x-envoy-expected-rq-timeout-ms" || name == "x-envoy-internal" || name == "x-envoy-external-address"
		if _, expected := want[name]; !expected && !added {
			return fmt.Sprintf("%s: %q was not expected", name, values)
		}
	}
	return ""
}

// raw sends bytes as they are and returns the status.
func (c *client) raw(text string) (int, error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, 5*time.Second)
		if err != nil {
			return 0, err
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second)) // a socket has deadlines
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.close()
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.close()
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err != nil || response.Close {
		c.close()
	}
	return response.StatusCode, err
}
