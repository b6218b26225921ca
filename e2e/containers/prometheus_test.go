//go:build prometheus

package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// prometheus is a real one, on the example's scrape file.
type prometheus struct{ address string }

func startPrometheus(t *testing.T, adminPort uint32) *prometheus {
	binary, err := exec.LookPath("prometheus")
	require.NoError(t, err, "the example of a dashboard is tested on a real Prometheus: install the package prometheus")
	config, err := os.ReadFile(filepath.Join(repository.Root, "examples", "observability", "prometheus.yml"))
	require.NoError(t, err)
	for old, next := range map[string]string{"127.0.0.1:9901": fmt.Sprintf("127.0.0.1:%d", adminPort), "scrape_interval: 5s": "scrape_interval: 1s"} {
		require.Contains(t, string(config), old)
		config = bytes.ReplaceAll(config, []byte(old), []byte(next))
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, config, 0o600))
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	p := &prometheus{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	var log bytes.Buffer
	c := exec.Command(binary, "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", p.address)
	c.Stdout, c.Stderr = &log, &log
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(os.Interrupt))
		require.NoError(t, c.Wait(), log.String())
	})
	require.Eventually(t, func() bool {
		response, err := program.HTTPClient.Get("http://" + p.address + "/-/ready")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, 30*time.Second, 100*time.Millisecond)
	return p
}

// series is one result of a query.
type series struct {
	Metric map[string]string  `json:"metric"`
	Value  [2]json.RawMessage `json:"value"`
}

func (s *series) number(t testing.TB) float64 {
	var text string
	require.NoError(t, json.Unmarshal(s.Value[1], &text))
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}

func (p *prometheus) query(t testing.TB, expression string) []series {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.address+"/api/v1/query?query="+url.QueryEscape(expression), nil)
	require.NoError(t, err)
	response, err := program.HTTPClient.Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", expression, answer.Error)
	return answer.Data.Result
}

// dashboard is what of Grafana's form matters here.
type dashboard struct {
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr string }
	}
}

// TestPrometheus scrapes an Envoy that serves the bookinfo example, and asks for everything that the dashboard shows.
func TestPrometheus(t *testing.T) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	dir := t.TempDir()
	r, rules := program.ServeBookinfo(t, "envoy", "--admin-port", strconv.Itoa(int(ports[0])), "--dynamic", dir)
	p := startPrometheus(t, ports[0])

	services := map[string]float64{} // answers of the split, by the service that gave them
	round := func() {
		for range 30 {
			services[walk(t, r, "reviews.bookinfo.example.com", "/reviews/0", "", http.StatusOK)]++
		}
		walk(t, r, "bookinfo.example.com", "/productpage", "", http.StatusOK)
		walk(t, r, "bookinfo.example.com", "/index.html", "", http.StatusPermanentRedirect)
		walk(t, r, "bookinfo.example.com", "/nothing", "", http.StatusNotFound)
		walk(t, r, "ratings.bookinfo.example.com", "/flaky", "", http.StatusOK)
		walk(t, r, "ratings.bookinfo.example.com", "/slow", "", http.StatusGatewayTimeout)
		walk(t, r, "ratings.bookinfo.example.com", "/status/500", "", http.StatusInternalServerError)
		walk(t, r, "ratings.bookinfo.example.com", "/ratings/0", "jason", http.StatusOK)
		walk(t, r, "ratings.bookinfo.example.com", "/ratings/0", "tester", http.StatusServiceUnavailable)
	}
	// Twice, with a scrape between: a rate needs two. Envoy adds its histograms up every five seconds.
	scraped := func(rounds int) {
		for _, name := range []string{
			`envoy_http_no_route{envoy_http_conn_manager_prefix="http.8080"}`,
			`envoy_cluster_upstream_rq_time_count{envoy_cluster_name="outbound|9080||productpage.default.svc.cluster.local"}`,
			`envoy_vhost_route_upstream_rq_time_count{rule="default/bookinfo.http[3].match[0]:page"}`,
		} {
			require.Eventually(t, func() bool { return len(p.query(t, fmt.Sprintf("%s == %d", name, rounds))) == 1 }, 30*time.Second, 100*time.Millisecond, name)
		}
	}
	round()
	scraped(1)
	round()
	scraped(2)
	refuse(t, dir, rules)
	require.Eventually(t, func() bool {
		return len(p.query(t, "envoy_extension_config_discovery_http_filter_config_fail >= 1")) == 1
	}, 30*time.Second, 100*time.Millisecond, r.Output())

	text, err := os.ReadFile(filepath.Join(repository.Root, "examples", "observability", "dashboard.json"))
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	expressions := 0
	for _, panel := range d.Panels {
		assert.NotEmpty(t, panel.Title)
		for _, target := range panel.Targets {
			expressions++
			expression := strings.NewReplacer("$__rate_interval", "1m", "$virtualservice", ".*").Replace(target.Expr)
			assert.NotContains(t, expression, "$")
			found := p.query(t, expression)
			assert.True(t, slices.ContainsFunc(found, func(s series) bool { return !math.IsNaN(s.number(t)) }), "%s: %s", panel.Title, expression)
			for _, s := range found {
				if strings.Contains(expression, "by (rule, destination)") {
					assert.NotEmpty(t, s.Metric["rule"], "%s: %v", expression, s.Metric)
					assert.NotEmpty(t, s.Metric["destination"], "%s: %v", expression, s.Metric)
				}
			}
		}
	}
	assert.Greater(t, expressions, 20)

	count := func(expression string) float64 {
		found := p.query(t, expression)
		require.Len(t, found, 1, expression)
		return found[0].number(t)
	}
	require.Len(t, services, 3, "60 requests found all three destinations")
	for service, n := range services {
		destination := strings.Replace(service, "reviews ", "outbound|9080|", 1) + "|reviews.default.svc.cluster.local"
		assert.Equal(t, n, count(fmt.Sprintf(`envoy_vhost_route_upstream_rq_completed{rule="default/reviews.http[1]:split",virtualservice="default/reviews",destination=%q}`, destination)))
	}
	for expression, want := range map[string]float64{
		`sum(envoy_vhost_route_upstream_rq_completed{virtualservice="default/reviews"})`:                                                60,
		`envoy_vhost_route_upstream_rq_completed{rule="default/bookinfo.http[3].match[0]:page"}`:                                        2,
		`envoy_vhost_route_upstream_rq_retry{rule="default/ratings.http[2].match[0]:retried"}`:                                          2,
		`envoy_vhost_route_upstream_rq_retry_success{rule="default/ratings.http[2].match[0]:retried"}`:                                  2,
		`envoy_vhost_route_upstream_rq_timeout{rule="default/ratings.http[3].match[0]:impatient"}`:                                      2,
		`envoy_vhost_route_upstream_rq_xx{rule="default/ratings.http[4]",envoy_response_code_class="5"}`:                                2,
		`envoy_http_fault_aborts_injected{envoy_http_conn_manager_prefix="http.8080"}`:                                                  2,
		`envoy_http_fault_delays_injected{envoy_http_conn_manager_prefix="http.8080"}`:                                                  2,
		`envoy_http_rq_direct_response{envoy_http_conn_manager_prefix="http.8080"}`:                                                     2,
		`envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="http.8080"}`:                                                    76,
		`sum(envoy_cluster_upstream_rq_time_count{envoy_cluster_name="outbound|9080||productpage.default.svc.cluster.local"})`:          2,
		`envoy_extension_config_discovery_http_filter_config_fail{envoy_http_conn_manager_prefix="http.8080"} >= bool 1`:                1,
		`max(envoy_cluster_membership_healthy{envoy_cluster_name="outbound|9080|v3|reviews.default.svc.cluster.local"})`:                1,
		`sum(envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix="http.8080",envoy_response_code_class="4"})`:                    2,
		`count(count by (virtualservice) (envoy_vhost_route_upstream_rq_retry))`:                                                        3,
		`sum(envoy_vhost_route_upstream_rq_completed{destination="outbound|9080||productpage.default.svc.cluster.local"}) or vector(0)`: 2,
	} {
		assert.Equal(t, want, count(expression), expression)
	}
	walk(t, r, "bookinfo.example.com", "/productpage", "", http.StatusOK) // what was before the refusal is served
}

// walk sends one request and returns the service that answered.
func walk(t testing.TB, r *program.Running, host, path, user string, status int) string {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.Address+path, nil)
	require.NoError(t, err)
	q.Host = host
	if user != "" {
		q.Header.Set("end-user", user)
	}
	response, err := program.HTTPClient.Do(q)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, status, response.StatusCode, host+path)
	return response.Header.Get("X-Service")
}

// refuse makes a change that Envoy refuses: what stands in the place of the module is none.
func refuse(t testing.TB, dir, rules string) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, "waymark.wasm"), []byte("not a module"), 0o600))
	file := filepath.Join(rules, "virtualservices.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := bytes.Replace(text, []byte("exact: jason"), []byte("exact: james"), 1)
	require.NotEqual(t, text, changed)
	require.NoError(t, os.WriteFile(file+".new", changed, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}
