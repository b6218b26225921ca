package envoy

import (
	"math"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// connectTimeout is Istio's default (DR-CP-01); Envoy's own is 5 s.
const connectTimeout = 10 * time.Second

// ringSize is the smallest ring of consistent hashing, Istio's default (DR-HASH-01).
const ringSize = 1024

var discoveryTypes = map[plan.Discovery]clusterv3.Cluster_DiscoveryType{
	plan.Static: clusterv3.Cluster_STATIC, plan.StrictDNS: clusterv3.Cluster_STRICT_DNS, plan.LogicalDNS: clusterv3.Cluster_LOGICAL_DNS,
	plan.OriginalDestination: clusterv3.Cluster_ORIGINAL_DST,
}

var lbPolicies = map[plan.LoadBalancing]clusterv3.Cluster_LbPolicy{
	plan.LeastRequest: clusterv3.Cluster_LEAST_REQUEST, plan.RoundRobin: clusterv3.Cluster_ROUND_ROBIN, plan.Random: clusterv3.Cluster_RANDOM,
	plan.RingHash: clusterv3.Cluster_RING_HASH, plan.Maglev: clusterv3.Cluster_MAGLEV,
}

// cluster is a destination. All circuit breakers are open as wide as Istio has them by default: with Envoy's own limits,
// no more than three retries at once would be made (DR-CP-01).
func cluster(c *plan.Cluster) *clusterv3.Cluster {
	unlimited := wrapperspb.UInt32(math.MaxUint32)
	out := &clusterv3.Cluster{
		Name:                 c.Name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discoveryTypes[c.Discovery]},
		ConnectTimeout:       durationpb.New(connectTimeout),
		LbPolicy:             lbPolicies[c.LoadBalancing],
		LoadAssignment:       loadAssignment(c),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections: unlimited, MaxPendingRequests: unlimited, MaxRequests: unlimited, MaxRetries: unlimited, TrackRemaining: true,
		}}},
	}
	if c.LoadBalancing == plan.RingHash {
		out.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(ringSize)}}
	}
	switch c.Discovery {
	case plan.OriginalDestination:
		out.LbPolicy, out.LbConfig, out.LoadAssignment = clusterv3.Cluster_CLUSTER_PROVIDED, nil, nil
	case plan.StrictDNS, plan.LogicalDNS:
		out.DnsLookupFamily = clusterv3.Cluster_V4_ONLY // SE-05
		out.RespectDnsTtl = true                        //nolint:staticcheck // as Istio writes it; the successor is an extension of the cluster type
	}
	if p := protocolOptions(c); p != nil {
		out.TypedExtensionProtocolOptions = map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(p)}
	}
	return out
}

// protocolOptions are nil for HTTP/1.1, Envoy's default.
func protocolOptions(c *plan.Cluster) *upstreamv3.HttpProtocolOptions {
	switch {
	case c.ClientProtocol:
		return &upstreamv3.HttpProtocolOptions{UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
			UseDownstreamProtocolConfig: &upstreamv3.HttpProtocolOptions_UseDownstreamHttpConfig{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{}, Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
			},
		}}
	case c.HTTP2:
		return &upstreamv3.HttpProtocolOptions{UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}},
			},
		}}
	default:
		return nil
	}
}

func loadAssignment(c *plan.Cluster) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
	if len(c.Endpoints) == 0 {
		return out
	}
	group := &endpointv3.LocalityLbEndpoints{}
	for _, e := range c.Endpoints {
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(e.Address, e.Port)}},
			LoadBalancingWeight: wrapperspb.UInt32(max(e.Weight, 1)),
		})
	}
	out.Endpoints = []*endpointv3.LocalityLbEndpoints{group}
	return out
}
