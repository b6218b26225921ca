// Package names has the comparisons of names in Istio's API that validation and translation share: hosts and their
// wildcards, DNS names, labels, protocols of ports, ciphers, header names with a special meaning, and the visibility of
// resources.
//
// Its functions compare strings; they do not use the typed resources of package resource, and do not report findings.
//
// The hard case is whether one host covers another, which decides which rules apply. A wildcard stands for one or
// several labels:
//
//	a.foo.com     is covered by *.foo.com
//	*.a.foo.com   is covered by *.foo.com
//	foo.com       is not
package names
