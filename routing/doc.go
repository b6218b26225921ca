// Package routing is the rule engine: it compiles a plugin configuration into a [Table] and decides, for one request
// at a time, which outcome of which rule applies.
//
// It evaluates the rules of Istio's VirtualServices and nothing else: which virtual host a request belongs to, which
// rule of that host matches first, which destination of a split is taken and whether a fault is injected. It never
// acts. The package has no clock, no random source, no I/O and no logging: the caller throws the dice and passes them
// as an argument, so that the same request with the same dice gets the same answer in the proxy, in a test and offline.
//
// The hard case is order. The translator has settled it before a request arrives, together with the merging of
// resources on one host, short names, ports and gateways: a [Table] holds rules in the order in which Istio would try
// them, and the first that matches wins. So of the two rules
//
//	{"path": {"prefix": "/api"},    "outcome": "a"}
//	{"path": {"prefix": "/api/v2"}, "outcome": "b"}
//
// the second is never chosen, as in Istio, where the same two rules have the same order (VS-ORD-02). A request that
// matches no rule of its virtual host does not fall through to a virtual host with a wildcard domain (VS-GW-06).
//
// Rule numbers such as VS-MATCH-16 are those of docs/rules.md.
package routing
