package envoy

import (
	"strconv"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	httpmatcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// loadBalancer writes how an endpoint is chosen.
func loadBalancer(out *clusterv3.Cluster, c *plan.Cluster) {
	if c.Discovery == plan.OriginalDestination {
		out.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
		return
	}
	switch c.LoadBalancing {
	case plan.RoundRobin:
		out.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		if c.Warmup != nil {
			out.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: slowStart(c.Warmup)}}
		}
	case plan.Random:
		out.LbPolicy = clusterv3.Cluster_RANDOM
	case plan.RingHash:
		out.LbPolicy = clusterv3.Cluster_RING_HASH
		if c.RingSize > 0 {
			out.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(c.RingSize)}}
		}
	case plan.Maglev:
		out.LbPolicy = clusterv3.Cluster_MAGLEV
		if c.TableSize > 0 {
			out.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(c.TableSize)}}
		}
	default:
		out.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
		if c.Warmup != nil {
			out.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{SlowStartConfig: slowStart(c.Warmup)}}
		}
	}
}

// slowStart is a warm-up: growth from a smallest share, by 1/aggression as the exponent of time.
func slowStart(w *plan.Warmup) *clusterv3.Cluster_SlowStartConfig {
	out := &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: durationpb.New(w.Duration)}
	if w.Aggression != nil {
		out.Aggression = &corev3.RuntimeDouble{DefaultValue: *w.Aggression, RuntimeKey: "waymark.warmup.aggression"}
	}
	if w.MinimumPercent != nil {
		out.MinWeightPercent = &typev3.Percent{Value: *w.MinimumPercent}
	}
	return out
}

// commonLoadBalancing is nil where Envoy's defaults are right. With outlier detection, the panic threshold is
// minHealthPercent, 0 by default: requests never go to endpoints that were taken out (DR-OD-02).
func commonLoadBalancing(c *plan.Cluster) *clusterv3.Cluster_CommonLbConfig {
	if c.Outlier == nil && !c.LocalityWeighted {
		return nil
	}
	out := &clusterv3.Cluster_CommonLbConfig{}
	if c.Outlier != nil {
		out.HealthyPanicThreshold = &typev3.Percent{Value: float64(c.Outlier.MinHealthPercent)}
	}
	if c.LocalityWeighted {
		out.LocalityConfigSpecifier = &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig_{
			LocalityWeightedLbConfig: &clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig{},
		}
	}
	return out
}

// errorCodes are the statuses that count as errors of an endpoint (DR-OD-03).
func errorCodes(codes []uint32) *upstreamv3.HttpProtocolOptions_OutlierDetection {
	set := &httpmatcherv3.MatchPredicate_MatchSet{}
	for _, code := range codes {
		set.Rules = append(set.Rules, &httpmatcherv3.MatchPredicate{Rule: &httpmatcherv3.MatchPredicate_HttpResponseHeadersMatch{
			HttpResponseHeadersMatch: &httpmatcherv3.HttpHeadersMatch{Headers: []*routev3.HeaderMatcher{{
				Name:                 ":status",
				HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatcher(plan.Exact, strconv.Itoa(int(code)))},
			}}},
		}})
	}
	if len(set.Rules) == 1 { // a set has two members at least
		return &upstreamv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: set.Rules[0]}
	}
	return &upstreamv3.HttpProtocolOptions_OutlierDetection{ErrorMatcher: &httpmatcherv3.MatchPredicate{
		Rule: &httpmatcherv3.MatchPredicate_OrMatch{OrMatch: set},
	}}
}
