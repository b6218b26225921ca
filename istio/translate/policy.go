package translate

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/plan"
)

// trafficPolicy is the policy of one cluster after the settings of subset and port were applied. A block that is nil
// means Istio's default.
type trafficPolicy struct {
	loadBalancer  *istio.LoadBalancerSettings
	pool          *istio.ConnectionPoolSettings
	outlier       *istio.OutlierDetection
	tls           *istio.ClientTLSSettings
	proxyProtocol *istio.TrafficPolicy_ProxyProtocol
	retryBudget   *istio.TrafficPolicy_RetryBudget
	tunnel        *istio.TrafficPolicy_TunnelSettings
}

// policyFor resolves the policy of a subset and port. The settings for a port replace loadBalancer, connectionPool,
// outlierDetection and tls of their level; what they leave out is not inherited. A subset's blocks replace those of the
// DestinationRule, each as a whole (DR-POL-01 to DR-POL-03).
func (p *destinationPolicy) policyFor(subset string, port uint32) trafficPolicy {
	if p == nil {
		return trafficPolicy{}
	}
	var out trafficPolicy
	if t := portPolicy(p.traffic, port); t != nil {
		out = trafficPolicy{loadBalancer: t.LoadBalancer, pool: t.ConnectionPool, outlier: t.OutlierDetection, tls: t.Tls}
	} else if t := p.traffic; t != nil {
		out = trafficPolicy{t.LoadBalancer, t.ConnectionPool, t.OutlierDetection, t.Tls, t.ProxyProtocol, t.RetryBudget, t.Tunnel}
	}
	own := p.subset(subset).GetTrafficPolicy()
	if own == nil {
		return out
	}
	replace(&out.loadBalancer, own.LoadBalancer)
	replace(&out.pool, own.ConnectionPool)
	replace(&out.outlier, own.OutlierDetection)
	replace(&out.tls, own.Tls)
	replace(&out.proxyProtocol, own.ProxyProtocol)
	replace(&out.retryBudget, own.RetryBudget)
	replace(&out.tunnel, own.Tunnel)
	if t := portPolicy(own, port); t != nil {
		out.loadBalancer, out.pool, out.outlier, out.tls = t.LoadBalancer, t.ConnectionPool, t.OutlierDetection, t.Tls
	}
	return out
}

func replace[T any](block **T, own *T) {
	if own != nil {
		*block = own
	}
}

// balance sets the cluster's load balancing and warm-up (DR-LB-01, DR-LB-02, DR-HASH-01).
func (p trafficPolicy) balance(c *plan.Cluster) {
	lb := p.loadBalancer
	switch lb.GetSimple() {
	case istio.LoadBalancerSettings_ROUND_ROBIN:
		c.LoadBalancing = plan.RoundRobin
	case istio.LoadBalancerSettings_RANDOM:
		c.LoadBalancing = plan.Random
	case istio.LoadBalancerSettings_PASSTHROUGH:
		c.Discovery, c.Localities = plan.OriginalDestination, nil
	default:
		c.LoadBalancing = plan.LeastRequest
	}
	if c.LoadBalancing == plan.LeastRequest || c.LoadBalancing == plan.RoundRobin {
		c.Warmup = warmup(lb)
	}
	hash := lb.GetConsistentHash()
	switch {
	case hash == nil:
	case hash.GetMaglev() != nil:
		c.LoadBalancing, c.TableSize, c.Warmup = plan.Maglev, hash.GetMaglev().TableSize, nil
	case hash.GetRingHash() != nil:
		c.LoadBalancing, c.RingSize, c.Warmup = plan.RingHash, hash.GetRingHash().MinimumRingSize, nil
	default:
		c.LoadBalancing, c.RingSize, c.Warmup = plan.RingHash, hash.MinimumRingSize, nil //nolint:staticcheck // deprecated, and still in force
		if c.RingSize == 0 {
			c.RingSize = defaultRingSize
		}
	}
}

// defaultRingSize is the minimum ring size that Istio sets where a consistent hash names no algorithm (DR-HASH-01).
const defaultRingSize = 1024

func warmup(lb *istio.LoadBalancerSettings) *plan.Warmup {
	if w := lb.GetWarmup(); w != nil {
		return &plan.Warmup{Duration: duration(w.Duration), MinimumPercent: optional(w.MinimumPercent), Aggression: optional(w.Aggression)}
	}
	if d := lb.GetWarmupDurationSecs(); d != nil {
		return &plan.Warmup{Duration: duration(d)}
	}
	return nil
}

func optional(v *wrapperspb.DoubleValue) *float64 {
	if v == nil {
		return nil
	}
	f := v.GetValue()
	return &f
}

// connections sets the cluster's limits, timeouts and protocol (DR-CP-01 to DR-CP-05). 0 is a setting that is not
// given.
func (p trafficPolicy) connections(c *plan.Cluster) {
	http, tcp := p.pool.GetHttp(), p.pool.GetTcp()
	c.Pool = plan.ConnectionPool{
		ConnectTimeout:           duration(tcp.GetConnectTimeout()),
		MaxConnections:           positive(tcp.GetMaxConnections()),
		MaxPendingRequests:       positive(http.GetHttp1MaxPendingRequests()),
		MaxRequests:              positive(http.GetHttp2MaxRequests()),
		MaxRetries:               positive(http.GetMaxRetries()),
		MaxRequestsPerConnection: positive(http.GetMaxRequestsPerConnection()),
		MaxConnectionDuration:    optionalDuration(tcp.GetMaxConnectionDuration()),
		IdleTimeout:              optionalDuration(http.GetIdleTimeout()),
	}
	if c.Pool.IdleTimeout == nil {
		c.Pool.IdleTimeout = optionalDuration(tcp.GetIdleTimeout())
	}
	if k := tcp.GetTcpKeepalive(); k != nil {
		c.Pool.Keepalive = &plan.TCPKeepalive{Probes: k.Probes, Time: duration(k.Time), Interval: duration(k.Interval)}
	}
	if b := p.retryBudget; b != nil {
		c.Pool.RetryBudget = &plan.RetryBudget{Percent: 20, MinConcurrency: 3}
		if b.Percent != nil {
			c.Pool.RetryBudget.Percent = b.Percent.GetValue()
		}
		c.Pool.RetryBudget.Interval = duration(b.BudgetInterval)
		if b.MinRetryConcurrency != 0 {
			c.Pool.RetryBudget.MinConcurrency = b.MinRetryConcurrency
		}
	}
	if c.HTTP2 { // only where the service's port declares HTTP/2 (DR-CP-03)
		c.Pool.MaxConcurrentStreams = positive(http.GetMaxConcurrentStreams())
		if k := http.GetHttp2KeepAlive(); k != nil {
			c.Pool.HTTP2Keepalive = &plan.HTTP2Keepalive{Interval: duration(k.Interval), Timeout: duration(k.Timeout)}
		}
	}
	switch {
	case http.GetUseClientProtocol():
		c.ClientProtocol, c.HTTP2 = true, false
	case http.GetH2UpgradePolicy() == istio.ConnectionPoolSettings_HTTPSettings_UPGRADE:
		c.HTTP2 = true
	}
}

func positive(n int32) uint32 { return uint32(max(n, 0)) }

func optionalDuration(d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	v := d.AsDuration()
	return &v
}

// outliers sets the cluster's outlier detection (DR-OD-01 to DR-OD-03).
func (p trafficPolicy) outliers(c *plan.Cluster) {
	o := p.outlier
	if o == nil {
		return
	}
	c.Outlier = &plan.OutlierDetection{
		Consecutive5xx:     optionalNumber(o.Consecutive_5XxErrors),
		ConsecutiveGateway: optionalNumber(o.ConsecutiveGatewayErrors),
		SplitLocalOrigin:   o.SplitExternalLocalOriginErrors,
		Interval:           optionalDuration(o.Interval),
		BaseEjectionTime:   optionalDuration(o.BaseEjectionTime),
		MaxEjectionPercent: positive(o.MaxEjectionPercent),
		MinHealthPercent:   positive(o.MinHealthPercent),
		StatusCodes:        o.OutlierDetectionHttpErrorCodes,
	}
	if o.SplitExternalLocalOriginErrors && o.ConsecutiveLocalOriginFailures.GetValue() > 0 {
		c.Outlier.ConsecutiveLocalOrigin = optionalNumber(o.ConsecutiveLocalOriginFailures)
	}
}

func optionalNumber(v *wrapperspb.UInt32Value) *uint32 {
	if v == nil {
		return nil
	}
	n := v.GetValue()
	return &n
}
