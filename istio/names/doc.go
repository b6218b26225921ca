// Package names has the words of Istio's API that validation and translation share: hosts and when one takes another,
// names of DNS, labels, protocols of ports, ciphers, headers that stand for something else, and the visibility of
// resources.
//
// The functions look at one text or at a few; they know no resources and report no findings.
//
// The hard case is a host. What is a subset of what decides which rules apply, with wildcards that stand for one label or
// several:
//
//	a.foo.com     is a subset of *.foo.com
//	*.a.foo.com   is a subset of *.foo.com
//	foo.com       is not
package names
