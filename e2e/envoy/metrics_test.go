package envoy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// sample is one line of Envoy's /stats/prometheus.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	sampleLine  = regexp.MustCompile(`^(\w+)\{(.*)\} (\S+)$`)
	sampleLabel = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

func samples(t testing.TB, p *process.Process) []sample {
	text, err := p.Admin(context.Background(), "/stats/prometheus")
	require.NoError(t, err)
	var out []sample
	for line := range strings.Lines(text) {
		m := sampleLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		s := sample{name: m[1], labels: map[string]string{}}
		for _, l := range sampleLabel.FindAllStringSubmatch(m[2], -1) {
			s.labels[l[1]] = l[2]
		}
		s.value, err = strconv.ParseFloat(m[3], 64)
		require.NoError(t, err, line)
		out = append(out, s)
	}
	return out
}

// total adds the samples up that have these labels; there are none is -1.
func total(all []sample, name string, labels map[string]string) float64 {
	sum, found := 0.0, false
next:
	for _, s := range all {
		if s.name != name {
			continue
		}
		for k, v := range labels {
			if s.labels[k] != v {
				continue next
			}
		}
		sum, found = sum+s.value, true
	}
	if !found {
		return -1
	}
	return sum
}

const metricsRules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a.b, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /split}}]
    name: v1.5;x
    route:
    - {destination: {host: b.test}, weight: 50}
    - {destination: {host: c.test}, weight: 50}
  - match: [{uri: {prefix: /mine}, statPrefix: my.own}]
    route: [{destination: {host: b.test}}]
  - match: [{uri: {prefix: /moved}, statPrefix: moved}]
    redirect: {uri: /}
  - match: [{uri: {prefix: /ok}}]
    directResponse: {status: 200}
  - match: [{uri: {prefix: /abort}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: b.test}}]
`

// TestMetrics counts requests by the labels of Envoy's own statistics, on every Envoy.
func TestMetrics(t *testing.T) {
	module, _ := program.ReadModule(t)
	const completed = "envoy_vhost_route_upstream_rq_completed"
	for _, b := range envoys(t) {
		for _, matching := range []envoy.Matching{envoy.MatchingFilter, envoy.MatchingNative, treesAlone} {
			t.Run(fmt.Sprintf("%s %s", b.Version, matching), func(t *testing.T) {
				r := rulesTestbed(t, metricsRules)
				p := startEnvoy(t, b, r, module, matchingOf(matching))
				went := map[string]float64{}
				c := r.client()
				defer c.close()
				get := func(path string) answer {
					got, err := c.retry(request(path, nil))
					require.NoError(t, err)
					return got
				}
				for range 40 {
					got := get("/split")
					require.Equal(t, http.StatusOK, got.status)
					for _, name := range []string{"outbound|80||b.test", "outbound|80||c.test"} {
						if strings.Contains(got.body, name) {
							went[name]++
						}
					}
				}
				for path, status := range map[string]int{"/mine": 200, "/moved": 301, "/ok": 200, "/abort": 418, "/nothing": 404} {
					assert.Equal(t, status, get(path).status, path)
				}
				all := samples(t, p)
				split := map[string]string{"rule": "default/a.b.http[0].match[0]:v1.5_x", "virtualservice": "default/a.b", "envoy_virtual_host": "a.test:80"}
				assert.EqualValues(t, 40, total(all, completed, split))
				assert.EqualValues(t, 40, total(all, "envoy_vhost_route_upstream_rq_xx", map[string]string{"rule": split["rule"], "envoy_response_code_class": "2"}))
				assert.EqualValues(t, 40, total(all, "envoy_vhost_route_upstream_rq", map[string]string{"rule": split["rule"], "envoy_response_code": "200"}))
				require.Len(t, went, 2, "both destinations were chosen")
				for name, n := range went {
					assert.Equal(t, n, total(all, "envoy_cluster_upstream_rq_total", map[string]string{"envoy_cluster_name": name})-map[bool]float64{true: 1}[name == "outbound|80||b.test"], "/mine went to b, too")
					split["destination"] = name
					if matching == envoy.MatchingFilter {
						assert.Equal(t, n, total(all, completed, split))
					} else {
						assert.EqualValues(t, -1, total(all, completed, split), "a list or a tree does not tell the destinations of a split apart")
					}
				}
				assert.EqualValues(t, 1, total(all, completed, map[string]string{"envoy_route": "my.own", "rule": "", "envoy_virtual_host": "a.test:80"}), "a statPrefix of the user's keeps its meaning")
				assert.EqualValues(t, 0, total(all, "envoy_vhost_route_upstream_rq_total", map[string]string{"envoy_route": "moved"}), "Envoy counts nothing on the route of a redirect")
				manager := map[string]string{"envoy_http_conn_manager_prefix": "http.80"}
				assert.EqualValues(t, 45, total(all, "envoy_http_downstream_rq_total", manager))
				assert.EqualValues(t, 1, total(all, "envoy_http_no_route", manager))
				assert.EqualValues(t, 2, total(all, "envoy_http_rq_direct_response", manager), "the redirect and the direct response")
				assert.EqualValues(t, 1, total(all, "envoy_http_fault_aborts_injected", manager))
				for _, s := range all {
					assert.NotContains(t, s.name, "a_test", "what is variable is a label")
					for k, v := range s.labels {
						assert.NotContains(t, v, ";", k)
					}
				}
			})
		}
	}
}

// TestWithoutRouteStats leaves the statistics of rules out.
func TestWithoutRouteStats(t *testing.T) {
	stdout, stderr, status := program.Run(t, "", "translate", "-f", "examples/bookinfo")
	require.Zero(t, status, stderr)
	ours := regexp.MustCompile(`"stat_prefix": *";default/reviews\.http\[1\]:split;outbound\|9080\|v2\|reviews\.default\.svc\.cluster\.local;"`)
	assert.Regexp(t, ours, stdout)
	stdout, stderr, status = program.Run(t, "", "translate", "-f", "examples/bookinfo", "--route-stats=false")
	require.Zero(t, status, stderr)
	assert.NotRegexp(t, ours, stdout)
}

// TestMetricsOfConnections counts what a tcp[] rule forwards.
func TestMetricsOfConnections(t *testing.T) {
	module, _ := program.ReadModule(t)
	server, err := echo.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	_, port := server.Address("b")
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b, namespace: default}
spec: {hosts: [b.test], resolution: STATIC, endpoints: [{address: 127.0.0.1, ports: {tcp: %d}}], ports: [{number: 80, name: tcp, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a.b, namespace: default}
spec: {hosts: ["*"], gateways: [gw], tcp: [{route: [{destination: {host: b.test}}]}]}
`, port), 0o600))
	in := gateway.Load([]string{file}, resource.Options{}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	p, _ := translate.Plan(in.Set, translate.Options{})
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	require.Len(t, p.Listeners, 1)
	p.Listeners[0].Bind, p.Listeners[0].Port = "127.0.0.1", ports[0]
	e := startEnvoy(t, defaultEnvoy(t), &testbed{plan: p}, module)
	c := &client{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	got, err := c.retry(request("/", nil))
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, got.status)
	c.close()
	all := samples(t, e)
	assert.EqualValues(t, 1, total(all, "envoy_tcp_downstream_cx_total", map[string]string{"rule": "default/a.b.tcp[0]", "virtualservice": "default/a.b"}))
	assert.EqualValues(t, 1, total(all, "envoy_cluster_upstream_cx_total", map[string]string{"envoy_cluster_name": "outbound|80||b.test"}))
}
