package translate

import (
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// Limits on what a translation makes. A small set of resources can multiply: a delegate's rules are made once for each
// rule that delegates to it, a VirtualService's rules once for each port, and endpoints once for each port of their
// service. A set that exceeds a limit is refused, since its plan would take gigabytes of memory. Only tests change them.
var (
	maxRules     = 500_000
	maxEndpoints = 500_000
)

// bound counts one kind of thing that a translation makes, and reports once that the limit is exceeded.
type bound struct {
	what    string // for the message, in the plural
	most, n int    // the limit, and how many were made
	out     *output
}

// add counts n more, and reports whether they may be made. The object and its field are what they are made from, for
// the message.
func (b *bound) add(n int, o *resource.Object, field string) bool {
	fits := b.n <= b.most
	b.n += n
	if fits && b.n > b.most {
		b.out.tooMuch = true
		b.out.findings.Add(diag.Error, "", o, field, "with this, there are more than %d %s, counted each time that they are used; the rest is not translated", b.most, b.what)
	}
	return b.n <= b.most
}
