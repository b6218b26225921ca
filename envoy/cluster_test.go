package envoy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"waymark.dev/waymark/plan"
)

// clusterWith is a cluster of one endpoint, changed.
func clusterWith(change func(*plan.Cluster)) *plan.Cluster {
	c := &plan.Cluster{Name: "outbound|80||a.svc", Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "10.0.0.1", Port: 80}}}}}
	if change != nil {
		change(c)
	}
	return c
}

// members of a cluster as JSON, which is what Envoy reads.
func members(t *testing.T, c *plan.Cluster, o Options) map[string]json.RawMessage {
	t.Helper()
	b := &builder{Options: o}
	b.setJoined(&plan.Plan{Clusters: []*plan.Cluster{c}})
	built := b.cluster(c)
	require.NoError(t, validatePacked(built))
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(built)
	require.NoError(t, err)
	var out map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// Each case names some members of the cluster, and what they are; null is none.
func TestClusters(t *testing.T) {
	number := func(n uint32) *uint32 { return &n }
	for sentence, c := range map[string]struct {
		change  func(*plan.Cluster)
		options Options
		want    string
	}{
		"nothing said: Istio's defaults (DR-CP-01)": {nil, Options{}, `{"name": "outbound|80||a.svc", "type": "STATIC", "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST",
			"circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 4294967295, "max_retries": 4294967295, "track_remaining": true}]},
			"per_connection_buffer_limit_bytes": 32768, "outlier_detection": null, "common_lb_config": null, "transport_socket": null, "typed_extension_protocol_options": null,
			"load_assignment": {"cluster_name": "outbound|80||a.svc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}}, "load_balancing_weight": 1}]}]}}`},
		"a plain proxy has Envoy's buffers": {nil, Options{Profile: ProfilePlain}, `{"per_connection_buffer_limit_bytes": null}`},
		"endpoints stand with their cluster in files, too": {nil, Options{Dir: "/d"}, `{"type": "STATIC", "eds_cluster_config": null,
			"load_assignment": {"cluster_name": "outbound|80||a.svc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}}, "load_balancing_weight": 1}]}]}}`},
		"names are resolved as Istio does (SE-05)": {func(c *plan.Cluster) { c.Discovery = plan.StrictDNS }, Options{Dir: "/d"},
			`{"type": null, "eds_cluster_config": null, "cluster_type": {"name": "envoy.clusters.dns", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster",
			"dns_lookup_family": "V4_ONLY", "respect_dns_ttl": true, "dns_refresh_rate": "60s", "dns_jitter": "0.100s", "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "10s"}}}}`},
		"all addresses of a name are one endpoint (SE-05)": {func(c *plan.Cluster) { c.Discovery = plan.LogicalDNS }, Options{},
			`{"type": null, "cluster_type": {"name": "envoy.clusters.dns", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster", "all_addresses_in_single_endpoint": true,
			"dns_lookup_family": "V4_ONLY", "respect_dns_ttl": true, "dns_refresh_rate": "60s", "dns_jitter": "0.100s", "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "10s"}}}}`},
		"the original destination has no endpoints": {func(c *plan.Cluster) { c.Discovery = plan.OriginalDestination }, Options{}, `{"type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "load_assignment": null}`},
		"a unix socket is a pipe (SE-04)": {func(c *plan.Cluster) { c.Localities[0].Endpoints[0] = plan.Endpoint{Address: "/s"} }, Options{},
			`{"load_assignment": {"cluster_name": "outbound|80||a.svc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "/s"}}}, "load_balancing_weight": 1}]}]}}`},
		"localities with priority and weight": {func(c *plan.Cluster) {
			c.LocalityWeighted = true
			c.Localities[0].Region, c.Localities[0].Priority, c.Localities[0].Weight, c.Localities[0].Endpoints[0].Weight = "r", 0, 7, 3
		}, Options{}, `{"common_lb_config": {"locality_weighted_lb_config": {}}, "load_assignment": {"cluster_name": "outbound|80||a.svc", "endpoints": [{"locality": {"region": "r"},
			"load_balancing_weight": 7, "lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}}, "load_balancing_weight": 3}]}]}}`},
		"limits (DR-CP-02)": {func(c *plan.Cluster) {
			c.Pool = plan.ConnectionPool{ConnectTimeout: time.Second, MaxConnections: 1, MaxPendingRequests: 2, MaxRequests: 3, MaxRetries: 4}
		}, Options{}, `{"connect_timeout": "1s", "circuit_breakers": {"thresholds": [{"max_connections": 1, "max_pending_requests": 2, "max_requests": 3, "max_retries": 4, "track_remaining": true}]}}`},
		"a retry budget takes the place of the limit (DR-CP-05)": {func(c *plan.Cluster) { c.Pool.RetryBudget = &plan.RetryBudget{Percent: 20, MinConcurrency: 3} }, Options{},
			`{"circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 4294967295,
			"retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}, "track_remaining": true}]}}`},
		"an interval of a budget, for an Envoy that has it": {func(c *plan.Cluster) { c.Pool.RetryBudget = &plan.RetryBudget{Interval: time.Second} }, Options{Minor: 39},
			`{"circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 4294967295,
			"retry_budget": {"budget_percent": {}, "min_retry_concurrency": 0, "budget_interval": "1s"}, "track_remaining": true}]}}`},
		"none for one that has not (VAL-X-08)": {func(c *plan.Cluster) { c.Pool.RetryBudget = &plan.RetryBudget{Interval: time.Second} }, Options{Minor: 38},
			`{"circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "max_pending_requests": 4294967295, "max_requests": 4294967295,
			"retry_budget": {"budget_percent": {}, "min_retry_concurrency": 0}, "track_remaining": true}]}}`},
		"outlier detection never goes by success rates, and never panics (DR-OD-01, DR-OD-02)": {func(c *plan.Cluster) { c.Outlier = &plan.OutlierDetection{} }, Options{},
			`{"outlier_detection": {"enforcing_success_rate": 0}, "common_lb_config": {"healthy_panic_threshold": {}}}`},
		"errors are enforced where they are counted": {func(c *plan.Cluster) {
			c.Outlier = &plan.OutlierDetection{Consecutive5xx: number(0), ConsecutiveGateway: number(2), MinHealthPercent: 30, MaxEjectionPercent: 50, SplitLocalOrigin: true, ConsecutiveLocalOrigin: number(3)}
		}, Options{}, `{"common_lb_config": {"healthy_panic_threshold": {"value": 30}}, "outlier_detection": {"enforcing_success_rate": 0, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
			"consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100, "max_ejection_percent": 50, "split_external_local_origin_errors": true,
			"consecutive_local_origin_failure": 3, "enforcing_consecutive_local_origin_failure": 100, "enforcing_local_origin_success_rate": 0}}`},
		"a ring": {func(c *plan.Cluster) { c.LoadBalancing, c.RingSize = plan.RingHash, 1024 }, Options{}, `{"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": "1024"}}`},
		"Maglev": {func(c *plan.Cluster) { c.LoadBalancing, c.TableSize = plan.Maglev, 251 }, Options{}, `{"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": "251"}}`},
		"a warm-up": {func(c *plan.Cluster) {
			c.LoadBalancing, c.Warmup = plan.RoundRobin, &plan.Warmup{Duration: time.Second}
		}, Options{},
			`{"lb_policy": null, "round_robin_lb_config": {"slow_start_config": {"slow_start_window": "1s"}}}`},
		"TLS with the name of the request (DR-TLS-02)": {func(c *plan.Cluster) {
			c.TLS = &plan.UpstreamTLS{VerifyHost: true, Authority: &plan.Credential{Name: "ca", CAFile: "/ca"}}
		}, Options{},
			`{"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"upstream_http_protocol_options": {"auto_sni": true, "auto_san_validation": true}, "explicit_http_config": {"http_protocol_options": {}}}},
			"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
			"common_tls_context": {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}, "validation_context": {"trusted_ca": {"filename": "/ca"}}}}}}`},
		"HTTP/2 is offered by ALPN, and PROXY protocol goes around TLS": {func(c *plan.Cluster) { c.HTTP2, c.ProxyProtocol, c.TLS = true, 2, &plan.UpstreamTLS{SNI: "a"} }, Options{},
			`{"transport_socket": {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
			"config": {"version": "V2"}, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "a",
			"common_tls_context": {"alpn_protocols": ["h2"], "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}}}}}}}`},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := members(t, clusterWith(c.change), c.options)
			var want map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(c.want), &want))
			for name, value := range want {
				if string(value) == "null" {
					assert.NotContains(t, got, name)
				} else if assert.Contains(t, got, name) {
					assert.JSONEq(t, string(value), string(got[name]), name)
				}
			}
		})
	}
}

// Secrets have paths, whose folders Envoy watches, or their content; that is never in a bootstrap which is printed.
func TestSecrets(t *testing.T) {
	p := &plan.Plan{Clusters: []*plan.Cluster{
		clusterWith(func(c *plan.Cluster) {
			c.TLS = &plan.UpstreamTLS{Certificate: &plan.Credential{Name: "kubernetes://a", Cert: []byte("cert"), Key: []byte("key")}, Authority: &plan.Credential{Name: "file-root:/d/ca", CAFile: "/d/ca"}}
		}),
	}}
	r, err := Build(p, Options{Matching: MatchingNative, Dir: "/d"})
	require.NoError(t, err)
	require.Len(t, r.OfType(SecretType), 2)
	for name, want := range map[string]string{
		"kubernetes://a":  `{"name": "kubernetes://a", "tls_certificate": {"certificate_chain": {"inline_bytes": "Y2VydA=="}, "private_key": {"inline_bytes": "a2V5"}}}`,
		"file-root:/d/ca": `{"name": "file-root:/d/ca", "validation_context": {"trusted_ca": {"filename": "/d/ca"}}}`,
	} {
		text, err := JSON(r.Get(Key{SecretType, name}))
		require.NoError(t, err)
		assert.JSONEq(t, want, string(text))
	}
	_, err = Bootstrap(p, Options{Matching: MatchingNative})
	require.ErrorContains(t, err, "credential a: a certificate that stands in a Secret document: it would be printed with its key; write files with --dynamic, or name the certificate's own with --secret")
	_, err = Validation(p, Options{})
	require.NoError(t, err, "nobody else reads it")
}
