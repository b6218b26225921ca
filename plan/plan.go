// Package plan is the model between the two halves of Waymark: the result of translating Istio's resources, as data.
// Package pluginconfig writes the filter's configuration from it, package envoy writes Envoy's, and package effect
// computes what an outcome does to a request.
//
// Everything in a Plan is resolved: names are full, ports are numbers, rules are in the order in which they are tried.
// Each part has an [Origin] in the resources, and what was left out is recorded as [Dropped].
//
// The hard case is the id of an outcome. It is a hash of what the outcome does, so that routes of an old and a new
// configuration can stand side by side; see [Rule.Seal].
package plan

import (
	"iter"
	"slices"
	"time"

	"waymark.dev/waymark/diag"
)

// Plan is the result of translating Istio's resources for one proxy.
type Plan struct {
	Listeners []*Listener
	// Clusters are all destinations that a rule names and that exist, sorted by name; with a sidecar's AllowAny, after
	// the one for unknown hosts.
	Clusters []*Cluster
	// Dropped is what no listener has. What only one listener does not have is in [RouteConfig.Dropped].
	Dropped []Dropped `json:",omitempty"`
}

// RouteConfigs visits the route configurations of all chains that speak HTTP, in order.
func (p *Plan) RouteConfigs() iter.Seq[*RouteConfig] {
	return func(yield func(*RouteConfig) bool) {
		for _, l := range p.Listeners {
			for _, c := range l.Chains {
				if c.Routes != nil && !yield(c.Routes) {
					return
				}
			}
		}
	}
}

// ClosesConnections reports whether a server has no usable certificate.
func (p *Plan) ClosesConnections() bool {
	return slices.ContainsFunc(p.Listeners, func(l *Listener) bool {
		return slices.ContainsFunc(l.Chains, func(c *FilterChain) bool { return c.TLS != nil && c.TLS.Unusable })
	})
}

// Rules visits the rules of all virtual hosts, in order, each once, also if several virtual hosts have it.
func (p *Plan) Rules() iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		seen := map[*Rule]bool{}
		for rc := range p.RouteConfigs() {
			for _, h := range rc.VirtualHosts {
				for _, r := range h.Rules {
					if seen[r] {
						continue
					}
					seen[r] = true
					if !yield(r) {
						return
					}
				}
			}
		}
	}
}

// Listener is one address that Envoy binds.
type Listener struct {
	// Proxy is the proxy that listens, if the plan joins the plans of several; otherwise "".
	Proxy string `json:",omitempty"`
	// Name is Istio's name: 0.0.0.0_8080.
	Name string
	Bind string // IP address
	Port uint32
	// Chains are in the order of the servers. Envoy gives a connection to the chain with the most specific matching
	// server name; no two chains match the same connections.
	Chains []*FilterChain
}

// FilterChain serves the connections of a listener whose SNI is one of its server names; without server names, all
// others.
type FilterChain struct {
	// ServerNames are SNI host names, exact or "*.suffix". Without any, the chain matches every connection, also
	// without TLS.
	ServerNames []string
	// TLS has the settings with which the chain terminates TLS; nil where it does not.
	TLS *ServerTLS
	// Passthrough means that TLS is forwarded without being terminated; the chain has TCP set then.
	Passthrough bool
	// Gateways are the Gateways whose servers the chain serves, as namespace/name; none for a sidecar.
	Gateways []string `json:",omitempty"`
	// Exactly one of Routes and TCP is set: the chain speaks HTTP, or forwards bytes.
	Routes *RouteConfig `json:",omitempty"`
	TCP    *TCPProxy    `json:",omitempty"`
}

// RouteConfig is one set of virtual hosts: one Envoy RouteConfiguration and one plugin configuration.
type RouteConfig struct {
	// Name is Istio's name: http.8080 or https.443.https.gateway.namespace (GW-RDS-01); for a sidecar the port, 9080.
	Name string
	// Port is the declared port of the servers, or the port of the services.
	Port uint32
	// GRPCWeb means that clients speak gRPC-Web, which Envoy converts to gRPC for the destinations.
	GRPCWeb      bool `json:",omitempty"`
	VirtualHosts []*VirtualHost
	// Dropped are the rules that are for other listeners, or that no request can reach on this one.
	Dropped []Dropped `json:",omitempty"`
}

// VirtualHost holds the rules of one or more domains.
type VirtualHost struct {
	// Name is Istio's name: host:port.
	Name    string
	Domains []string
	// RequireTLS answers plain requests with a redirect to https, before any rule is tried (GW-REDIR-01).
	RequireTLS bool
	Rules      []*Rule
}

// Rule is one (http rule, match) pair of a VirtualService: one of Istio's routes.
type Rule struct {
	// Origin is where the rule was written: an entry of http[] in a VirtualService, which may be a delegate, and one of
	// its matches. A rule that Istio generates itself has the zero value, and is identified by its name.
	Origin Origin
	// Root is the rule that delegates to the VirtualService of Origin; the zero value if Origin is not in a delegate.
	Root Origin `json:",omitzero"`
	// Name is composed of the names that the user gave to rule and match, as in Istio (VS-ORD-08); often "".
	Name   string
	Source diag.Place

	Match Match
	// Exactly one of Route, Redirect and DirectResponse is set.
	Route          *RouteAction
	Redirect       *Redirect
	DirectResponse *DirectResponse

	RequestHeaders, ResponseHeaders HeaderOperations

	Fault *Fault
	CORS  *CORSPolicy
	// StatPrefix makes Envoy keep statistics of the route.
	StatPrefix string

	// Outcomes are the possible results of the rule: one for each destination of a weighted split, else one.
	// [Rule.Seal] sets them.
	Outcomes []Outcome
}

// Outcome is what happens to a request when a rule and one of its destinations were chosen. It becomes one Envoy route.
type Outcome struct {
	// ID is a hash of everything that the outcome does, so an ID always has the same meaning; see [Rule.Seal].
	ID string
	// Destination is the index in RouteAction.Destinations, or -1.
	Destination int
	Weight      uint32

	sum [32]byte // the whole hash; ID is made from its beginning
}

// Match holds the conditions of a rule, all of which must be met.
type Match struct {
	// Unconditional means that the rule was written without a match.
	Unconditional bool
	Path          PathMatch
	Headers       []HeaderMatch
	Query         []QueryMatch
	// Claims are conditions on claims of a JWT, which only a proxy with a JWT filter can check: without one, claims
	// have no value (VS-MATCH-22).
	Claims []ClaimMatch `json:",omitempty"`
}

// MatchKind is how a value is compared.
type MatchKind uint8

// The kinds of comparison. Present means that there is a value, whatever it is: for a path, any path.
const (
	Present MatchKind = iota
	Exact
	Prefix
	Separated // a path prefix that ends at a segment border
	Regex     // the whole value
)

// PathMatch compares the path without query.
type PathMatch struct {
	Kind       MatchKind
	Value      string
	IgnoreCase bool
}

// HeaderMatch compares a header or pseudo-header. Name is as the user wrote it; names are compared without regard to
// case. Invert negates the condition. With MissingAsEmpty, an absent header is compared as an empty value.
type HeaderMatch struct {
	Name           string
	Kind           MatchKind
	Value          string
	Invert         bool
	MissingAsEmpty bool
}

// ClaimMatch compares a claim of the request's JWT, or the values of a claim that is a list, one of which must match.
// Path has the names of nested claims, outermost first. Without a JWT, a condition is not met, and an inverted one is.
type ClaimMatch struct {
	Path   []string
	Kind   MatchKind
	Value  string
	Invert bool
}

// QueryMatch compares the first query parameter with a name.
type QueryMatch struct {
	Name  string
	Kind  MatchKind
	Value string
}

// RouteAction sends the request to a destination.
type RouteAction struct {
	// Weighted means that the VirtualService names several destinations, also if only one has a weight (VS-SPLIT-06).
	Weighted     bool
	Destinations []Destination
	// Timeout of the whole request with its retries; 0 is none.
	Timeout time.Duration
	Retry   *RetryPolicy
	Mirrors []Mirror
	// HashPolicies are those of all destinations' DestinationRules, in order (VS-SPLIT-09).
	HashPolicies []HashPolicy

	// PrefixRewrite replaces the matched part of the path; "" is none (VS-RW-01).
	PrefixRewrite string
	RegexRewrite  *RegexRewrite
	// HostRewrite is the new authority; "" is none.
	HostRewrite string
}

// Destination is one cluster of a split.
type Destination struct {
	Cluster string
	Weight  uint32
	// The destination's own operations, if the route is Weighted; otherwise they are among the rule's.
	RequestHeaders, ResponseHeaders HeaderOperations
	HostRewrite                     string
}

// IsExecuted reports whether Envoy can answer with the status of the redirect. Istio accepts others (VS-RED-08); a rule
// with one answers 503.
func (r *Redirect) IsExecuted() bool {
	return slices.Contains([]uint32{301, 302, 303, 307, 308}, r.Status)
}

// RegexRewrite replaces all matches of Pattern by Substitution, in which \0 to \9 are replaced by groups of the match.
type RegexRewrite struct{ Pattern, Substitution string }

// RetryPolicy decides when a request is tried again.
type RetryPolicy struct {
	// On is Envoy's list of conditions, separated by commas.
	On string
	// Attempts is the number of retries after the first try.
	Attempts      uint32
	PerTryTimeout time.Duration // 0: none
	StatusCodes   []uint32
	BaseInterval  time.Duration // 0: Envoy's default, 25 ms
	// PreviousHosts makes retries avoid endpoints that were tried.
	PreviousHosts bool
	// RemoteLocalities makes retries prefer localities that were not tried.
	RemoteLocalities bool
}

// Mirror sends a copy of the request to a cluster, and discards the response.
type Mirror struct {
	Cluster string
	// Numerator over Denominator is the share of requests that are mirrored. Denominator is 100 or 1,000,000.
	Numerator, Denominator uint32
}

// HashPolicy is the part of a request that consistent hashing uses as its key. At most one field is set.
type HashPolicy struct {
	Header   string
	Cookie   *HashCookie
	SourceIP bool
	Query    string
}

// HashCookie is a cookie whose value is the key. With a TTL of nil, Envoy reads the cookie and never sets it
// (DR-HASH-03).
type HashCookie struct {
	Name, Path string
	TTL        *time.Duration
	Attributes []HashCookieAttribute
}

// HashCookieAttribute is one attribute of a cookie that Envoy sets.
type HashCookieAttribute struct{ Name, Value string }

// Redirect answers a request with a redirect. A field that is "" keeps the part of the request.
type Redirect struct {
	Status uint32 // 301, 302, 303, 307 or 308
	// Path replaces the whole path, and the query if it contains one; PrefixRewrite replaces the matched prefix.
	Path, PrefixRewrite string
	Host                string
	Scheme              string
	Port                uint32 // 0: none
}

// DirectResponse answers a request without a destination.
type DirectResponse struct {
	Status uint32
	Body   []byte
}

// HeaderOperations change headers: all removals first, then the additions in order (VS-HDR-03).
type HeaderOperations struct {
	Add    []HeaderAddition `json:",omitempty"`
	Remove []string         `json:",omitempty"`
}

// Empty reports whether there are no operations.
func (o HeaderOperations) Empty() bool { return len(o.Add) == 0 && len(o.Remove) == 0 }

// HeaderAddition sets (Overwrite) or appends a header. Value may contain Envoy's command operators, such as
// %REQ(name)%.
type HeaderAddition struct {
	Name, Value string
	Overwrite   bool
}

// Percentage is Numerator over Denominator (100 or 1,000,000).
type Percentage struct{ Numerator, Denominator uint32 }

// PerMillion is the numerator for the denominator 1,000,000; at most 1,000,000.
func (p Percentage) PerMillion() uint32 {
	n := uint64(p.Numerator)
	if p.Denominator == 100 {
		n *= 10_000
	}
	return uint32(min(n, 1_000_000))
}

// Fault delays or aborts requests.
type Fault struct {
	Delay *FaultDelay
	Abort *FaultAbort
}

// FaultDelay delays a share of the requests.
type FaultDelay struct {
	Percentage Percentage
	Duration   time.Duration
}

// FaultAbort answers a share of the requests with GRPCStatus if IsGRPC, else with HTTPStatus.
type FaultAbort struct {
	Percentage Percentage
	HTTPStatus uint32
	GRPCStatus uint32
	IsGRPC     bool
}

// CORSPolicy is what Envoy's CORS filter does on a route.
type CORSPolicy struct {
	AllowOrigins                              []OriginMatch
	AllowMethods, AllowHeaders, ExposeHeaders string // joined by commas; "" is none
	MaxAge                                    string // seconds; "" is none
	AllowCredentials                          bool
	// AllowCredentialsSet means that the VirtualService sets allowCredentials.
	AllowCredentialsSet bool
	// ForwardUnmatched forwards a preflight from an origin that is not allowed to the destination.
	ForwardUnmatched bool
}

// OriginMatch compares the Origin header.
type OriginMatch struct {
	Kind  MatchKind
	Value string
}
