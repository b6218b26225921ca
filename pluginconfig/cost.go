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

// TooCostly returns why the filter does not decide for a virtual host, or "" if it does. It does not if a single
// request, in which no header or query parameter is repeated, could make the expressions of the virtual host take more
// steps than are allowed. Envoy's own list of routes decides then, with the same result.
//
// Automata may take all of [routing.MaxWork] for a request; the expressions without automaton that are compared with
// one header, query parameter or path may take [regex.MaxSlow].
func TooCostly(h *plan.VirtualHost, behaviour version.Behaviour) string {
	encoding := Encoding(behaviour)
	slow := map[string]int{}         // by subject: the steps of the patterns without automaton
	costly := map[string]plan.Rule{} // by subject: the first rule with such a pattern
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
			return fmt.Sprintf("the regular expressions for the %s, the first of them in %s, have too many states for an automaton, so a long value could cost too much", subject, r.String())
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(always)) {
		if n := always[subject]; n > enough {
			return fmt.Sprintf("%d groups of regular expressions for the %s have no text that distinguishes them, so each group reads a long value", n, subject)
		}
	}
	return ""
}

// eachExpression calls visit for each regular expression in the matches of the rules. subject is what the expression is
// compared with, such as "path" or "header x-tenant".
func eachExpression(h *plan.VirtualHost, visit func(r *plan.Rule, subject, pattern string)) {
	for _, r := range h.Rules {
		r.Match.EachExpression(func(subject, pattern string) { visit(r, subject, pattern) })
	}
}
