package routing

// Version is the major version of the plugin configuration that this package reads. A document with another one is
// refused: every field has a meaning for traffic, so there is no field that an older reader could safely skip.
const Version = 1

// Config is the plugin configuration of one listener as it is written. The translator marshals it; [Compile] reads
// the JSON. Both sides are strict: a key that is not listed here is an error.
type Config struct {
	// Version must be [Version].
	Version int `json:"version"`
	// Requires names what a reader must know beside the fields of its version, so that an older module, which would not know
	// what a document means, refuses it and names what it lacks. See [Features].
	Requires []string `json:"requires,omitempty"`
	// Name says which route configuration this is (Istio's name, such as http.8080). Only for people and logs.
	Name string `json:"name,omitempty"`
	// RepeatedHeaders says how a header that occurs several times is compared: "each" (the default; one matching value
	// suffices) as Envoy does from 1.39 on, or "joined" (the values joined by commas) as it did before.
	RepeatedHeaders string `json:"repeatedHeaders,omitempty"`
	// Programs are what package regex made of regular expressions, marshalled, each once; Regexes and Sets name them by
	// their index and stand after them.
	Programs [][]byte `json:"programs,omitempty"`
	// Regexes are the regular expressions that conditions name by their index. They stand before VirtualHosts.
	Regexes []Regex `json:"regexes,omitempty"`
	// Sets are groups of regular expressions that are asked all at once. An expression is in one at most. They stand
	// after Regexes and before VirtualHosts.
	Sets []RegexSet `json:"sets,omitempty"`
	// VirtualHosts in any order; their domains must be distinct.
	VirtualHosts []VirtualHost `json:"virtualHosts"`
}

// The values of Config.RepeatedHeaders.
const (
	RepeatedHeadersEach   = "each"
	RepeatedHeadersJoined = "joined"
)

// Regex is a regular expression of RE2's dialect, taken apart: a value matches when it begins with Prefix and Program
// takes the whole rest.
type Regex struct {
	// Pattern is for people.
	Pattern string `json:"pattern"`
	Prefix  string `json:"prefix,omitempty"`
	// A value that matches has one of Contains in it, or ends with one of EndsWith: texts of 2, 4 or 8 bytes, which tell
	// the expression from others. Both absent: there are none, or they are not needed. They narrow the search and do not
	// decide.
	Contains []string `json:"contains,omitempty"`
	EndsWith []string `json:"endsWith,omitempty"`
	// Program is an index into Config.Programs.
	Program int `json:"program"`
}

// RegexSet is several expressions in one automaton, which reads a value once for all of them.
type RegexSet struct {
	// Regexes are indexes into Config.Regexes. The automaton names them by their place in here.
	Regexes []int `json:"regexes"`
	// Program is an index into Config.Programs, of an [Automaton] over whole values, prefixes included.
	Program int `json:"program"`
}

// VirtualHost holds the rules for a set of domains.
type VirtualHost struct {
	Name string `json:"name"`
	// Domains are lower-case host names without port: exact ("a.example.com"), suffix ("*.example.com", "*-a.test") or
	// "*" for every host that no other domain takes.
	Domains []string `json:"domains"`
	// Rules in the order in which they are tried.
	Rules []Rule `json:"rules"`
}

// Rule is one (http rule, match) pair. All its conditions must hold. A rule without conditions matches everything.
type Rule struct {
	// Name is where the rule comes from, such as default/reviews.http[0].match[1].
	Name string `json:"rule"`
	// Path is compared with the path before the first "?" or "#". Absent: any path.
	Path *PathMatch `json:"path,omitempty"`
	// Headers include the pseudo-headers :method, :scheme, :authority and :path.
	Headers []HeaderMatch `json:"headers,omitempty"`
	// Query parameters are compared raw, the first of a name only.
	Query []QueryMatch `json:"query,omitempty"`
	// Outcome is the id that the decision carries. Exactly one of Outcome and Split is given.
	Outcome string `json:"outcome,omitempty"`
	// Split throws a die between several outcomes.
	Split []Share `json:"split,omitempty"`
	Fault *Fault  `json:"fault,omitempty"`
	// Never says that no request meets the rule, since it asks for what no request has here: claims of a JWT. It keeps
	// its place, because rules are known by their place.
	Never bool `json:"never,omitempty"`
}

// StringMatch has at most one of its fields set.
type StringMatch struct {
	Exact  *string `json:"exact,omitempty"`
	Prefix *string `json:"prefix,omitempty"`
	// Regex is an index into Config.Regexes; the expression must match the whole value.
	Regex *int `json:"regex,omitempty"`
}

// PathMatch has exactly one of Exact, Prefix, Separated and Regex set.
type PathMatch struct {
	StringMatch
	// Separated is a prefix that ends at a segment border: "/api" takes /api and /api/x, not /apix (VS-MATCH-06).
	Separated *string `json:"separated,omitempty"`
	// IgnoreCase folds ASCII letters; it has no effect on Regex (VS-MATCH-10).
	IgnoreCase bool `json:"ignoreCase,omitempty"`
}

// HeaderMatch without Exact, Prefix and Regex asks for presence.
type HeaderMatch struct {
	Name string `json:"name"`
	StringMatch
	// Invert turns the result round, except that a value matcher never matches an absent header unless MissingAsEmpty.
	Invert bool `json:"invert,omitempty"`
	// MissingAsEmpty compares "" when the header is absent (VS-MATCH-19). Not allowed with a presence test.
	MissingAsEmpty bool `json:"missingAsEmpty,omitempty"`
}

// QueryMatch without Exact, Prefix and Regex asks for presence.
type QueryMatch struct {
	Name string `json:"name"`
	StringMatch
}

// Share is one destination of a split. It is taken with probability Weight / (sum of all weights).
type Share struct {
	Outcome string `json:"outcome"`
	Weight  uint32 `json:"weight"`
}

// Fault is injected by Envoy's fault filter; the die is thrown here. Delay and abort are drawn independently
// (VS-FAULT-06).
type Fault struct {
	Delay *Delay `json:"delay,omitempty"`
	Abort *Abort `json:"abort,omitempty"`
}

// Delay holds a request back.
type Delay struct {
	// Milliseconds, at least 1.
	Milliseconds uint32 `json:"ms"`
	// PerMillion is the share of requests that are delayed, 0 to 1,000,000.
	PerMillion uint32 `json:"perMillion"`
}

// Abort answers a request instead of its destination. Exactly one of HTTPStatus (200 to 600) and GRPCStatus (0 to 16)
// is given.
type Abort struct {
	HTTPStatus *uint32 `json:"httpStatus,omitempty"`
	GRPCStatus *uint32 `json:"grpcStatus,omitempty"`
	// PerMillion is the share of requests that are aborted, 0 to 1,000,000.
	PerMillion uint32 `json:"perMillion"`
}
