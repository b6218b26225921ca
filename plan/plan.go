// Package plan is the model between the two halves of Waymark: what the translator worked out from Istio's resources, as
// data. What an outcome does to a request is in package effect, the filter's configuration is written by pluginconfig,
// Envoy's by envoy.
//
// Everything in a Plan is resolved: names are full, ports are numbers, rules stand in the order in which they are tried.
// Each part says where it comes from by an [Origin], and what was left out is a [Dropped].
//
// The hard case is the id of an outcome. It is a hash of what the outcome does, so that routes of an old and a new
// configuration can stand side by side; see [Rule.Seal].
package plan

import (
	"iter"
	"time"

	"waymark.dev/waymark/diag"
)

// Plan is all that the translator worked out for one proxy.
type Plan struct {
	Listeners []*Listener
	// Clusters are all destinations that a rule names and that exist, sorted by name.
	Clusters []*Cluster
	// Dropped are the rules and servers that no listener has, see also [RouteConfig.Dropped].
	Dropped []Dropped `json:",omitempty"`
}

// RouteConfigs are those of all chains that speak HTTP, in order.
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

// Rules are those of all virtual hosts, in order, each once: several servers may share one.
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
	// Name is Istio's: 0.0.0.0_8080.
	Name string
	Bind string // IP address
	Port uint32
	// Chains in order; the first whose server names fit takes the connection, the more specific name first.
	Chains []*FilterChain
}

// FilterChain serves the connections of a listener that name one of its servers, or all of them.
type FilterChain struct {
	// ServerNames are SNI host names, exact or "*.suffix". None: any, also without TLS.
	ServerNames []string
	// TLS says that the chain terminates TLS.
	TLS *ServerTLS
	// Passthrough says that the chain's TLS is not terminated; it has no HTTP routes then.
	Passthrough bool
	// Exactly one of Routes and TCP is set: the chain speaks HTTP, or forwards bytes.
	Routes *RouteConfig `json:",omitempty"`
	TCP    *TCPProxy    `json:",omitempty"`
}

// RouteConfig is one set of virtual hosts: one Envoy RouteConfiguration and one plugin configuration.
type RouteConfig struct {
	// Name is Istio's: http.8080 or https.443.https.gateway.namespace (GW-RDS-01); of a sidecar the port alone, 9080.
	Name string
	// Port is the declared port of the servers, or the port of the services.
	Port uint32
	// GRPCWeb says that clients speak gRPC-Web, which is made gRPC for the destinations.
	GRPCWeb      bool `json:",omitempty"`
	VirtualHosts []*VirtualHost
	// Dropped are the rules that are for other listeners, or that nothing can reach on this one.
	Dropped []Dropped `json:",omitempty"`
}

// VirtualHost holds the rules of one or more domains.
type VirtualHost struct {
	// Name is Istio's: host:port.
	Name    string
	Domains []string
	// RequireTLS answers plain requests with a redirect to https before any rule is looked at (GW-REDIR-01).
	RequireTLS bool
	Rules      []*Rule
}

// Rule is one (http rule, match) pair of a VirtualService: one of Istio's routes.
type Rule struct {
	// Origin is where the rule was written: http[] of a VirtualService, which may be a delegate, and one of its matches. A
	// rule that Istio makes itself has none, and is known by its name.
	Origin Origin
	// Root is the rule of the VirtualService that delegates to Origin's; the zero value where none does.
	Root Origin `json:",omitzero"`
	// Name is the user's, as Istio composes it from rule and match (VS-ORD-08). Mostly empty.
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

	// Outcomes are what may be chosen: one per destination with a weight, else one. Filled by [Rule.Seal].
	Outcomes []Outcome
}

// Outcome is what happens when a rule and one of its destinations were chosen. It becomes one Envoy route.
type Outcome struct {
	// ID is a hash of everything that the outcome does; it never changes its meaning.
	ID string
	// Destination is the index in RouteAction.Destinations, or -1.
	Destination int
	Weight      uint32

	sum [32]byte // the whole hash that ID is the beginning of
}

// Match holds the conditions of a rule, all of which must be met.
type Match struct {
	// Unconditional says that the rule was written without a match at all.
	Unconditional bool
	Path          PathMatch
	Headers       []HeaderMatch
	Query         []QueryMatch
	// Claims are conditions on a JWT, which only a proxy with a JWT filter can check: elsewhere a claim has no value
	// (VS-MATCH-22).
	Claims []ClaimMatch `json:",omitempty"`
}

// MatchKind says how a value is compared.
type MatchKind uint8

// The ways to compare. Present is no comparison of values: for a path it means any path.
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

// HeaderMatch compares a header or pseudo-header. Name is as written; names compare without regard to case.
type HeaderMatch struct {
	Name           string
	Kind           MatchKind
	Value          string
	Invert         bool
	MissingAsEmpty bool
}

// ClaimMatch compares a claim of the request's JWT, or one of its values where it is a list. Path leads to nested claims.
// Without a JWT no claim has a value: a condition is not met, an inverted one is.
type ClaimMatch struct {
	Path   []string
	Kind   MatchKind
	Value  string
	Invert bool
}

// QueryMatch compares the first query parameter of a name.
type QueryMatch struct {
	Name  string
	Kind  MatchKind
	Value string
}

// RouteAction sends the request to a destination.
type RouteAction struct {
	// Weighted says that the VirtualService named several destinations, even if only one has a weight (VS-SPLIT-06).
	Weighted     bool
	Destinations []Destination
	// Timeout 0 is none.
	Timeout time.Duration
	Retry   *RetryPolicy
	Mirrors []Mirror
	// HashPolicies of all destinations' DestinationRules, in order (VS-SPLIT-09).
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
	// The destination's own operations, only where the route is Weighted; else they are part of the rule's.
	RequestHeaders, ResponseHeaders HeaderOperations
	HostRewrite                     string
}

// RegexRewrite replaces all matches of Pattern by Substitution, in which \0 to \9 stand for groups.
type RegexRewrite struct{ Pattern, Substitution string }

// RetryPolicy says when a request is tried again.
type RetryPolicy struct {
	// On is Envoy's list of conditions, separated by commas.
	On string
	// Attempts are retries: one less than the tries in all.
	Attempts      uint32
	PerTryTimeout time.Duration // 0: none
	StatusCodes   []uint32
	BaseInterval  time.Duration // 0: Envoy's default, 25 ms
	// PreviousHosts avoids hosts that were tried already.
	PreviousHosts bool
	// RemoteLocalities prefers localities that were not tried yet.
	RemoteLocalities bool
}

// Mirror sends a copy of the request to a cluster, and drops the answer.
type Mirror struct {
	Cluster string
	// Numerator over Denominator is the share of requests that are mirrored. Denominator is 100 or 1,000,000.
	Numerator, Denominator uint32
}

// HashPolicy says from what consistent hashing takes its key. Exactly one field is set.
type HashPolicy struct {
	Header   string
	Cookie   *HashCookie
	SourceIP bool
	Query    string
}

// HashCookie is a cookie that holds the key. A TTL of nil: the cookie is only read, never set (DR-HASH-03).
type HashCookie struct {
	Name, Path string
	TTL        *time.Duration
	Attributes []HashCookieAttribute
}

// HashCookieAttribute is one attribute of a cookie that Envoy sets.
type HashCookieAttribute struct{ Name, Value string }

// Redirect answers with a Location.
type Redirect struct {
	Status uint32 // 301, 302, 303, 307 or 308
	// Path replaces the whole path (and query, where it has one); PrefixRewrite replaces the matched prefix. "" is none.
	Path, PrefixRewrite string
	Host                string
	Scheme              string
	Port                uint32 // 0: none
}

// DirectResponse answers by itself.
type DirectResponse struct {
	Status uint32
	Body   []byte
}

// HeaderOperations change headers: all removals first, then the additions in order (VS-HDR-03).
type HeaderOperations struct {
	Add    []HeaderAddition `json:",omitempty"`
	Remove []string         `json:",omitempty"`
}

// Empty says that there is nothing to do.
func (o HeaderOperations) Empty() bool { return len(o.Add) == 0 && len(o.Remove) == 0 }

// HeaderAddition sets (Overwrite) or appends a header line. Value may hold Envoy's command operators.
type HeaderAddition struct {
	Name, Value string
	Overwrite   bool
}

// Percentage is Numerator over Denominator (100 or 1,000,000).
type Percentage struct{ Numerator, Denominator uint32 }

// PerMillion is the percentage with the denominator 1,000,000, at most all of it.
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

// FaultDelay holds a share of the requests back.
type FaultDelay struct {
	Percentage Percentage
	Duration   time.Duration
}

// FaultAbort answers a share of the requests. GRPCStatus is used when IsGRPC.
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
	// AllowCredentialsSet says that the user wrote the field.
	AllowCredentialsSet bool
	// ForwardUnmatched sends a preflight of a foreign origin on to the destination.
	ForwardUnmatched bool
}

// OriginMatch compares the Origin header.
type OriginMatch struct {
	Kind  MatchKind
	Value string
}
