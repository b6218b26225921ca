package effect

import (
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// CORSEffect is what Envoy's CORS filter does with one request.
type CORSEffect struct {
	Preflight     bool `json:"preflight"`
	OriginAllowed bool `json:"originAllowed"`
	// Status is 200 if the filter answers by itself, and 0 if the request goes on.
	Status int `json:"status,omitempty"`
	// ResponseHeaders are set on the response, where they replace headers of the same names.
	ResponseHeaders Headers `json:"responseHeaders,omitempty"`
}

// ApplyCORS returns what the rule's CORS policy does with a request. It is nil for a rule without a policy, and for a
// request without Origin (VS-CORS-05, VS-CORS-06).
func (rule *Rule) ApplyCORS(r Request) *CORSEffect {
	c := rule.CORS
	origin := r.Headers.first("origin")
	if c == nil || origin == "" {
		return nil
	}
	e := &CORSEffect{OriginAllowed: rule.allows(origin), ResponseHeaders: Headers{}}
	method := r.Headers.first("access-control-request-method")
	e.Preflight = r.Method == "OPTIONS" && method != ""
	set := func(name, value string) {
		if value != "" {
			e.ResponseHeaders[name] = []string{value}
		}
	}
	if e.OriginAllowed {
		set("access-control-allow-origin", origin)
		if c.AllowCredentials {
			set("access-control-allow-credentials", "true")
		}
		set("access-control-expose-headers", c.ExposeHeaders)
	}
	if e.Preflight && !e.OriginAllowed && c.ForwardUnmatched {
		e.Preflight = false // sent on like any other request
	}
	if !e.Preflight {
		return e
	}
	e.Status = 200
	set("access-control-allow-methods", echo(c.AllowMethods, method))
	if headers := echo(c.AllowHeaders, r.Headers.first("access-control-request-headers")); c.AllowHeaders != "" {
		e.ResponseHeaders["access-control-allow-headers"] = []string{headers} // even "", if the request names none
	}
	set("access-control-max-age", c.MaxAge)
	if c.AllowCredentials {
		set("access-control-allow-credentials", "true")
	}
	return e
}

// echo returns the list of a policy or, if that is "*", the list of the preflight request (VS-CORS-03).
func echo(policy, asked string) string {
	if policy == "*" {
		return asked
	}
	return policy
}

// allows reports whether an origin is allowed.
func (rule *Rule) allows(origin string) bool {
	return slices.ContainsFunc(rule.origins, func(o matcher) bool { return o(origin) })
}

// matcher reports whether a text matches.
type matcher func(text string) bool

// originMatcher is the matcher of an entry of a policy. One that matches the text "*" allows every origin (VS-CORS-02).
func originMatcher(m plan.OriginMatch) matcher {
	matches := newMatcher(m)
	if matches("*") {
		return func(string) bool { return true }
	}
	return matches
}

func newMatcher(m plan.OriginMatch) matcher {
	switch m.Kind {
	case plan.Exact:
		return func(text string) bool { return text == m.Value }
	case plan.Prefix:
		return func(text string) bool { return strings.HasPrefix(text, m.Value) }
	case plan.Regex:
		if program, err := regex.Compile(m.Value, regex.Latin1); err == nil {
			return func(text string) bool { return program.Match(&routing.Machine{}, text) }
		}
	}
	return func(string) bool { return false }
}
