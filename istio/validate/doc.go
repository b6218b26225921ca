// Package validate is Istio's validation: which resources Istio refuses, and of what it warns. [Set] reports all of it at
// once, each finding with a code of docs/findings.md, and changes nothing.
//
// What it finds is what Istio's own validation finds, no more and no less, so that a verdict is Istio's; findings beyond
// are marked in [Codes].
//
// The hard case is Istio's own gaps, which are kept. The names of gateways, for example, are checked up to the first one
// without a slash (VAL-VS-03), so that in
//
//	gateways: [public, "not a name"]
//
// nothing is wrong.
package validate
