package envoy

import (
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	regexes "waymark.dev/waymark/routing/regex"
)

// supported reports everything in a plan that an Envoy with the builder's options does not execute, all of it at once. Envoy
// itself would refuse the whole configuration for some of it, and pass over the rest in silence.
func (b *builder) supported(p *plan.Plan) error {
	var found diag.Findings
	for r := range p.Rules() {
		if b.Matching == MatchingFilter {
			for _, c := range r.Match.Claims {
				found.Add(diag.Error, "", r, "a match on the claim "+strings.Join(c.Path, ".")+" of a JWT", "the filter knows no tokens; "+
					"use --matching native and a JWT filter of your own, or take the rule out")
			}
		}
		r.EachValue(func(value string) {
			if err := effect.CheckFormat(value, b.Minor); err != nil {
				found.Add(diag.Error, "", r, strconv.Quote(value)+" in a header operation", "%s", err)
			}
		})
		r.EachExpression(func(what, pattern string) {
			if _, err := regexes.Compile(pattern, pluginconfig.Encoding(b.Behaviour())); err != nil {
				found.Add(diag.Error, "", r, "the expression "+strconv.Quote(pattern)+" of "+what, "Envoy 1.%d refuses it, and with it the whole configuration: %s", b.Minor, err)
			}
		})
	}
	found = append(found, effect.Unwritable(p)...)
	for _, c := range p.Clusters {
		if budget := c.Pool.RetryBudget; budget != nil && budget.Interval > 0 && b.Minor < version.RetryBudgetInterval {
			found.Add(diag.Error, "", diag.Name("cluster "+c.Name), "retryBudget.budgetInterval of "+strings.Join(c.Rules, ", "), "Envoy has it from 1.%d on, and --envoy-version is 1.%d", version.RetryBudgetInterval, b.Minor)
		}
	}
	pairs, authorities := credentials(p)
	for _, c := range append(pairs, authorities...) {
		if c.HasContent() && b.source(Key{SecretType, c.Name}) == nil && !b.private {
			found.AddAt(c.Source, diag.Error, "", diag.Name("credential "+strings.TrimPrefix(c.Name, "kubernetes://")), "a certificate that stands in a Secret document", "it would be printed with its key; write files with --dynamic, or name the certificate's own with --secret")
		}
	}
	return found.Err()
}
