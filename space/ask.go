package space

import (
	"slices"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// claimed is why it is not known whether a rule with conditions on claims takes requests.
const claimed = "it has conditions on claims of a JWT, which only a proxy with a JWT filter knows"

// conditionsOf are the requirements that a rule matches.
func (s *Space) conditionsOf(view, i int) []requirement {
	return asRequired(s.views[view].rules[i].uses)
}

// Reach searches for a request that a rule of the first view takes.
func (s *Space) Reach(i int) Result {
	switch r := s.views[0].rules[i]; {
	case r.never:
		return Result{Unknown: claimed}
	case r.uncertain != "":
		return Result{Unknown: uncertain(r)}
	}
	return s.ask(question{s.conditionsOf(0, i), []obstacles{{before: i}}})
}

// Covers reports whether some rules of the first view, by index, match every request that rule i matches. It is false,
// too, if that is not known.
func (s *Space) Covers(i int, rules []int) bool {
	slices.Sort(rules)
	r := s.ask(question{s.conditionsOf(0, i), []obstacles{{only: append([]int{}, rules...)}}})
	return !r.Found && r.Unknown == ""
}

// Both searches for a request that rule a of the first view takes and rule b of the last view takes. An index of -1 is that no
// rule takes it.
func (s *Space) Both(a, b int, except ...Except) Result {
	last := len(s.views) - 1
	if a >= 0 && s.views[0].rules[a].never || b >= 0 && s.views[last].rules[b].never {
		return Result{}
	}
	return s.ask(question{s.pair(a, last, b, except), []obstacles{s.before(0, a), s.before(last, b)}})
}

// Instead searches for a request that rule a of the first view takes, and that rule b of it would take if the list had none
// of the rules for which left is true, by index.
func (s *Space) Instead(a, b int, left []bool, except ...Except) Result {
	v := s.views[0]
	if v.rules[a].never || v.rules[b].never {
		return Result{}
	}
	return s.ask(question{s.pair(a, 0, b, except), []obstacles{{before: a}, {before: b, left: left}}})
}

// Except is a path that a request that is searched for must not have, or the only one that it may have; or, if Pattern is set,
// an expression that must match somewhere in its path.
type Except struct {
	Path    string
	Only    bool
	Pattern string
}

// before are the obstacles for a rule, or for no rule.
func (s *Space) before(view, i int) obstacles {
	if i < 0 {
		i = len(s.views[view].rules)
	}
	return obstacles{view: view, before: i}
}

// pair are the requirements that rule a of the first view and rule b of another one match; -1 is none.
func (s *Space) pair(a, other, b int, except []Except) []requirement {
	var out []requirement
	if a >= 0 {
		out = append(out, s.conditionsOf(0, a)...)
	}
	if b >= 0 {
		out = append(out, s.conditionsOf(other, b)...)
	}
	for _, e := range except {
		if e.Pattern != "" {
			key := conditionKey{subject: subject{part: path}, kind: plan.Regex, value: ".*(?:" + e.Pattern + ").*"}
			if s.languageOf(key) != nil { // it may be too large with what is around it
				out = append(out, requirement{s.condition(key), true, 0})
			}
			continue
		}
		c := s.condition(conditionKey{subject: subject{part: path}, kind: plan.Exact, value: e.Path})
		out = append(out, requirement{c, e.Only, 0})
	}
	return out
}

// Compatible reports whether a request may match both of two rules: false only if their conditions on one part contradict
// each other. An index of -1 is no rule, which goes with every rule.
func (s *Space) Compatible(a, b int) bool {
	if a < 0 || b < 0 {
		return true
	}
	last := len(s.views) - 1
	if s.rule(0, a).excludes(s.rule(last, b)) {
		return false
	}
	return s.meets(s.pair(a, last, b, nil))
}

// Conflict returns the fields of a smallest set of conditions of a rule of the first view that no request meets together;
// none if there is no such set, or it is not known.
func (s *Space) Conflict(i int) []string {
	work := &budget{Budget}
	for p, needed := range byPart(s.views[0].rules[i].uses, func(u use) *part { return u.part }) {
		if p.solve(asRequired(needed), work).found != no {
			continue
		}
		for k := len(needed) - 1; k >= 0 && len(needed) > 1; k-- {
			if less := slices.Delete(slices.Clone(needed), k, k+1); p.solve(asRequired(less), work).found == no {
				needed = less
			}
		}
		return fieldsOf(needed)
	}
	return nil
}

func asRequired(uses []use) []requirement {
	out := make([]requirement, len(uses))
	for i, u := range uses {
		out[i] = requirement{u.condition, true, 0}
	}
	return out
}

func fieldsOf(uses []use) []string {
	out := make([]string, len(uses))
	for i, u := range uses {
		out[i] = u.field
	}
	slices.Sort(out)
	return out
}

// Idle is a condition of a rule that changes nothing.
type Idle struct {
	Field string
	// ImpliedBy are other conditions of the match that cannot be met without it; none if it is always met.
	ImpliedBy []string
}

// Idle returns the conditions of a rule of the first view that are always met, or whenever the others are.
func (s *Space) Idle(i int) (out []Idle) {
	work := &budget{Budget}
	uses := s.views[0].rules[i].uses
	for k, u := range uses {
		isNot := requirement{u.condition, false, 0}
		if u.part.solve([]requirement{isNot}, work).found == no {
			out = append(out, Idle{Field: u.field})
			continue
		}
		var others []use
		for n, o := range uses {
			if n != k && o.part == u.part {
				others = append(others, o)
			}
		}
		if len(others) > 0 && u.part.solve(append(asRequired(others), isNot), work).found == no && u.part.solve(asRequired(others), work).found == yes {
			out = append(out, Idle{u.field, fieldsOf(others)})
		}
	}
	return out
}

// Decide is what a view does with a request.
func (s *Space) Decide(view int, r verdict.Request) *verdict.Verdict {
	v := s.views[view]
	if v.Listener == nil {
		return v.judge.Decide(r)
	}
	return v.judge.On(v.Listener, r)
}
