package verdict

import (
	"strings"

	"waymark.dev/waymark/plan"
)

// Passage is a way past a rule that denies: a path that a destination may read as the denied one, and that Envoy sends to
// it by another rule.
type Passage struct {
	// Denied is the rule that is passed, By the rule that takes the request instead.
	Denied, By *plan.Rule
	// Authority and Path are what a client sends, Forwarded is the path that the destination gets before rewrites.
	Authority, Path, Forwarded string
	// Unmet says that no request meets the rule as it is written: Envoy has its path as Forwarded.
	Unmet bool
	// Parameters says that the path is only read as the denied one by what drops the parameters of a segment (";a=b").
	Parameters bool
}

// Passages are the ways past all rules that deny a path: those that answer with 400 or more, redirect, or abort every
// request. Of each rule there is at most one with parameters and one without; of a redirect, which seldom keeps anybody out,
// only one without: no setting of Envoy closes those with parameters.
//
// A spelling counts where the rule takes the plain path and another rule forwards the spelling. For a rule about
// "/admin" on a proxy that does not merge slashes, //admin is one: many servers read both alike.
//
// Of more than [MostDenying] rules the rest is not looked at, and all is false.
func (j *Judge) Passages() (out []Passage, all bool) {
	looked := 0
	seen := map[*plan.Rule]map[bool]bool{} // by parameters
	for _, l := range j.plan.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				for _, r := range h.Rules {
					if !denies(r) {
						continue
					}
					if seen[r] == nil {
						seen[r] = map[bool]bool{}
						if looked++; looked > MostDenying {
							return out, false
						}
					}
					for _, p := range j.passagesOf(l, c, h, r) {
						if !seen[r][p.Parameters] {
							seen[r][p.Parameters] = true
							out = append(out, p)
						}
					}
				}
			}
		}
	}
	return out, true
}

// MostDenying bounds the rules that [Judge.Passages] looks at: each takes a score of decisions.
const MostDenying = 2000

// AnyDenies says whether a plan has a rule that could be passed.
func AnyDenies(p *plan.Plan) bool {
	for r := range p.Rules() {
		if denies(r) {
			return true
		}
	}
	return false
}

// denies says that a rule keeps every request from its destinations.
func denies(r *plan.Rule) bool {
	switch {
	case r.Redirect != nil:
		return true
	case r.DirectResponse != nil:
		return r.DirectResponse.Status >= 400
	default:
		return r.Fault != nil && r.Fault.Abort != nil && r.Fault.Abort.Percentage.PerMillion() == 1_000_000
	}
}

func (j *Judge) passagesOf(l *plan.Listener, c *plan.FilterChain, h *plan.VirtualHost, r *plan.Rule) []Passage {
	path := r.Match.Path.Value
	if r.Match.Path.Kind == plan.Present || r.Match.Path.Kind == plan.Regex || len(path) < 2 || path[0] != '/' {
		return nil
	}
	ask, ok := witness(l, c, h, r)
	if !ok {
		return nil
	}
	ask.Path = path
	if v := j.Decide(ask); v.rule != r {
		if v.Kind == Route && v.NormalizedPath != path && !denies(v.rule) {
			return []Passage{{Denied: r, By: v.rule, Authority: ask.Authority, Path: path, Forwarded: v.NormalizedPath, Unmet: true}}
		}
		return nil // it has conditions that the request does not meet, or an earlier rule takes it
	}
	var out []Passage
	found := map[bool]bool{} // by parameters
	for _, s := range spellings(path) {
		if found[strings.Contains(s, ";")] || r.Redirect != nil && strings.Contains(s, ";") {
			continue
		}
		ask.Path = s
		if v := j.Decide(ask); v.Kind == Route && v.rule != r && !denies(v.rule) {
			found[strings.Contains(s, ";")] = true
			out = append(out, Passage{Denied: r, By: v.rule, Authority: ask.Authority, Path: s, Forwarded: v.NormalizedPath, Parameters: strings.Contains(s, ";")})
		}
	}
	return out
}

// witness is a request that meets a rule's conditions apart from the path, as far as texts say what they are.
func witness(l *plan.Listener, c *plan.FilterChain, h *plan.VirtualHost, r *plan.Rule) (Request, bool) {
	q := Request{GatewayPort: l.Port, Method: "GET", Headers: map[string]Values{}}
	if len(h.Domains) == 0 {
		return q, false
	}
	q.Authority = strings.Replace(h.Domains[0], "*", "any", 1)
	if c.TLS != nil {
		q.TLS, q.SNI = true, q.Authority
		if len(c.ServerNames) > 0 {
			q.SNI = strings.Replace(c.ServerNames[0], "*", "any", 1)
		}
	}
	for _, m := range r.Match.Headers {
		if m.Invert {
			continue
		}
		switch name := strings.ToLower(m.Name); {
		case m.Kind == plan.Regex:
			return q, false
		case name == ":method":
			q.Method = m.Value
		case name == ":scheme":
			q.Scheme = m.Value
		case !strings.HasPrefix(name, ":"):
			q.Headers[name] = Values{m.Value}
		}
	}
	return q, len(r.Match.Query) == 0
}

// spellings of a path that servers may read as the path itself: after slashes were merged or decoded, dot segments
// resolved, or parameters dropped.
func spellings(path string) []string {
	rest := path[1:]
	out := []string{
		"/" + path, `/\` + rest, "/%2f" + rest, "/%5c" + rest, "/./" + rest, "/x/.." + path, "/x/%2e%2e" + path, "/x/..%2f" + rest, "/x%2f.." + path,
		"/%" + hex(rest[0]) + rest[1:],
	}
	for i := 1; i < len(path)-1; i++ {
		if path[i] == '/' {
			for _, slash := range []string{"//", "%2f", "%5c", `\`, "/./", "/x/../"} {
				out = append(out, path[:i]+slash+path[i+1:])
			}
		}
	}
	out = append(out, "/x/..;a=b"+path, "/x/%2e%2e;a=b"+path, "/;a=b"+path, "/.;a=b"+path)
	return out
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}
