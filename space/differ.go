package space

import (
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// tries bounds the requests with different paths on which two rules are compared whose rewrites are not computed.
const tries = 8

// Differing searches for a request that rule a of the first view takes, that rule b of the last view takes or, in a space of
// one plan, matches as well, and with which they do different things.
func (s *Space) Differing(a, b int) (verdict.Request, bool) {
	if len(s.views) > 1 {
		return s.differing(a, b, func(except ...Except) Result { return s.Both(a, b, except...) })
	}
	return s.differing(a, b, func(except ...Except) Result {
		return s.ask(question{s.pair(0, a, 0, b, except), []obstacles{{before: a}}})
	})
}

// DifferingWithout is [Space.Instead] for a request with which the two rules do different things.
func (s *Space) DifferingWithout(a, b int, left func(*plan.Rule) bool) (verdict.Request, bool) {
	return s.differing(a, b, func(except ...Except) Result { return s.Instead(a, b, left, except...) })
}

func (s *Space) differing(a, b int, search func(...Except) Result) (request verdict.Request, found bool) {
	first, second := s.ruleOf(0, a), s.ruleOf(len(s.views)-1, b)
	like := effect.Compare(first, second)
	if like.Same || !s.Compatible(a, b) {
		return request, false
	}
	if !like.Unsure {
		var except []Except
		if like.Path != "" {
			except = append(except, Except{Path: like.Path})
		}
		r := search(except...)
		return r.Request, r.Found
	}
	var except []Except
	for range tries {
		r := search(except...)
		if !r.Found {
			return request, false
		}
		path, _, _ := strings.Cut(r.Request.Path, "?")
		if effect.PathAfter(first, path) != effect.PathAfter(second, path) {
			return r.Request, true
		}
		except = append(except, Except{Path: path})
	}
	return request, false
}

// ruleOf is a rule of a view; nil for -1.
func (s *Space) ruleOf(view, i int) *plan.Rule {
	if i < 0 {
		return nil
	}
	return s.Rule(view, i)
}
