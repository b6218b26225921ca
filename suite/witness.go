package suite

import (
	"regexp/syntax"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// Guess returns a request that meets the conditions of a rule, made from their values one by one; ok is false if the rule
// has a condition on a JWT's claim, or if it does not take the request, since an earlier rule does or two conditions are
// about one thing.
func (s *Rules) Guess(r *plan.Rule) (q verdict.Request, ok bool) {
	if len(r.Match.Claims) > 0 {
		return q, false
	}
	for _, l := range s.Plan.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				for _, of := range h.Rules {
					if of != r {
						continue
					}
					q := guess(h, r)
					if c.TLS != nil {
						q.TLS, q.SNI = true, routing.Host(q.Authority)
					}
					for _, port := range []uint32{0, l.Port} { // the port is left out where listeners agree
						q.GatewayPort = port
						if a := s.answer(Request{Request: q}); a.rule() == r.String() {
							return q, true
						}
					}
				}
			}
		}
	}
	return q, false
}

// guess is a request that meets each condition of a rule.
func guess(h *plan.VirtualHost, r *plan.Rule) verdict.Request {
	q := verdict.Request{Method: "GET", Path: sample(r.Match.Path.Kind, r.Match.Path.Value, "/"), Headers: map[string]verdict.Values{}}
	if len(h.Domains) > 0 {
		q.Authority = strings.Replace(h.Domains[0], "*", "any", 1)
	}
	for _, m := range r.Match.Headers {
		if m.Invert {
			continue
		}
		value := sample(m.Kind, m.Value, "any")
		switch name := strings.ToLower(m.Name); name {
		case ":method":
			q.Method = value
		case ":scheme":
			q.Scheme = value
		case ":authority":
			q.Authority = value
		default:
			q.Headers[name] = verdict.Values{value}
		}
	}
	for i, m := range r.Match.Query {
		mark := "&"
		if i == 0 {
			mark = "?"
		}
		q.Path += mark + m.Name + "=" + sample(m.Kind, m.Value, "any")
	}
	return q
}

// sample is a text that meets a condition; present is one where any will do.
func sample(kind plan.MatchKind, value, present string) string {
	switch kind {
	case plan.Present:
		return present
	case plan.Regex:
		if tree, err := syntax.Parse(value, syntax.Perl); err == nil {
			return shortest(tree)
		}
	}
	return value
}

// shortest is a short text that an expression matches, if none of its assertions is in the way.
func shortest(e *syntax.Regexp) string {
	switch e.Op {
	case syntax.OpLiteral:
		return string(e.Rune)
	case syntax.OpCharClass:
		return string(letter(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		return shortest(e.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(shortest(e.Sub[0]), e.Min)
	case syntax.OpConcat:
		var b strings.Builder
		for _, part := range e.Sub {
			b.WriteString(shortest(part))
		}
		return b.String()
	default:
		return ""
	}
}

// letter is a member of a class of characters, given as pairs of first and last: a letter or digit, if it has one.
func letter(class []rune) rune {
	for _, c := range "axAX019-_/" {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= c && c <= class[i+1] {
				return c
			}
		}
	}
	return class[0]
}
