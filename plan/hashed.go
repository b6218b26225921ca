package plan

import "waymark.dev/waymark/diag"

// hashedRule is the form of a rule whose JSON is hashed for the id of an outcome. The id of an outcome that does the
// same must not change from one release to the next, since an upgrade would then change every route of every Envoy. So
// this form is not changed when [Rule] changes, and a new field must be omitted from the JSON while it is empty.
type hashedRule struct {
	VirtualService, Delegate string
	HTTP, MatchIndex         int
	Name                     string
	Source                   diag.Place // always empty
	Match                    hashedMatch
	Route                    *RouteAction
	Redirect                 *Redirect
	DirectResponse           *DirectResponse

	RequestHeaders, ResponseHeaders HeaderOperations

	Fault      *Fault // always nil: the route does not depend on it
	CORS       *hashedCORS
	StatPrefix string
	Outcomes   []Outcome // always nil
}

type hashedMatch struct {
	Unconditional bool
	Path          hashedPath
	Headers       []hashedHeader
	Query         []hashedQuery
	Claims        []hashedClaim `json:",omitempty"`
}

type hashedPath struct {
	Kind       uint8
	Value      string
	IgnoreCase bool
}

type hashedHeader struct {
	Name           string
	Kind           uint8
	Value          string
	Invert         bool
	MissingAsEmpty bool
}

type hashedClaim struct {
	Path   []string
	Kind   uint8
	Value  string
	Invert bool
}

type hashedQuery struct {
	Name  string
	Kind  uint8
	Value string
}

type hashedCORS struct {
	AllowOrigins                              []hashedOrigin
	AllowMethods, AllowHeaders, ExposeHeaders string
	MaxAge                                    string
	AllowCredentials                          bool
	AllowCredentialsSet                       bool
	ForwardUnmatched                          bool
}

type hashedOrigin struct {
	Kind  uint8
	Value string
}

// hashed returns the hashed form of a rule with one of its destinations, by index; -1 for a rule without a route.
func hashed(r *Rule, destination int) *hashedRule {
	out := &hashedRule{
		VirtualService: r.VirtualService(), MatchIndex: -1, Name: r.Name,
		Match: hashedMatch{Unconditional: r.Match.Unconditional, Path: hashedPath{uint8(r.Match.Path.Kind), r.Match.Path.Value, r.Match.Path.IgnoreCase}},
		Route: r.Route, Redirect: r.Redirect, DirectResponse: r.DirectResponse,
		RequestHeaders: r.RequestHeaders, ResponseHeaders: r.ResponseHeaders, StatPrefix: r.StatPrefix,
	}
	if out.VirtualService != "" {
		out.HTTP, out.MatchIndex = r.Origin.Path.Index, r.Origin.Path.Match
	}
	if r.Root.Kind != "" {
		out.Delegate = r.Origin.Key()
	}
	for _, h := range r.Match.Headers {
		out.Match.Headers = append(out.Match.Headers, hashedHeader{h.Name, uint8(h.Kind), h.Value, h.Invert, h.MissingAsEmpty})
	}
	for _, q := range r.Match.Query {
		out.Match.Query = append(out.Match.Query, hashedQuery{q.Name, uint8(q.Kind), q.Value})
	}
	for _, c := range r.Match.Claims {
		out.Match.Claims = append(out.Match.Claims, hashedClaim{c.Path, uint8(c.Kind), c.Value, c.Invert})
	}
	if c := r.CORS; c != nil {
		out.CORS = &hashedCORS{nil, c.AllowMethods, c.AllowHeaders, c.ExposeHeaders, c.MaxAge, c.AllowCredentials, c.AllowCredentialsSet, c.ForwardUnmatched}
		for _, o := range c.AllowOrigins {
			out.CORS.AllowOrigins = append(out.CORS.AllowOrigins, hashedOrigin{uint8(o.Kind), o.Value})
		}
	}
	if r.Route != nil {
		route := *r.Route
		chosen := route.Destinations[destination]
		chosen.Weight = 0
		route.Destinations = []Destination{chosen}
		out.Route = &route
	}
	return out
}
