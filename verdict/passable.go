package verdict

import (
	"strings"

	"waymark.dev/waymark/plan"
)

// Passage is a path that bypasses a rule that denies: Envoy forwards it by another rule, and a destination may read it
// as the path that is denied.
type Passage struct {
	// Denied is the rule that is bypassed, By the rule that matches instead.
	Denied, By *plan.Rule
	// Authority and Path are what a client sends, Forwarded is the path that the destination gets before rewrites.
	Authority, Path, Forwarded string
	// Unmet is set if no request matches the rule as it is written, because Envoy normalises its path to Forwarded.
	Unmet bool
	// Parameters is set if only servers that drop the parameters of a segment (";a=b") read the path as the denied one.
	Parameters bool
}

// Passages returns the passages of all rules that deny: those that answer with 400 or more, redirect, or abort every
// request. For each rule it returns at most one passage with parameters and one without. For a redirect, which seldom
// protects anything, it returns only one without, since no setting of Envoy closes passages with parameters.
//
// A spelling of a path is a passage if the rule matches the path itself and another rule forwards the spelling. For a
// rule for "/admin" on a proxy that does not merge slashes, //admin is one: many servers read both as the same path.
//
// If there are more than [MostDenying] rules that deny, the others are not checked and all is false.
func (j *Judge) Passages() (out []Passage, all bool) {
	checked := 0
	seen := map[*plan.Rule]map[bool]bool{} // the rules that were checked, and by Parameters whether a passage was found
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
						if checked++; checked > MostDenying {
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

// MostDenying bounds the rules that [Judge.Passages] checks: each takes about twenty decisions.
const MostDenying = 2000

// AnyDenies reports whether a plan has a rule that denies, see [Judge.Passages].
func AnyDenies(p *plan.Plan) bool {
	for r := range p.Rules() {
		if denies(r) {
			return true
		}
	}
	return false
}

// denies reports whether a rule keeps every request from its destinations.
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

// passagesOf returns the passages of one rule, at most one with parameters and one without.
func (j *Judge) passagesOf(l *plan.Listener, c *plan.FilterChain, h *plan.VirtualHost, r *plan.Rule) []Passage {
	path := r.Match.Path.Value
	if r.Match.Path.Kind == plan.Present || r.Match.Path.Kind == plan.Regex || len(path) < 2 || path[0] != '/' {
		return nil
	}
	request, ok := witness(l, c, h, r)
	if !ok {
		return nil
	}
	request.Path = path
	if v := j.Decide(request); v.rule != r {
		if v.Kind == Route && v.NormalizedPath != path && !denies(v.rule) {
			return []Passage{{Denied: r, By: v.rule, Authority: request.Authority, Path: path, Forwarded: v.NormalizedPath, Unmet: true}}
		}
		return nil // the rule has conditions that the request does not meet, or an earlier rule matches it
	}
	var out []Passage
	found := map[bool]bool{} // by Parameters: a passage was found
	for _, s := range spellings(path) {
		if found[strings.Contains(s, ";")] || r.Redirect != nil && strings.Contains(s, ";") {
			continue
		}
		request.Path = s
		if v := j.Decide(request); v.Kind == Route && v.rule != r && !denies(v.rule) {
			found[strings.Contains(s, ";")] = true
			out = append(out, Passage{Denied: r, By: v.rule, Authority: request.Authority, Path: s, Forwarded: v.NormalizedPath, Parameters: strings.Contains(s, ";")})
		}
	}
	return out
}

// Around looks for another spelling of a path that somebody else denies, such as a policy: a proxy forwards it, and denied
// returns false for the path after normalisation. Spellings with parameters are left out, since nothing closes them. The
// passage has no rule that is bypassed.
func (j *Judge) Around(path string, denied func(authority, path string) bool) (Passage, bool) {
	for _, l := range j.plan.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				request, ok := witness(l, c, h, &plan.Rule{})
				if !ok {
					continue
				}
				request.Path = path
				if v := j.Decide(request); v.Kind != Route || !denied(request.Authority, v.NormalizedPath) {
					continue
				}
				for _, s := range spellings(path) {
					request.Path = s
					if v := j.Decide(request); v.Kind == Route && !strings.Contains(s, ";") && !denied(request.Authority, v.NormalizedPath) {
						return Passage{By: v.rule, Authority: request.Authority, Path: s, Forwarded: v.NormalizedPath}, true
					}
				}
			}
		}
	}
	return Passage{}, false
}

// witness returns a request that meets the conditions of a rule except that on the path. It is false for rules that
// have a regular expression for a header, or compare query parameters.
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

// spellings returns other spellings of a path, which servers may read as the path itself: after they merge or decode
// slashes, resolve dot segments, or drop parameters.
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
