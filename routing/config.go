package routing

// Version is the major version of the plugin configuration that this package reads. A document with another version is
// refused: every field has an effect on traffic, so an older reader could not safely skip any.
const Version = 1

// Config is the plugin configuration of one listener as it is written. The translator marshals it; [Compile] reads
// the JSON. Both sides are strict: a key that is not listed here is an error.
type Config struct {
	// Version must be [Version].
	Version int `json:"version"`
	// Requires names features that a reader must support in addition to the fields of the version, so that an older
	// module refuses the document with the names of the features that it lacks. See [Features].
	Requires []string `json:"requires,omitempty"`
	// Name is Istio's name of the route configuration, such as http.8080. It is only for people and logs.
	Name string `json:"name,omitempty"`
	// RepeatedHeaders is how a header that occurs several times is compared: "each" (the default; one matching value
	// suffices) as Envoy does from 1.39 on, or "joined" (the values joined by commas) as it did before.
	RepeatedHeaders string `json:"repeatedHeaders,omitempty"`
	// Programs are regular expressions as package regex compiled and marshalled them, each once. Regexes and Sets refer
	// to them by their index, and must come after them in the document.
	Programs [][]byte `json:"programs,omitempty"`
	// Regexes are the regular expressions, to which conditions refer by their index. They must come before
	// VirtualHosts.
	Regexes []Regex `json:"regexes,omitempty"`
	// Sets are groups of regular expressions that one automaton evaluates together. An expression is in one set at
	// most. Sets must come after Regexes and before VirtualHosts.
	Sets []RegexSet `json:"sets,omitempty"`
	// VirtualHosts are in any order; their domains must be distinct.
	VirtualHosts []VirtualHost `json:"virtualHosts"`
}

// The values of Config.RepeatedHeaders.
const (
	RepeatedHeadersEach   = "each"
	RepeatedHeadersJoined = "joined"
)

// Regex is a regular expression of RE2's dialect in two parts: a value matches when it begins with Prefix and Program
// matches the whole rest.
type Regex struct {
	// Pattern is the whole expression, for people; no decision reads it.
	Pattern string `json:"pattern"`
	Prefix  string `json:"prefix,omitempty"`
	// Contains and EndsWith are texts of 2, 4 or 8 bytes: every value that matches contains one of Contains or ends
	// with one of EndsWith. They narrow the search; a value that has one need not match. Both are absent if there are
	// no such texts, or if they are not needed.
	Contains []string `json:"contains,omitempty"`
	EndsWith []string `json:"endsWith,omitempty"`
	// Program is an index into Config.Programs.
	Program int `json:"program"`
}

// RegexSet is several expressions in one automaton, which reads a value once for all of them.
type RegexSet struct {
	// Regexes are indexes into Config.Regexes. The lists of the automaton have indexes into this list.
	Regexes []int `json:"regexes"`
	// Program is an index into Config.Programs, of an [Automaton] over whole values, prefixes included.
	Program int `json:"program"`
}

// VirtualHost holds the rules for a set of domains.
type VirtualHost struct {
	Name string `json:"name"`
	// Domains are lower-case host names without port: exact ("a.example.com"), suffix ("*.example.com", "*-a.test") or
	// "*" for every host that no other domain matches.
	Domains []string `json:"domains"`
	// Rules are in the order in which they are tried.
	Rules []Rule `json:"rules"`
}

// Rule is one match of one http rule of a VirtualService. All its conditions must be met. A rule without conditions
// matches every request.
type Rule struct {
	// Name is the rule's place in its VirtualService, such as default/reviews.http[0].match[1].
	Name string `json:"rule"`
	// Path is compared with the path before the first "?" or "#". Without it, any path matches.
	Path *PathMatch `json:"path,omitempty"`
	// Headers include the pseudo-headers :method, :scheme, :authority and :path.
	Headers []HeaderMatch `json:"headers,omitempty"`
	// Query has conditions on query parameters. They are compared without decoding, and only the first one of a name.
	Query []QueryMatch `json:"query,omitempty"`
	// Outcome is the id that the decision carries. Exactly one of Outcome and Split is given.
	Outcome string `json:"outcome,omitempty"`
	// Split chooses one of several outcomes at random.
	Split []Share `json:"split,omitempty"`
	Fault *Fault  `json:"fault,omitempty"`
	// Never is set for a rule that no request matches, because it requires claims of a JWT, which the filter does not
	// read. The rule stays in the list, since decisions refer to rules by their index.
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
	// Separated is a prefix that ends at the end of a segment: "/api" matches /api and /api/x, not /apix (VS-MATCH-06).
	Separated *string `json:"separated,omitempty"`
	// IgnoreCase ignores the case of ASCII letters; it has no effect on Regex (VS-MATCH-10).
	IgnoreCase bool `json:"ignoreCase,omitempty"`
}

// HeaderMatch is a condition on a header. Without Exact, Prefix and Regex it requires that the header is present.
type HeaderMatch struct {
	Name string `json:"name"`
	StringMatch
	// Invert negates the condition. A condition on the value is not met by an absent header all the same, unless
	// MissingAsEmpty is set.
	Invert bool `json:"invert,omitempty"`
	// MissingAsEmpty compares "" when the header is absent (VS-MATCH-19). Not allowed with a presence test.
	MissingAsEmpty bool `json:"missingAsEmpty,omitempty"`
}

// QueryMatch is a condition on a query parameter. Without Exact, Prefix and Regex it requires that the parameter is
// present.
type QueryMatch struct {
	Name string `json:"name"`
	StringMatch
}

// Share is one outcome of a split. It is chosen with the probability Weight / (sum of all weights).
type Share struct {
	Outcome string `json:"outcome"`
	Weight  uint32 `json:"weight"`
}

// Fault is injected by Envoy's fault filter for the requests that a decision chooses at random. Delay and abort are
// chosen independently of each other (VS-FAULT-06).
type Fault struct {
	Delay *Delay `json:"delay,omitempty"`
	Abort *Abort `json:"abort,omitempty"`
}

// Delay holds a request back.
type Delay struct {
	// Milliseconds is the duration, at least 1.
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
