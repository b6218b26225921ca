package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

// gatewayRules is a Gateway for whatever rules follow.
const gatewayRules = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
`

// rulesTestbed is the testbed of one piece of YAML: a Gateway on port 80 and what is given, every destination an echo.
func rulesTestbed(t testing.TB, yaml string) *testbed {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(gatewayRules+yaml), 0o600))
	in := gateway.Load([]string{file}, resource.Options{}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	p, _ := translate.Plan(in.Set, translate.Options{})
	return echoTestbed(t, p)
}

// echoTestbed puts a plan on free ports, and an echo in the place of every destination that has endpoints.
func echoTestbed(t testing.TB, p *plan.Plan) *testbed {
	server, err := echo.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	clusters := map[string]bool{}
	for _, l := range p.Listeners {
		for _, h := range l.Chains[0].Routes.VirtualHosts {
			for _, r := range h.Rules {
				collectClusters(r, clusters)
			}
		}
	}
	p.Clusters = slices.DeleteFunc(p.Clusters, func(c *plan.Cluster) bool { return c.Discovery != plan.OriginalDestination })
	for _, c := range p.Clusters {
		delete(clusters, c.Name)
	}
	for name := range clusters {
		ip, port := server.Address(name)
		p.Clusters = append(p.Clusters, &plan.Cluster{Name: name, Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: ip, Port: port}}}}})
	}
	ports, err := process.FreePorts(len(p.Listeners))
	require.NoError(t, err)
	r := &testbed{plan: p, echo: server, ports: map[string]uint32{"": ports[0]}}
	for i, l := range p.Listeners {
		l.Bind, l.Port = "127.0.0.1", ports[i]
		r.ports[l.Name] = ports[i]
	}
	return r
}

func (r *testbed) client() *client { return &client{address: fmt.Sprintf("127.0.0.1:%d", r.ports[""])} }

// onEnvoys runs a test with the filter on every Envoy, and on the embedded data plane.
func onEnvoys(t *testing.T, yaml string, test func(t *testing.T, r *testbed)) {
	path, wasm := program.ReadModule(t)
	for _, v := range envoys(t) {
		t.Run("Envoy "+v.Version, func(t *testing.T) {
			r := rulesTestbed(t, yaml)
			startEnvoy(t, v, r, path)
			test(t, r)
		})
	}
	t.Run("wazero", func(t *testing.T) {
		r := rulesTestbed(t, yaml)
		ctx := context.Background()
		p, err := proxy.New(ctx, wasm, proxy.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
		require.NoError(t, p.Apply(ctx, r.plan))
		test(t, r)
	})
}

const faultRules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: faults, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /delay}}]
    fault: {delay: {percentage: {value: 100}, fixedDelay: 300ms}}
    route: [{destination: {host: b.test}}]
  - match: [{uri: {prefix: /abort}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    headers: {response: {set: {x-ruled: "yes"}}}
    route: [{destination: {host: b.test}}]
  - match: [{uri: {prefix: /grpc}}]
    fault: {abort: {percentage: {value: 100}, grpcStatus: UNAVAILABLE}}
    route: [{destination: {host: b.test}}]
  - match: [{uri: {prefix: /half}}]
    fault: {abort: {percentage: {value: 50}, httpStatus: 500}}
    route: [{destination: {host: b.test}}]
  - match: [{uri: {prefix: /other}}]
    route: [{destination: {host: other.test}}]
  - match: [{uri: {prefix: /plain}}]
    route: [{destination: {host: b.test}}]
`

func request(path string, headers map[string]string) verdict.Request {
	text, _ := json.Marshal(map[string]any{"authority": "a.test", "path": path, "headers": headers}) // plain values
	var r verdict.Request
	_ = json.Unmarshal(text, &r) // as above
	return r
}

// VS-FAULT-06, VS-FAULT-07, VS-FAULT-09
func TestFaults(t *testing.T) {
	onEnvoys(t, faultRules, func(t *testing.T, r *testbed) {
		c := r.client()
		begun := time.Now()
		got, err := c.retry(request("/delay", nil))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.status)
		assert.GreaterOrEqual(t, time.Since(begun), 290*time.Millisecond)

		got, err = c.retry(request("/abort", nil))
		require.NoError(t, err)
		assert.Equal(t, 418, got.status)
		assert.Equal(t, "fault filter abort", got.body)
		assert.Equal(t, "yes", got.headers.Get("x-ruled"), "the rule's response operations apply to the abort")

		got, err = c.retry(request("/grpc", map[string]string{"content-type": "application/grpc"}))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, "14", got.headers.Get("grpc-status"))

		aborted := 0
		for range 400 {
			got, err := c.retry(request("/half", nil))
			require.NoError(t, err)
			if got.status == 500 {
				aborted++
			}
		}
		assert.InDelta(t, 200, aborted, 3.9*10, "half of 400, within the binomial 99.99 % interval")
	})
}

// A client on the loopback address that sends the filter's headers itself changes nothing, and no destination sees them.
func TestForgedHeaders(t *testing.T) {
	onEnvoys(t, faultRules, func(t *testing.T, r *testbed) {
		var other string
		for _, rule := range r.plan.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules {
			if rule.Match.Path.Value == "/other" {
				other = rule.Outcomes[0].ID
			}
		}
		forged := map[string]string{
			"x-waymark-route": other, "x-envoy-fault-abort-request": "418", "x-envoy-fault-delay-request": "5000",
			"x-envoy-fault-abort-grpc-request": "14", "x-envoy-fault-delay-request-percentage": "100", "x-forwarded-for": "127.0.0.1",
		}
		c := r.client()
		begun := time.Now()
		got, err := c.retry(request("/plain", forged))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, got.status)
		assert.Less(t, time.Since(begun), 4*time.Second)
		var seen echo.Request
		require.NoError(t, json.Unmarshal([]byte(got.body), &seen))
		assert.Contains(t, seen.Destination, "b.test")
		for name := range seen.Headers {
			assert.False(t, strings.HasPrefix(name, "x-waymark") || strings.HasPrefix(name, "x-envoy-fault"), name)
		}
		got, err = c.retry(request("/nothing", forged))
		require.NoError(t, err)
		assert.Equal(t, http.StatusNotFound, got.status, "no rule, no route")
	})
}

// Requests that are wrong get a decision or a 4xx, and the next one is answered as ever.
func TestStrangeRequests(t *testing.T) {
	onEnvoys(t, faultRules, func(t *testing.T, r *testbed) {
		for what, raw := range map[string]string{
			"two hosts":       "GET /plain HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
			"no host":         "GET /plain HTTP/1.1\r\n\r\n",
			"no path":         "GET  HTTP/1.1\r\nHost: a.test\r\n\r\n",
			"an empty host":   "GET /plain HTTP/1.1\r\nHost:\r\n\r\n",
			"invalid UTF-8":   "GET /plain?\xc3\x28 HTTP/1.1\r\nHost: a.test\r\nX-A: \xff\xfe\r\n\r\n",
			"a NUL":           "GET /plain HTTP/1.1\r\nHost: a.test\r\nX-A: \x00\r\n\r\n",
			"a 58 KB header":  "GET /plain HTTP/1.1\r\nHost: a.test\r\nX-A: " + strings.Repeat("v", 58<<10) + "\r\n\r\n",
			"a 200 KB header": "GET /plain HTTP/1.1\r\nHost: a.test\r\nX-A: " + strings.Repeat("v", 200<<10) + "\r\n\r\n",
			"a 50 KB path":    "GET /plain" + strings.Repeat("/x", 25<<10) + " HTTP/1.1\r\nHost: a.test\r\n\r\n",
		} {
			c := r.client()
			status, err := c.raw(raw)
			if err == nil { // a connection that is closed is an answer, too
				assert.True(t, status == http.StatusOK || status/100 == 4, "%s: %d", what, status)
			}
			c.close()
			got, err := r.client().retry(request("/plain", nil))
			require.NoError(t, err, what)
			assert.Equal(t, http.StatusOK, got.status, "after %s", what)
		}
	})
}

// TestTranslateIsComplete starts stock Envoys with what the program prints, as it is.
func TestTranslateIsComplete(t *testing.T) {
	for _, v := range envoys(t) {
		for _, matching := range []string{"filter", "native"} {
			stdout, stderr, status := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--matching", matching, "--envoy-version", v.Version, "--admin-port", "0")
			require.Zero(t, status, stderr)
			file := filepath.Join(t.TempDir(), "bootstrap.json")
			require.NoError(t, os.WriteFile(file, []byte(stdout), 0o600))
			text, err := program.Command(v.Path, "--mode", "validate", "-c", file)
			assert.NoError(t, err, "%s %s: %s", v.Version, matching, text)
			again, _, _ := program.Run(t, "", "translate", "-f", "examples/bookinfo", "--matching", matching, "--envoy-version", v.Version, "--admin-port", "0")
			assert.True(t, jsonEqual(t, stdout, again), "the same rules give the same configuration")
		}
	}
}

func jsonEqual(t testing.TB, a, b string) bool {
	var x, y bytes.Buffer
	require.NoError(t, json.Compact(&x, []byte(a)))
	require.NoError(t, json.Compact(&y, []byte(b)))
	return x.String() == y.String()
}
