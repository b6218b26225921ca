// Package validate is Istio's validation: which resources Istio refuses, and which it accepts with a warning. [Set]
// reports everything at once, each finding with a code that docs/findings.md explains. It does not change the
// resources.
//
// It finds what Istio's own validation finds, so that a verdict is the same as Istio's. What it finds in addition,
// because Envoy would refuse it or only Waymark has it, has [Code.Beyond] set and is not part of the verdict.
//
// The hard case is gaps in Istio's validation, which are reproduced. The names of gateways, for example, are checked up
// to the first one without a slash (VAL-VS-03), so that nothing is reported for
//
//	gateways: [public, "not a name"]
package validate
