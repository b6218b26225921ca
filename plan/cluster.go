package plan

import "time"

// Cluster is a destination as Envoy knows it.
type Cluster struct {
	// Name is Istio's name: outbound|9080|v1|reviews.default.svc.cluster.local.
	Name string
	// Rules are the DestinationRules from which the policy was made, as namespace/name.
	Rules     []string `json:",omitempty"`
	Discovery Discovery
	// Localities are the endpoints by locality, sorted by locality or, with failoverPriority, by priority.
	Localities []Locality
	// LocalityWeighted means that Envoy uses the weights of localities (DR-LOC-01).
	LocalityWeighted bool `json:",omitempty"`
	// LoadBalancing is how an endpoint is chosen.
	LoadBalancing LoadBalancing
	// RingSize is the minimum size of the ring of RingHash, TableSize the size of the table of Maglev; 0 is Envoy's
	// default.
	RingSize, TableSize uint64  `json:",omitempty"`
	Warmup              *Warmup `json:",omitempty"`
	// HTTP2 means that Envoy speaks HTTP/2 to the destination (without TLS: prior knowledge), ClientProtocol that it
	// speaks the protocol of the client's request (DR-CP-04).
	HTTP2, ClientProtocol bool
	Pool                  ConnectionPool
	Outlier               *OutlierDetection `json:",omitempty"`
	TLS                   *UpstreamTLS      `json:",omitempty"`
	// ProxyProtocol is the version of the PROXY protocol header that each connection begins with, 1 or 2; 0 is none.
	ProxyProtocol int `json:",omitempty"`
}

// Discovery is how Envoy finds a cluster's endpoints.
type Discovery uint8

// The kinds of discovery that Istio's resolution maps to (SE-02).
const (
	Static Discovery = iota
	StrictDNS
	LogicalDNS
	// OriginalDestination sends to the address that the client connected to.
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

// Locality is a group of endpoints in one place, with its priority and weight.
type Locality struct {
	// Region, Zone and SubZone are "" where unknown.
	Region, Zone, SubZone string `json:",omitempty"`
	// Priority 0 is used first; the next priority is used when too few endpoints of the one before are healthy.
	Priority uint32 `json:",omitempty"`
	// Weight is the share among localities of one priority; it is set only with LocalityWeighted.
	Weight    uint32 `json:",omitempty"`
	Endpoints []Endpoint
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	Address string // IP address, a path of a unix socket, or a DNS name where Discovery says so
	Port    uint32 // 0 for a unix socket
	Weight  uint32 // 0 counts as 1
}

// AllEndpoints returns the endpoints of all localities.
func (c *Cluster) AllEndpoints() []Endpoint {
	var out []Endpoint
	for _, l := range c.Localities {
		out = append(out, l.Endpoints...)
	}
	return out
}

// Warmup increases the requests to a new endpoint gradually (DR-LB-02).
type Warmup struct {
	Duration time.Duration
	// MinimumPercent is the percentage of its share at the beginning, Aggression the exponent of the growth; nil is
	// Envoy's default.
	MinimumPercent, Aggression *float64
}

// ConnectionPool limits connections and requests. 0 is no limit, unless the field has another default (DR-CP-01 to
// DR-CP-03).
type ConnectionPool struct {
	ConnectTimeout                                              time.Duration // 0: Istio's, 10 s
	MaxConnections, MaxPendingRequests, MaxRequests, MaxRetries uint32        `json:",omitempty"`
	RetryBudget                                                 *RetryBudget  `json:",omitempty"`
	// IdleTimeout closes connections without requests; nil is Envoy's default of one hour, 0 is never.
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
	// Interval is the time over which requests are counted; 0 counts only requests in progress.
	Interval time.Duration `json:",omitempty"`
}

// TCPKeepalive has the keepalive options of the socket; 0 is the operating system's default.
type TCPKeepalive struct {
	Probes         uint32
	Time, Interval time.Duration
}

// HTTP2Keepalive pings idle HTTP/2 connections.
type HTTP2Keepalive struct{ Interval, Timeout time.Duration }

// OutlierDetection stops sending requests to endpoints that fail (DR-OD-01, DR-OD-02). A field that is nil has Envoy's
// default.
type OutlierDetection struct {
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocalOrigin *uint32 `json:",omitempty"`
	SplitLocalOrigin                                           bool
	Interval, BaseEjectionTime                                 *time.Duration `json:",omitempty"`
	MaxEjectionPercent                                         uint32         // 0: Envoy's default of 10
	// MinHealthPercent is the percentage of healthy endpoints below which all endpoints are used; 0 is never.
	MinHealthPercent uint32
	// StatusCodes are the response statuses that count as errors; without any, 500 to 599.
	StatusCodes []uint32 `json:",omitempty"`
}

// UpstreamTLS encrypts the connections to a cluster (DR-TLS-01 to DR-TLS-03).
type UpstreamTLS struct {
	// Certificate is the proxy's client certificate; nil for none.
	Certificate *Credential `json:",omitempty"`
	// Authority verifies the server; nil for no verification.
	Authority *Credential `json:",omitempty"`
	// SNI is the name to send; "" sends the host of the request.
	SNI string
	// VerifyHost requires the server's certificate to have the name that was sent as SNI.
	VerifyHost bool
	// SubjectAltNames are the names of which the server's certificate must have one; without any, no name is required.
	SubjectAltNames []string `json:",omitempty"`
}
