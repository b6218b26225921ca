package space

import (
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// tries bounds the requests with different paths on which two rules are compared whose rewrites are not computed.
const tries = 8

// Differing searches for a request that rule a of the first view takes, that rule b of the last view takes or, in a space of
// one plan, matches as well, and with which they do different things. An index of -1 is that no rule takes it.
func (s *Space) Differing(a, b int) Result {
	if len(s.views) > 1 {
		return s.differing(a, b, func(except ...Except) Result { return s.Both(a, b, except...) })
	}
	return s.differing(a, b, func(except ...Except) Result {
		return s.ask(question{s.pair(a, 0, b, except), []obstacles{{before: a}}})
	})
}

// DifferingWithout is [Space.Instead] for a request with which the two rules do different things.
func (s *Space) DifferingWithout(a, b int, left []bool) Result {
	return s.differing(a, b, func(except ...Except) Result { return s.Instead(a, b, left, except...) })
}

// Likeness compares what rule a of the first view and rule b of the last view do.
func (s *Space) Likeness(a, b int) effect.Likeness {
	if a < 0 || b < 0 {
		return effect.Likeness{Same: a == b}
	}
	return s.views[0].rules[a].compare(s.views[len(s.views)-1].rules[b])
}

func (s *Space) differing(a, b int, search func(...Except) Result) Result {
	like := s.Likeness(a, b)
	if like.Same || !s.Compatible(a, b) {
		return Result{}
	}
	var except []Except
	if !like.Unsure {
		if like.Path != "" {
			except = append(except, Except{Path: like.Path})
		}
		return search(except...)
	}
	patterns := rewritesOf(s.Rule(0, a), s.Rule(len(s.views)-1, b))
	if len(patterns) == 0 {
		return s.tryOut(a, b, search)
	}
	var last Result
	for _, p := range patterns { // a path that no pattern matches stays as it is
		if r := s.tryOut(a, b, search, Except{Pattern: p}); r.Found || r.Unknown != "" {
			if last = r; r.Found {
				return r
			}
		}
	}
	return last
}

// rewritesOf are the patterns of two rules that rewrite paths by regular expressions, if neither changes paths otherwise.
func rewritesOf(rules ...*plan.Rule) (out []string) {
	for _, r := range rules {
		switch {
		case r.Route == nil || r.Route.PrefixRewrite != "":
			return nil
		case r.Route.RegexRewrite != nil:
			out = append(out, r.Route.RegexRewrite.Pattern)
		}
	}
	return out
}

// tryOut searches for a request on whose path two rules differ, among several. If they agree on all that were tried, that is
// not known.
func (s *Space) tryOut(a, b int, search func(...Except) Result, except ...Except) Result {
	for range tries {
		r := search(except...)
		if !r.Found {
			return r
		}
		path, _, _ := strings.Cut(r.Request.Path, "?")
		if effect.PathAfter(s.Rule(0, a), path) != effect.PathAfter(s.Rule(len(s.views)-1, b), path) {
			return r
		}
		except = append(except, Except{Path: path})
	}
	return Result{Unknown: "two rewrites agree on all paths that were tried"}
}
