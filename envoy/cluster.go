package envoy

import (
	"math"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	dnscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

// connectTimeout is Istio's default (DR-CP-01); Envoy's own is 5 s.
const connectTimeout = 10 * time.Second

// dnsRefresh and dnsJitter are Istio's (SE-05).
const (
	dnsRefresh = time.Minute
	dnsJitter  = 100 * time.Millisecond
)

// A name that could not be resolved is asked for again after dnsRetryFirst, and at last every dnsRetryLast: not only when
// the name would have been asked for anyway.
const (
	dnsRetryFirst = time.Second
	dnsRetryLast  = 10 * time.Second
)

var discoveryTypes = map[plan.Discovery]clusterv3.Cluster_DiscoveryType{
	plan.Static: clusterv3.Cluster_STATIC, plan.OriginalDestination: clusterv3.Cluster_ORIGINAL_DST,
}

// cluster is a destination.
func (b *builder) cluster(c *plan.Cluster) *clusterv3.Cluster {
	out := &clusterv3.Cluster{
		Name:                 c.Name,
		AltStatName:          StatName(c.Name),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discoveryTypes[c.Discovery]},
		ConnectTimeout:       durationpb.New(connectTimeout),
		LoadAssignment:       loadAssignment(c),
		CircuitBreakers:      circuitBreakers(&c.Pool, b.Minor),
		OutlierDetection:     outlierDetection(c.Outlier),
		CommonLbConfig:       commonLoadBalancing(c),
	}
	if c.Pool.ConnectTimeout > 0 {
		out.ConnectTimeout = durationpb.New(c.Pool.ConnectTimeout)
	}
	switch c.Discovery {
	case plan.StrictDNS, plan.LogicalDNS:
		out.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: dnsCluster(c.Discovery)}
	case plan.OriginalDestination:
		out.LoadAssignment = nil
	default:
		if source := b.source(Key{EndpointType, c.Name}); source != nil {
			out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
			out.LoadAssignment = nil
			out.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: source}
		}
	}
	out.PerConnectionBufferLimitBytes = optionalNumber(b.limits().Buffer)
	loadBalancer(out, c)
	if k := c.Pool.Keepalive; k != nil {
		out.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: tcpKeepalive(k)}
	}
	options := httpOptions(c)
	if c.TLS != nil {
		out.TransportSocket = b.upstreamTLS(c, options)
	}
	if c.ProxyProtocol > 0 {
		out.TransportSocket = proxyProtocol(c.ProxyProtocol, out.TransportSocket)
	}
	if proto.Size(options) > 0 {
		if options.UpstreamProtocolOptions == nil { // the API wants one of them
			options.UpstreamProtocolOptions = explicitHTTP1()
		}
		out.TypedExtensionProtocolOptions = map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(options)}
	}
	return out
}

// dnsCluster resolves names as Istio does (SE-05). Istio writes the same into fields of the cluster, which are deprecated:
// Envoy converts them to this message (dns_cluster_backcompat.cc), and logs a warning for each of them.
func dnsCluster(d plan.Discovery) *clusterv3.Cluster_CustomClusterType {
	return &clusterv3.Cluster_CustomClusterType{Name: "envoy.clusters.dns", TypedConfig: typed(&dnsv3.DnsCluster{
		DnsLookupFamily:              dnscommonv3.DnsLookupFamily_V4_ONLY,
		RespectDnsTtl:                true,
		DnsRefreshRate:               durationpb.New(dnsRefresh),
		DnsJitter:                    durationpb.New(dnsJitter),
		DnsFailureRefreshRate:        &dnsv3.DnsCluster_RefreshRate{BaseInterval: durationpb.New(dnsRetryFirst), MaxInterval: durationpb.New(dnsRetryLast)},
		AllAddressesInSingleEndpoint: d == plan.LogicalDNS,
	})}
}

// circuitBreakers have Istio's defaults, which are unlimited: with Envoy's own, no more than three retries at once would be
// made (DR-CP-01, DR-CP-02).
func circuitBreakers(p *plan.ConnectionPool, minor int) *clusterv3.CircuitBreakers {
	limit := func(n uint32) *wrapperspb.UInt32Value {
		if n == 0 {
			n = math.MaxUint32
		}
		return wrapperspb.UInt32(n)
	}
	t := &clusterv3.CircuitBreakers_Thresholds{
		MaxConnections: limit(p.MaxConnections), MaxPendingRequests: limit(p.MaxPendingRequests),
		MaxRequests: limit(p.MaxRequests), MaxRetries: limit(p.MaxRetries), TrackRemaining: true,
	}
	if b := p.RetryBudget; b != nil {
		t.MaxRetries = nil
		t.RetryBudget = &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
			BudgetPercent: &typev3.Percent{Value: b.Percent}, MinRetryConcurrency: wrapperspb.UInt32(b.MinConcurrency),
		}
		if b.Interval > 0 && minor >= version.RetryBudgetInterval {
			t.RetryBudget.BudgetInterval = durationpb.New(b.Interval)
		}
	}
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{t}}
}

// outlierDetection never goes by success rates, as Istio's does not (DR-OD-01).
func outlierDetection(o *plan.OutlierDetection) *clusterv3.OutlierDetection {
	if o == nil {
		return nil
	}
	out := &clusterv3.OutlierDetection{
		EnforcingSuccessRate: wrapperspb.UInt32(0),
		Interval:             optionalDuration(o.Interval),
		BaseEjectionTime:     optionalDuration(o.BaseEjectionTime),
	}
	out.Consecutive_5Xx, out.EnforcingConsecutive_5Xx = consecutive(o.Consecutive5xx)
	out.ConsecutiveGatewayFailure, out.EnforcingConsecutiveGatewayFailure = consecutive(o.ConsecutiveGateway)
	if o.MaxEjectionPercent > 0 {
		out.MaxEjectionPercent = wrapperspb.UInt32(o.MaxEjectionPercent)
	}
	if o.SplitLocalOrigin {
		out.SplitExternalLocalOriginErrors = true
		out.ConsecutiveLocalOriginFailure, out.EnforcingConsecutiveLocalOriginFailure = consecutive(o.ConsecutiveLocalOrigin)
		out.EnforcingLocalOriginSuccessRate = wrapperspb.UInt32(0)
	}
	return out
}

// consecutive is a number of errors, enforced unless it is 0; nil leaves both at Envoy's defaults.
func consecutive(n *uint32) (count, enforcing *wrapperspb.UInt32Value) {
	if n == nil {
		return nil, nil
	}
	if *n == 0 {
		return wrapperspb.UInt32(0), wrapperspb.UInt32(0)
	}
	return wrapperspb.UInt32(*n), wrapperspb.UInt32(100)
}

func tcpKeepalive(k *plan.TCPKeepalive) *corev3.TcpKeepalive {
	out := &corev3.TcpKeepalive{}
	seconds := func(d time.Duration) *wrapperspb.UInt32Value {
		if d == 0 {
			return nil
		}
		return wrapperspb.UInt32(uint32(d / time.Second))
	}
	if k.Probes > 0 {
		out.KeepaliveProbes = wrapperspb.UInt32(k.Probes)
	}
	out.KeepaliveTime, out.KeepaliveInterval = seconds(k.Time), seconds(k.Interval)
	return out
}

func explicitHTTP1() *upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_ {
	return &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
	}}
}

// httpOptions are the versions and limits of HTTP; empty is HTTP/1.1 with Envoy's defaults.
func httpOptions(c *plan.Cluster) *upstreamv3.HttpProtocolOptions {
	out := &upstreamv3.HttpProtocolOptions{}
	switch {
	case c.ClientProtocol:
		out.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
			UseDownstreamProtocolConfig: &upstreamv3.HttpProtocolOptions_UseDownstreamHttpConfig{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{}, Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
			},
		}
	case c.HTTP2:
		h2 := &corev3.Http2ProtocolOptions{}
		if c.Pool.MaxConcurrentStreams > 0 {
			h2.MaxConcurrentStreams = wrapperspb.UInt32(c.Pool.MaxConcurrentStreams)
		}
		if k := c.Pool.HTTP2Keepalive; k != nil {
			h2.ConnectionKeepalive = &corev3.KeepaliveSettings{Interval: durationpb.New(k.Interval), Timeout: durationpb.New(k.Timeout)}
		}
		out.UpstreamProtocolOptions = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: h2},
		}}
	}
	common := &corev3.HttpProtocolOptions{
		IdleTimeout:           optionalDuration(c.Pool.IdleTimeout),
		MaxConnectionDuration: optionalDuration(c.Pool.MaxConnectionDuration),
	}
	if n := c.Pool.MaxRequestsPerConnection; n > 0 {
		common.MaxRequestsPerConnection = wrapperspb.UInt32(n)
	}
	if proto.Size(common) > 0 {
		out.CommonHttpProtocolOptions = common
	}
	if c.Outlier != nil && len(c.Outlier.StatusCodes) > 0 {
		out.OutlierDetection = errorCodes(c.Outlier.StatusCodes)
	}
	return out
}

// proxyProtocol begins connections with the client's address.
func proxyProtocol(version int, inner *corev3.TransportSocket) *corev3.TransportSocket {
	if inner == nil {
		inner = transportSocket("envoy.transport_sockets.raw_buffer", &rawbufferv3.RawBuffer{})
	}
	return transportSocket("envoy.transport_sockets.upstream_proxy_protocol", &proxyprotocolv3.ProxyProtocolUpstreamTransport{
		Config:          &corev3.ProxyProtocolConfig{Version: corev3.ProxyProtocolConfig_Version(version - 1)},
		TransportSocket: inner,
	})
}

// optionalDuration is nil for nil.
func optionalDuration(d *time.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	return durationpb.New(*d)
}

// LoadAssignments are the endpoints of clusters, for a control plane.
func LoadAssignments(changed []*plan.Cluster) []Resource {
	out := make([]Resource, len(changed))
	for i, c := range changed {
		out[i] = Resource{Key{EndpointType, c.Name}, loadAssignment(c)}
	}
	return out
}

func loadAssignment(c *plan.Cluster) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
	for _, l := range c.Localities {
		group := &endpointv3.LocalityLbEndpoints{Priority: l.Priority}
		if l.Region != "" || l.Zone != "" || l.SubZone != "" {
			group.Locality = &corev3.Locality{Region: l.Region, Zone: l.Zone, SubZone: l.SubZone}
		}
		if l.Weight > 0 {
			group.LoadBalancingWeight = wrapperspb.UInt32(l.Weight)
		}
		for _, e := range l.Endpoints {
			group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{
				HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: endpointAddress(e)}},
				LoadBalancingWeight: wrapperspb.UInt32(max(e.Weight, 1)),
			})
		}
		out.Endpoints = append(out.Endpoints, group)
	}
	return out
}

// endpointAddress is a socket's, or the path of a unix socket where there is no port.
func endpointAddress(e plan.Endpoint) *corev3.Address {
	if e.Port == 0 {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: e.Address}}}
	}
	return address(e.Address, e.Port)
}
