package pluginconfig

import (
	"fmt"
	"maps"
	"slices"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TooCostly says why the filter does not decide for a virtual host, or "": a single request, whose every header and query
// parameter occurs once, could make its expressions take more steps than are allowed. Envoy's own list of routes decides
// then, and means the same.
//
// Expressions that an automaton reads may take all of [routing.MaxWork], those that are followed state by state
// [regex.MaxSlow].
func TooCostly(h *plan.VirtualHost, behaviour version.Behaviour) string {
	encoding := Encoding(behaviour)
	slow := map[string]int{}         // steps of the patterns without automaton, by what is compared
	costly := map[string]plan.Rule{} // the first rule with one
	seen := map[[2]string]bool{}
	all := regex.NewCollection(encoding)
	eachExpression(h, func(r *plan.Rule, subject, pattern string) {
		if seen[[2]string{subject, pattern}] {
			return
		}
		seen[[2]string{subject, pattern}] = true
		_, _ = all.Add(pattern, subject) // a pattern that Envoy refuses is reported elsewhere
		if !regex.IsSlow(pattern, encoding) {
			return
		}
		if slow[subject] == 0 {
			costly[subject] = *r
		}
		slow[subject] = min(routing.MaxWork, slow[subject]+regex.Steps(pattern, encoding))
	})
	const enough = routing.MaxWork / regex.MaxValue
	always := map[string]int{}
	if len(seen) > enough {
		always = all.AlwaysRead(enough)
	}
	for _, subject := range slices.Sorted(maps.Keys(slow)) {
		if slow[subject] > regex.MaxSlow {
			r := costly[subject]
			return fmt.Sprintf("expressions for the %s, that of %s first, have too many states to bound what a long value costs", subject, r.String())
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(always)) {
		if n := always[subject]; n > enough {
			return fmt.Sprintf("%d groups of expressions for the %s are told apart by nothing else, so a long value is read that often", n, subject)
		}
	}
	return ""
}

// eachExpression visits the regular expressions of the rules' matches, with what they are compared with.
func eachExpression(h *plan.VirtualHost, visit func(r *plan.Rule, subject, pattern string)) {
	for _, r := range h.Rules {
		r.Match.EachExpression(func(subject, pattern string) { visit(r, subject, pattern) })
	}
}
