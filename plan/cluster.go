package plan

import "time"

// Cluster is a destination as Envoy knows it.
type Cluster struct {
	// Name is Istio's: outbound|9080|v1|reviews.default.svc.cluster.local.
	Name string
	// Rules are the DestinationRules that its policy comes from, as namespace/name.
	Rules     []string `json:",omitempty"`
	Discovery Discovery
	// Localities hold the endpoints, in order.
	Localities []Locality
	// LocalityWeighted says that the weights of localities count (DR-LOC-01).
	LocalityWeighted bool `json:",omitempty"`
	// LoadBalancing is how an endpoint is chosen.
	LoadBalancing LoadBalancing
	// RingSize is the smallest ring of RingHash, TableSize the table of Maglev; 0 is Envoy's default.
	RingSize, TableSize uint64  `json:",omitempty"`
	Warmup              *Warmup `json:",omitempty"`
	// HTTP2 says that the destination speaks HTTP/2 (without TLS: prior knowledge). ClientProtocol: whatever the client
	// speaks (DR-CP-04).
	HTTP2, ClientProtocol bool
	Pool                  ConnectionPool
	Outlier               *OutlierDetection `json:",omitempty"`
	TLS                   *UpstreamTLS      `json:",omitempty"`
	// ProxyProtocol is the version to begin connections with; 0 is none.
	ProxyProtocol int `json:",omitempty"`
}

// Discovery says where a cluster's endpoints come from.
type Discovery uint8

// The kinds of discovery that Istio's resolution maps to (SE-02).
const (
	Static Discovery = iota
	StrictDNS
	LogicalDNS
	// OriginalDestination sends to the address that the client meant.
	OriginalDestination
)

// LoadBalancing names the policy of a cluster.
type LoadBalancing uint8

// Istio's load balancers (DR-LB-01, DR-HASH-01).
const (
	LeastRequest LoadBalancing = iota
	RoundRobin
	Random
	RingHash
	Maglev
)

// Locality is where a group of endpoints is, with what decides between groups.
type Locality struct {
	// Region, Zone and SubZone are "" where unknown.
	Region, Zone, SubZone string `json:",omitempty"`
	// Priority 0 is used first; the next one when too few of its endpoints are healthy.
	Priority uint32 `json:",omitempty"`
	// Weight between localities of one priority; 0: by the weights of the endpoints.
	Weight    uint32 `json:",omitempty"`
	Endpoints []Endpoint
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	Address string // IP address, a path of a unix socket, or a DNS name where Discovery says so
	Port    uint32 // 0 for a unix socket
	Weight  uint32 // 0 counts as 1
}

// AllEndpoints are the endpoints of all localities.
func (c *Cluster) AllEndpoints() []Endpoint {
	var out []Endpoint
	for _, l := range c.Localities {
		out = append(out, l.Endpoints...)
	}
	return out
}

// Warmup sends a new endpoint less at first (DR-LB-02).
type Warmup struct {
	Duration time.Duration
	// MinimumPercent of its share to begin with, and the exponent of the growth; nil is Envoy's default.
	MinimumPercent, Aggression *float64
}

// ConnectionPool bounds connections and requests. 0 is no limit, or the default of the field (DR-CP-01 to DR-CP-03).
type ConnectionPool struct {
	ConnectTimeout                                              time.Duration // 0: Istio's, 10 s
	MaxConnections, MaxPendingRequests, MaxRequests, MaxRetries uint32        `json:",omitempty"`
	RetryBudget                                                 *RetryBudget  `json:",omitempty"`
	// IdleTimeout closes connections without requests; nil is Envoy's hour, 0 never.
	IdleTimeout              *time.Duration  `json:",omitempty"`
	MaxConnectionDuration    *time.Duration  `json:",omitempty"`
	MaxRequestsPerConnection uint32          `json:",omitempty"`
	MaxConcurrentStreams     uint32          `json:",omitempty"` // HTTP/2 only
	Keepalive                *TCPKeepalive   `json:",omitempty"`
	HTTP2Keepalive           *HTTP2Keepalive `json:",omitempty"`
}

// RetryBudget limits retries to a share of the requests (DR-CP-05).
type RetryBudget struct {
	Percent        float64
	MinConcurrency uint32
	// Interval over which requests are counted; 0: those that are under way.
	Interval time.Duration `json:",omitempty"`
}

// TCPKeepalive is the socket's own; 0 is the system's default.
type TCPKeepalive struct {
	Probes         uint32
	Time, Interval time.Duration
}

// HTTP2Keepalive pings idle HTTP/2 connections.
type HTTP2Keepalive struct{ Interval, Timeout time.Duration }

// OutlierDetection takes endpoints out that fail (DR-OD-01, DR-OD-02). nil is Envoy's default of a field.
type OutlierDetection struct {
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocalOrigin *uint32 `json:",omitempty"`
	SplitLocalOrigin                                           bool
	Interval, BaseEjectionTime                                 *time.Duration `json:",omitempty"`
	MaxEjectionPercent                                         uint32         // 0: Envoy's default of 10
	// MinHealthPercent: below it, all endpoints are used, healthy or not. 0 is never.
	MinHealthPercent uint32
	// StatusCodes are those that count as errors; none: 500 to 599.
	StatusCodes []uint32 `json:",omitempty"`
}

// UpstreamTLS encrypts the connections to a cluster (DR-TLS-01 to DR-TLS-03).
type UpstreamTLS struct {
	// Certificate is the client's own; nil for none.
	Certificate *Credential `json:",omitempty"`
	// Authority verifies the server; nil for no verification.
	Authority *Credential `json:",omitempty"`
	// SNI is sent as it is; "" sends the host of the request.
	SNI string
	// VerifyHost checks that the server's certificate has the name that was sent as SNI.
	VerifyHost bool
	// SubjectAltNames are the names of which the certificate must have one; none: any.
	SubjectAltNames []string `json:",omitempty"`
}
