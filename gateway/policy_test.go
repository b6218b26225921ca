package gateway_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// clustersOf are the clusters of svc.com, by subset and port, under one DestinationRule and some options.
func clustersOf(t *testing.T, spec, endpoints string, o translate.Options) map[string]*plan.Cluster {
	t.Helper()
	if endpoints == "" {
		endpoints = "{address: 10.0.0.1}"
	}
	var rules []string
	for _, subset := range []string{"", "v1", "v2"} {
		for _, port := range []string{"80", "81"} {
			if subset == "" || strings.Contains(spec, "name: "+subset) {
				rules = append(rules, "- {match: [{uri: {exact: /"+subset+port+"}}], route: [{destination: {host: svc.com, subset: '"+subset+"', port: {number: "+port+"}}}]}")
			}
		}
	}
	p, problems := translated(t, everything+ruled("a", strings.Join(rules, "\n"))+object("DestinationRule", "d", "host: svc.com\n"+spec)+
		object("ServiceEntry", "s", "hosts: [svc.com]\nresolution: STATIC\nendpoints: ["+endpoints+"]\nports: [{name: http, number: 80, protocol: HTTP}, {name: grpc, number: 81, protocol: GRPC}]"), o)
	require.False(t, problems.HasErrors(), "%v", problems)
	out := map[string]*plan.Cluster{}
	for _, c := range p.Clusters {
		parts := strings.Split(c.Name, "|")
		out[parts[2]+":"+parts[1]] = c
	}
	return out
}

// DR-POL-01 to DR-POL-03: what of a rule, its subset and their ports holds for a cluster.
func TestPolicyInheritance(t *testing.T) {
	const (
		top  = "loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 7}, http: {maxRetries: 5}}, outlierDetection: {}, tls: {mode: SIMPLE, sni: top, insecureSkipVerify: true}, retryBudget: {percent: 50}"
		port = "portLevelSettings: [{port: {number: 81}, connectionPool: {http: {maxRetries: 9}}}]"
	)
	// seen is what of the policy holds: load balancer, limits, whether endpoints are taken out, SNI and retry budget.
	type seen struct {
		balancer             plan.LoadBalancing
		connections, retries uint32
		outliers             bool
		sni                  string
		budget               float64
	}
	whole := seen{plan.Random, 7, 5, true, "top", 50}
	for sentence, c := range map[string]struct {
		spec string
		want map[string]seen
	}{
		"without a subset the rule's own policy holds": {"trafficPolicy: {" + top + "}", map[string]seen{":80": whole, ":81": whole}},
		"settings of a port replace all others, and inherit nothing (DR-POL-01)": {"trafficPolicy: {" + top + ", " + port + "}",
			map[string]seen{":80": whole, ":81": {balancer: plan.LeastRequest, retries: 9}}},
		"a subset inherits every block that it does not set (DR-POL-02)": {"trafficPolicy: {" + top + "}\nsubsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}, {name: v2}]",
			map[string]seen{"v1:80": {plan.RoundRobin, 7, 5, true, "top", 50}, "v2:80": whole, ":80": whole}},
		"a block is replaced as a whole (DR-POL-03)": {"trafficPolicy: {" + top + "}\nsubsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}]",
			map[string]seen{"v1:80": {plan.Random, 1, 0, true, "top", 50}}},
		"a subset without a port's settings begins with those of the rule's port (DR-POL-02)": {"trafficPolicy: {" + top + ", " + port + "}\nsubsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]",
			map[string]seen{"v1:80": {plan.RoundRobin, 7, 5, true, "top", 50}, "v1:81": {balancer: plan.RoundRobin, retries: 9}}},
		"a subset's settings of a port replace four blocks, those that they leave out among them (DR-POL-02)": {
			"trafficPolicy: {" + top + "}\nsubsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, " + port + "}}]",
			map[string]seen{"v1:80": {plan.RoundRobin, 7, 5, true, "top", 50}, "v1:81": {plan.LeastRequest, 0, 9, false, "", 50}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			clusters := clustersOf(t, c.spec, "", translate.Options{})
			for name, want := range c.want {
				got := clusters[name]
				require.NotNil(t, got, name)
				s := seen{balancer: got.LoadBalancing, connections: got.Pool.MaxConnections, retries: got.Pool.MaxRetries, outliers: got.Outlier != nil}
				if got.TLS != nil {
					s.sni = got.TLS.SNI
				}
				if got.Pool.RetryBudget != nil {
					s.budget = got.Pool.RetryBudget.Percent
				}
				assert.Equal(t, want, s, name)
			}
		})
	}
}

func number(n uint32) *uint32 { return &n }

func duration(d time.Duration) *time.Duration { return &d }

// DR-LB-01, DR-LB-02, DR-HASH-01, DR-CP-01 to DR-CP-05, DR-OD-01 to DR-OD-03: the values of the plan.
func TestPolicyValues(t *testing.T) {
	base := plan.Cluster{Rules: []string{"default/d"}, Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "10.0.0.1", Port: 80}}}}}
	for sentence, c := range map[string]struct {
		policy string
		http2  bool // look at port 81, which speaks HTTP/2
		want   func(*plan.Cluster)
	}{
		"nothing said: least request, and no limits":   {"tls: {mode: DISABLE}", false, func(*plan.Cluster) {}},
		"LEAST_CONN is least request (DR-LB-01)":       {"loadBalancer: {simple: LEAST_CONN}", false, func(*plan.Cluster) {}},
		"PASSTHROUGH forgets the endpoints (DR-LB-01)": {"loadBalancer: {simple: PASSTHROUGH}", false, func(c *plan.Cluster) { c.Discovery, c.Localities = plan.OriginalDestination, nil }},
		"a warm-up (DR-LB-02)": {"loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 10s}}", false, func(c *plan.Cluster) {
			c.LoadBalancing, c.Warmup = plan.RoundRobin, &plan.Warmup{Duration: 10 * time.Second}
		}},
		"the old form of a warm-up (DR-LB-02)":            {"loadBalancer: {warmupDurationSecs: 10s}", false, func(c *plan.Cluster) { c.Warmup = &plan.Warmup{Duration: 10 * time.Second} }},
		"no warm-up where hosts are picked at random":     {"loadBalancer: {simple: RANDOM, warmup: {duration: 10s}}", false, func(c *plan.Cluster) { c.LoadBalancing = plan.Random }},
		"a hash without algorithm is a ring (DR-HASH-01)": {"loadBalancer: {consistentHash: {useSourceIp: true}}", false, func(c *plan.Cluster) { c.LoadBalancing, c.RingSize = plan.RingHash, 1024 }},
		"a ring without size has Envoy's (DR-HASH-01)":    {"loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}}}", false, func(c *plan.Cluster) { c.LoadBalancing = plan.RingHash }},
		"Maglev with a size (DR-HASH-01)":                 {"loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}}", false, func(c *plan.Cluster) { c.LoadBalancing, c.TableSize = plan.Maglev, 251 }},
		"the idle timeout of TCP where HTTP has none":     {"connectionPool: {tcp: {idleTimeout: 5s}}", false, func(c *plan.Cluster) { c.Pool.IdleTimeout = duration(5 * time.Second) }},
		"that of HTTP comes first (DR-CP-03)":             {"connectionPool: {tcp: {idleTimeout: 5s}, http: {idleTimeout: 6s}}", false, func(c *plan.Cluster) { c.Pool.IdleTimeout = duration(6 * time.Second) }},
		"what is for HTTP/2 alone is not for others":      {"connectionPool: {http: {maxConcurrentStreams: 3, h2UpgradePolicy: UPGRADE}}", false, func(c *plan.Cluster) { c.HTTP2 = true }},
		"it is for ports that speak it (DR-CP-03)":        {"connectionPool: {http: {maxConcurrentStreams: 3}}", true, func(c *plan.Cluster) { c.Pool.MaxConcurrentStreams = 3 }},
		"the client's protocol replaces the port's":       {"connectionPool: {http: {useClientProtocol: true}}", true, func(c *plan.Cluster) { c.HTTP2, c.ClientProtocol = false, true }},
		"a retry budget has defaults (DR-CP-05)":          {"retryBudget: {}", false, func(c *plan.Cluster) { c.Pool.RetryBudget = &plan.RetryBudget{Percent: 20, MinConcurrency: 3} }},
		"an empty outlierDetection is on (DR-OD-01)":      {"outlierDetection: {}", false, func(c *plan.Cluster) { c.Outlier = &plan.OutlierDetection{} }},
		"numbers of errors, 0 for off (DR-OD-01)": {"outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 4}", false, func(c *plan.Cluster) {
			c.Outlier = &plan.OutlierDetection{Consecutive5xx: number(0), ConsecutiveGateway: number(4)}
		}},
		"errors of our own side, split from the others'": {"outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4}", false, func(c *plan.Cluster) {
			c.Outlier = &plan.OutlierDetection{SplitLocalOrigin: true, ConsecutiveLocalOrigin: number(4)}
		}},
		"PROXY protocol": {"proxyProtocol: {version: V2}", false, func(c *plan.Cluster) { c.ProxyProtocol = 2 }},
	} {
		t.Run(sentence, func(t *testing.T) {
			name, want := ":80", base
			want.Name = "outbound|80||svc.com"
			if c.http2 {
				name, want.Name, want.HTTP2 = ":81", "outbound|81||svc.com", true
				want.Localities = []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "10.0.0.1", Port: 81}}}}
			}
			c.want(&want)
			assert.Equal(t, &want, clustersOf(t, "trafficPolicy: {"+c.policy+"}", "", translate.Options{})[name])
		})
	}
}

// The authorities of Envoy's system are looked at if that is this one: without them, only their destination is missing.
func TestAuthoritiesOfTheSystem(t *testing.T) {
	text := fmt.Sprintf(oneGateway, "'*'") + ruleOf("{route: [{destination: {host: b}}]}") + "---\n" +
		document("DestinationRule", "{host: b, trafficPolicy: {tls: {mode: SIMPLE}}}") + "---\n" +
		document("ServiceEntry", "{hosts: [b.default.svc.cluster.local], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.0.0.1}]}")
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
	require.Empty(t, in.Findings)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for here, clusters := range map[bool]int{false: 1, true: 0} {
		p, findings := translate.Plan(in.Set, translate.Options{ReadFile: resource.ReadFile, SystemAuthorities: missing, SystemIsHere: here}.WithDefaults())
		require.NotNil(t, p)
		require.Len(t, p.Clusters, clusters)
		require.Equal(t, here, strings.Contains(fmt.Sprint(findings), missing+" cannot be read"), findings)
		require.False(t, findings.HasErrors())
	}
}
