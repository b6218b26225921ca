package space

import (
	"fmt"
	"slices"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// condition is one condition on one part of a request. Equal conditions of a [Space] are one.
type condition struct {
	number int
	part   *part
	conditionKey
	language language // of its values
	begin    literalBegin
}

// conditionKey is what makes a condition.
type conditionKey struct {
	subject
	kind                               plan.MatchKind
	value                              string
	ignoreCase, invert, missingAsEmpty bool
	wholePath                          bool
}

// absent reports whether the condition is met if its part is absent.
func (c *condition) absent() bool {
	if c.kind != plan.Present && c.missingAsEmpty {
		return has(c.language, "") != c.invert
	}
	return c.kind == plan.Present && c.invert
}

// holds reports whether a value of its part meets the condition.
func (c *condition) holds(v *value) bool {
	if v.absent {
		return c.absent()
	}
	return slices.ContainsFunc(v.texts, func(text string) bool { return has(c.language, text) }) != c.invert
}

// requirement is a condition that must be met, or one that must not be met. level is the number of the decision that it was
// added by; 0 for what the question asks.
type requirement struct {
	*condition
	met   bool
	level int
}

// holds reports whether a value meets the requirement.
func (r requirement) holds(v *value) bool { return r.condition.holds(v) == r.met }

// use is a condition in a rule, with the field of the match that it stands in.
type use struct {
	*condition
	field string
}

// rule is a rule with its conditions, those first that are easily not met: on headers and parameters that may be absent.
// The condition that the path begins with a slash is left out.
type rule struct {
	*plan.Rule
	uses []use
	path *condition // the one on the path, or nil
	// never is set if no proxy of Waymark takes a request for it: it has a condition on a claim of a JWT.
	never bool
	// uncertain is a header of which only the proxy knows the value, and that the rule compares; "" for most rules. The
	// condition is not among the uses.
	uncertain string
	profile   *effect.Profile // made when it is needed
	key       string          // identifies the conditions among those of the space
}

// compare compares what two rules do.
func (r *rule) compare(o *rule) effect.Likeness {
	for _, x := range []*rule{r, o} {
		if x.profile == nil {
			p := effect.ProfileOf(x.Rule)
			x.profile = &p
		}
	}
	return r.profile.Compare(*o.profile)
}

// isMetBy reports whether a request meets all conditions of the rule.
func (r *rule) isMetBy(values []value) bool {
	if r.never || r.path != nil && !strings.HasPrefix(values[r.path.part.number].text(), r.path.begin.text) {
		return false
	}
	for _, u := range r.uses {
		if !u.holds(&values[u.part.number]) {
			return false
		}
	}
	return true
}

// compile makes the conditions of a rule.
func (s *Space) compile(r *plan.Rule) *rule {
	out := &rule{Rule: r}
	m := &r.Match
	add := func(field string, key conditionKey) {
		out.uses = append(out.uses, use{s.condition(key), field})
	}
	for _, h := range m.Headers {
		name := strings.ToLower(h.Name)
		key := conditionKey{subject: subject{header, name}, kind: h.Kind, value: h.Value, invert: h.Invert, missingAsEmpty: h.MissingAsEmpty}
		switch name {
		case ":method":
			key.subject = subject{part: method}
		case ":authority", "host":
			key.subject = subject{part: authority}
		case ":scheme":
			key.subject = subject{part: scheme}
		case ":path":
			key.subject, key.wholePath = subject{part: path}, true
		}
		if key.part == header && h.Kind != plan.Present && s.part(key.subject).isUnknown {
			out.uncertain = name
			continue
		}
		add(h.Field(), key)
	}
	for _, q := range m.Query {
		add("queryParams."+q.Name, conditionKey{subject: subject{query, q.Name}, kind: q.Kind, value: q.Value})
	}
	if p := m.Path; !isEveryPath(p) {
		add("uri", conditionKey{subject: subject{part: path}, kind: p.Kind, value: p.Value, ignoreCase: p.IgnoreCase && p.Kind != plan.Regex})
		out.path = out.uses[len(out.uses)-1].condition
	}
	slices.SortStableFunc(out.uses, func(a, b use) int { return b.part.rank() - a.part.rank() })
	out.never = slices.ContainsFunc(m.Claims, func(c plan.ClaimMatch) bool { return !c.Invert })
	numbers := make([]int, len(out.uses))
	for i, u := range out.uses {
		numbers[i] = u.number
	}
	slices.Sort(numbers)
	out.key = fmt.Sprint(out.never, slices.Compact(numbers))
	return out
}

// isEveryPath reports whether every path meets a condition: it begins with a slash.
func isEveryPath(p plan.PathMatch) bool {
	return p.Kind == plan.Present || p.Kind == plan.Prefix && (p.Value == "" || p.Value == "/")
}

// literalBegin is the text with which every value of a condition begins. whole is set if there is no other value.
type literalBegin struct {
	text  string
	whole bool
}

// mostBegin bounds the text that an expression is searched for.
const mostBegin = 64

// beginOf finds how every text of a language begins.
func beginOf(l language, kind plan.MatchKind, value string, ignoreCase bool) literalBegin {
	switch {
	case kind == plan.Present || ignoreCase || l == nil:
		return literalBegin{}
	case kind != plan.Regex:
		return literalBegin{value, kind == plan.Exact}
	}
	var out literalBegin
	for state := l.start(); state != dead && len(out.text) < mostBegin && !l.accepts(state); {
		only, next, count := byte(0), int32(dead), 0
		for b := range 256 {
			if to := l.next(state, byte(b)); to != dead {
				only, next = byte(b), to
				if count++; count > 1 {
					return out
				}
			}
		}
		out.text += string([]byte{only})
		state = next
	}
	return out
}

// excludes reports whether no value begins as two conditions want it.
func (b literalBegin) excludes(o literalBegin) bool {
	if len(b.text) > len(o.text) {
		b, o = o, b
	}
	return b.whole && len(b.text) < len(o.text) || o.text[:len(b.text)] != b.text || b.whole && o.whole && b.text != o.text
}
