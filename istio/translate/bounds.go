package translate

import (
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// What a set of resources may come to, whatever its size is: rules of a delegate count for each rule that delegates to it,
// rules of a VirtualService for each port, endpoints for each port of their service. A set that comes to more is refused; it
// would take gigabytes. Only tests change them.
var (
	maxRules     = 500_000
	maxEndpoints = 500_000
)

// bound counts what a translation makes, and refuses what is too much, once.
type bound struct {
	what     string
	most, n  int
	findings *diag.Findings
}

// add counts, and says whether that much may still be made. The object and its field are those that it is made of.
func (b *bound) add(n int, o *resource.Object, field string) bool {
	fits := b.n <= b.most
	b.n += n
	if fits && b.n > b.most {
		b.findings.Add(diag.Error, "", o, field, "with this, there are more than %d %s, counted each time that they are used; the rest is not translated", b.most, b.what)
	}
	return b.n <= b.most
}
