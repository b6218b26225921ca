package advise

import (
	"strconv"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// Codes of the findings.
const (
	// CodeHiddenRetries is about retries of a rule whose fault answers every request.
	CodeHiddenRetries = "WM0202"
	// CodeShortTimeout is about a timeout that ends before the retries.
	CodeShortTimeout = "WM0203"
	// CodeOtherSpelling is about a rule that takes a path in spellings that a policy does not deny.
	CodeOtherSpelling = "WM0204"
	// CodeOtherNamespace is about a host for the mesh whose service is in another namespace.
	CodeOtherNamespace = "WM0205"
)

// Check looks at the VirtualServices of a set, delegates included. clusterDomain ends the full names of services.
func Check(set *resource.Set, clusterDomain string) (findings diag.Findings) {
	denied := DeniedPaths(set)
	services := newServices(set, clusterDomain)
	for _, vs := range set.VirtualServices {
		for i, r := range vs.Spec.GetHttp() {
			field := "spec.http[" + strconv.Itoa(i) + "]"
			checkTries(&findings, vs, field, r)
			checkSpellings(&findings, vs, field, r, denied)
		}
		services.check(&findings, vs)
	}
	return findings
}
