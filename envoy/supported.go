package envoy

import (
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	regexes "waymark.dev/waymark/routing/regex"
)

// supported reports everything in a plan for which an Envoy with the builder's options would refuse the whole configuration,
// all of it at once. Validation for that Envoy refuses the objects that it comes from; who builds from a plan of another origin
// learns it here.
func (b *builder) supported(p *plan.Plan) error {
	var found diag.Findings
	for r := range p.Rules() {
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
	pairs, authorities := credentials(p)
	for _, c := range append(pairs, authorities...) {
		if c.HasContent() && b.source(Key{SecretType, c.Name}) == nil && !b.private {
			found.AddAt(c.Source, diag.Error, "", diag.Name("credential "+strings.TrimPrefix(c.Name, "kubernetes://")), "a certificate that stands in a Secret document", "it would be printed with its key; write files with --dynamic, or name the certificate's own with --secret")
		}
	}
	return found.Err()
}
