package plan

import (
	"fmt"
	"strings"
)

// Unsupported is something that a plan asks for and that what is to execute it cannot do. It is an error, never left
// out in silence.
type Unsupported struct {
	Source Source
	// Object is the rule, listener or cluster that asks for it.
	Object string
	// Feature is what it asks for, and Reason why it cannot be had and what to do.
	Feature, Reason string
}

// String is file:line:column: error: object: feature: reason, on one line.
func (u Unsupported) String() string {
	s := ""
	if place := u.Source.String(); place != "" {
		s = place + ": "
	}
	return Printable(s + "error: " + u.Object + ": " + u.Feature + ": " + u.Reason)
}

// UnsupportedError holds all that is not supported, one a line.
type UnsupportedError []Unsupported

func (e UnsupportedError) Error() string {
	lines := make([]string, len(e))
	for i, u := range e {
		lines[i] = u.String()
	}
	return strings.Join(lines, "\n")
}

// OrNil is the error, or nil where there is nothing in it.
func (e UnsupportedError) OrNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// AddRule notes a feature of a rule.
func (e *UnsupportedError) AddRule(r *Rule, feature, reason string, args ...any) {
	*e = append(*e, Unsupported{Source: r.Source, Object: r.Ref(), Feature: feature, Reason: fmt.Sprintf(reason, args...)})
}

// EachValue visits the values of a rule's header operations, those of its destinations included, in order.
func (r *Rule) EachValue(visit func(value string)) {
	collect := func(o HeaderOperations) {
		for _, a := range o.Add {
			visit(a.Value)
		}
	}
	collect(r.RequestHeaders)
	collect(r.ResponseHeaders)
	if r.Route != nil {
		for _, d := range r.Route.Destinations {
			collect(d.RequestHeaders)
			collect(d.ResponseHeaders)
		}
	}
}

// Operators are the command operators in a rule's header operations, in order and each once: NAME or NAME(argument).
func (r *Rule) Operators() []string {
	var out []string
	seen := map[string]bool{}
	r.EachValue(func(value string) {
		Format(value, func(operator string) string {
			if !seen[operator] {
				seen[operator] = true
				out = append(out, operator)
			}
			return ""
		})
	})
	return out
}
