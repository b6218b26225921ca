package explain

import (
	"fmt"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
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

// conditions are the unmet conditions of a rule, in its own words.
func (x *Explainer) conditions(r *plan.Rule, unmet []routing.Unmet, w *verdict.Walk) []Condition {
	in := w.Received
	var out []Condition
	for _, u := range unmet {
		switch u.Part {
		case routing.PathPart:
			m := r.Match.Path
			path := in.Path
			if i := strings.IndexAny(path, "?#"); i >= 0 {
				path = path[:i]
			}
			out = append(out, Condition{Field: "uri", Want: m.Kind.Written(m.Value), IgnoreCase: m.IgnoreCase, Saw: []string{path}, subject: "path"})
		case routing.NeverPart:
			for _, m := range r.Match.Claims {
				if !m.Invert {
					claim := "@request.auth.claims[" + strings.Join(m.Path, "][") + "]"
					out = append(out, Condition{Field: "headers." + claim, Want: m.Kind.Written(m.Value), subject: "JWT claim " + strings.Join(m.Path, ".")})
				}
			}
		case routing.HeaderPart:
			m := r.Match.Headers[u.Index]
			c := header(m, in)
			if strings.HasPrefix(m.Name, ":") && !m.Invert && x.isWrittenAsHeader(r, m) {
				c.Field = "headers." + m.Name
			}
			if w.Joined && len(c.Saw) > 1 {
				c.Saw = []string{strings.Join(c.Saw, ",")}
			}
			out = append(out, c)
		case routing.QueryPart:
			m := r.Match.Query[u.Index]
			c := Condition{Field: "queryParams." + m.Name, Want: m.Kind.Written(m.Value), subject: "query parameter " + m.Name}
			if value, ok := parameter(in.Path, m.Name); ok {
				c.Saw = []string{value}
			}
			out = append(out, c)
		}
	}
	return out
}

// header is an unmet condition on a header or a pseudo-header.
func header(m plan.HeaderMatch, in effect.Request) Condition {
	name := strings.ToLower(m.Name)
	c := Condition{Field: m.Field(), Want: m.Kind.Written(m.Value), subject: "header " + m.Name, invert: m.Invert}
	pseudo := map[string]string{":method": in.Method, ":authority": in.Authority, ":scheme": in.Scheme, ":path": in.Path}
	switch value, ok := pseudo[name]; {
	case name == "host":
		c.Saw = []string{in.Authority}
	case ok:
		c.Saw, c.subject = []string{value}, name[1:]
	default:
		c.Saw = in.Headers[name]
	}
	return c
}

// isWrittenAsHeader reports whether a condition on a pseudo-header was written in headers, such as {":authority": ...},
// and not in the field for it; a plan has both in the same form. The matches of a delegate are merged with those of the
// rule that delegates, so it may be in any of them.
func (x *Explainer) isWrittenAsHeader(r *plan.Rule, m plan.HeaderMatch) bool {
	isIn := func(match *istio.HTTPMatchRequest) bool {
		value, ok := match.GetHeaders()[m.Name]
		var text string
		switch m.Kind {
		case plan.Exact:
			text = value.GetExact()
		case plan.Prefix:
			text = value.GetPrefix()
		case plan.Regex:
			text = value.GetRegex()
		case plan.Present, plan.Separated:
		}
		return ok && text == m.Value
	}
	rule := func(o plan.Origin) []*istio.HTTPMatchRequest {
		if vs := x.services[o.Key()]; vs != nil && o.Path.List == "http" {
			return vs.Spec.GetHttp()[o.Path.Index].GetMatch()
		}
		return nil
	}
	matches := rule(r.Origin)
	if r.Root.Kind != "" {
		return slices.ContainsFunc(matches, isIn) || slices.ContainsFunc(rule(r.Root), isIn)
	}
	return r.Origin.Path.Match >= 0 && r.Origin.Path.Match < len(matches) && isIn(matches[r.Origin.Path.Match])
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
	if wanted := c.wanted(isPath); wanted != "" {
		text += ", want " + wanted
	}
	return diag.Printable(text)
}

// wanted is what the rule wants, in words; "" for any value.
func (c Condition) wanted(isPath bool) string {
	for kind, value := range c.Want { // one at most
		value = quoted(value, isPath && kind != "regex")
		switch {
		case c.invert && kind == "exact":
			return "anything but " + value
		case c.invert:
			return "no " + kind + " " + value
		case kind == "exact":
			kind = "exactly"
		}
		if c.IgnoreCase {
			value += " in any case"
		}
		return kind + " " + value
	}
	if c.invert {
		return "it absent"
	}
	return ""
}

// quoted is a value in quotes; a path is written without.
func quoted(value string, isPath bool) string {
	if isPath {
		return value
	}
	return fmt.Sprintf("%q", value)
}
