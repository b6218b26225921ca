package explain

import (
	"fmt"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// Condition is a condition of a rule that a request does not meet, as it is written in the VirtualService.
type Condition struct {
	// Field is its place in the match: uri, method, headers.x-user, withoutHeaders.x-a, queryParams.q.
	Field string `json:"field"`
	// Want is {"exact": "jason"}, or with prefix or regex; {} for a value of any kind. For a field of withoutHeaders it
	// is what must not be.
	Want map[string]string `json:"want"`
	// IgnoreCase is ignoreUriCase.
	IgnoreCase bool `json:"ignoreCase,omitempty"`
	// Saw are the values that the request has, one for each header line; nil if it has none.
	Saw []string `json:"saw"`

	subject string // as in "header x-user"
	invert  bool
}

// conditions are the unmet conditions of a rule, in its own words. in is the request as the rules see it.
func conditions(r *plan.Rule, unmet []routing.Unmet, in effect.Request) []Condition {
	var out []Condition
	for _, u := range unmet {
		switch u.Part {
		case routing.PathPart:
			m := r.Match.Path
			path := in.Path
			if i := strings.IndexAny(path, "?#"); i >= 0 {
				path = path[:i]
			}
			out = append(out, Condition{Field: "uri", Want: want(m.Kind, m.Value), IgnoreCase: m.IgnoreCase, Saw: []string{path}, subject: "path"})
		case routing.NeverPart:
			for _, m := range r.Match.Claims {
				if !m.Invert {
					claim := "@request.auth.claims[" + strings.Join(m.Path, "][") + "]"
					out = append(out, Condition{Field: "headers." + claim, Want: want(m.Kind, m.Value), subject: "JWT claim " + strings.Join(m.Path, ".")})
				}
			}
		case routing.HeaderPart:
			out = append(out, header(r.Match.Headers[u.Index], in))
		case routing.QueryPart:
			m := r.Match.Query[u.Index]
			c := Condition{Field: "queryParams." + m.Name, Want: want(m.Kind, m.Value), subject: "query parameter " + m.Name}
			if value, ok := parameter(in.Path, m.Name); ok {
				c.Saw = []string{value}
			}
			out = append(out, c)
		}
	}
	return out
}

// header is an unmet condition on a header or on a pseudo-header, which has a field of its own.
func header(m plan.HeaderMatch, in effect.Request) Condition {
	name := strings.ToLower(m.Name)
	c := Condition{Field: m.Field(), Want: want(m.Kind, m.Value), subject: "header " + m.Name, invert: m.Invert}
	pseudo := map[string]string{":method": in.Method, ":authority": in.Authority, ":scheme": in.Scheme, ":path": in.Path}
	switch value, ok := pseudo[name]; {
	case name == "host":
		c.Saw = []string{in.Authority}
	case ok:
		c.Saw = []string{value}
		c.subject = name[1:]
	default:
		c.Saw = in.Headers[name]
	}
	return c
}

// parameter is the first query parameter of a name, as the rules see it: nothing is decoded (VS-MATCH-23).
func parameter(path, name string) (value string, ok bool) {
	_, query, _ := strings.Cut(path, "?")
	for part := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(part, "="); part != "" && key == name {
			return value, true
		}
	}
	return "", false
}

// want is a comparison as a VirtualService has it.
func want(kind plan.MatchKind, value string) map[string]string {
	switch kind {
	case plan.Exact:
		return map[string]string{"exact": value}
	case plan.Prefix, plan.Separated:
		return map[string]string{"prefix": value}
	case plan.Regex:
		return map[string]string{"regex": value}
	default:
		return map[string]string{}
	}
}

// String is the condition in words: header x-user is "jaso", want exactly "jason".
func (c Condition) String() string {
	isPath := c.Field == "uri"
	text := c.subject
	switch len(c.Saw) {
	case 0:
		text += " is absent"
	default:
		values := make([]string, len(c.Saw))
		for i, v := range c.Saw {
			values[i] = quoted(v, isPath)
		}
		text += " is " + strings.Join(values, " and ")
	}
	wanted := ""
	for kind, value := range c.Want {
		if kind == "exact" {
			kind = "exactly"
		}
		wanted = kind + " " + quoted(value, isPath && kind != "regex")
	}
	if c.IgnoreCase {
		wanted += " in any case"
	}
	switch {
	case c.invert && wanted == "":
		text += ", want it absent"
	case c.invert:
		text += ", want it not to be " + wanted
	case wanted != "":
		text += ", want " + wanted
	}
	return diag.Printable(text)
}

// quoted is a value in quotes; a path is written without.
func quoted(value string, isPath bool) string {
	if isPath {
		return value
	}
	return fmt.Sprintf("%q", value)
}
