package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// Match is a match in the form of a VirtualService: {"uri": {"prefix": "/api"}, "headers": {"beta": {"exact": "1"}}}.
type Match map[string]any

// add adds the conditions of a match. Of two conditions on one field, the one that was added last is kept.
func (m Match) add(of *plan.Match) {
	if p := of.Path; p.Kind != plan.Present && (p.Kind != plan.Prefix || p.Value != "/" || m["uri"] == nil) {
		if p.Kind != plan.Prefix || p.Value != "/" && p.Value != "" {
			m["uri"] = p.Kind.Written(p.Value)
		}
		if p.IgnoreCase {
			m["ignoreUriCase"] = true
		}
	}
	for _, h := range of.Headers {
		list, name, nested := strings.Cut(h.Field(), ".")
		if nested {
			m.in(list)[name] = h.Kind.Written(h.Value)
		} else {
			m[list] = h.Kind.Written(h.Value)
		}
	}
	for _, q := range of.Query {
		m.in("queryParams")[q.Name] = q.Kind.Written(q.Value)
	}
}

// in is the map of a field, made when it is asked for the first time.
func (m Match) in(field string) map[string]any {
	inner, ok := m[field].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[field] = inner
	}
	return inner
}

// String is the match in words: uri prefix "/api", headers.beta exact "1"; "" if it has no conditions.
func (m Match) String() string {
	var out []string
	add := func(field string, of map[string]string) {
		text := field + " present"
		for kind, value := range of {
			text = fmt.Sprintf("%s %s %q", field, kind, value)
		}
		out = append(out, text)
	}
	for _, field := range slices.Sorted(maps.Keys(m)) {
		switch of := m[field].(type) {
		case map[string]string:
			add(field, of)
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(of)) {
				if c, ok := of[name].(map[string]string); ok {
					add(field+"."+name, c)
				}
			}
		default:
			out = append(out, field)
		}
	}
	return strings.Join(out, ", ")
}

// String is the conditions in words.
func (w When) String() string {
	text := w.Match.String()
	if text == "" {
		text = "every request"
	}
	if len(w.Not) > 0 {
		text += fmt.Sprintf(", but not what %s", diag.Count(len(w.Not), "earlier match takes", "earlier matches take"))
	}
	return text
}
