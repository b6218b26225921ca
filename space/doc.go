// Package space answers questions about all requests: which request meets these conditions and is taken by none of those
// rules, and if there is none, which rules take them all. It decides nothing itself: every request that it returns was
// given to the engine, through package verdict, and was taken by the rule that it is meant to show.
//
// A match is a conjunction of conditions, each of which looks at one part of a request: the path, the method, the authority,
// one header, one query parameter. The parts are independent, so a request that meets some conditions and not others is
// found part by part: the conditions on one part are regular languages, and the shortest text in the intersection of some,
// outside the union of others, is found by running their automata side by side.
//
// Rules before the one in question make it hard. A request is found that meets the rule's conditions; if an earlier rule
// takes it, one of that rule's conditions must be false, whichever:
//
//	earlier:  path /api and header x-user is jason
//	rule:     path prefix /api
//	first:    GET /api              the earlier rule does not match it: done
//
//	earlier:  path prefix /a, or header x is absent (two rules)
//	rule:     path prefix /api
//	first:    GET /api              taken by the first; its only condition contradicts the rule's: the rule is dead
//
// Trying the conditions of the rules that take the requests, one after the other, ends, since each step decides one more
// condition. It can take exponentially long: rules over headers can express any formula of propositional logic, so the
// question is NP-hard. The work is bounded by [Budget]; beyond it the answer is that it is not known.
package space
