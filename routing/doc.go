// Package routing is the rule engine: it compiles a plugin configuration into a [Table] and decides, for one request
// at a time, which outcome of which rule applies.
//
// It decides what Istio's VirtualService rules say and nothing else: which virtual host a request belongs to, which
// rule of that host matches first, which destination of a split is taken and whether a fault strikes. It never acts.
// There is no clock, no random source, no I/O and no logging in here: dice are thrown by the caller and come in as
// an argument, so that the same request with the same dice gets the same answer in the proxy, in a test and offline.
//
// The hard case is that everything has been decided before the request came. Order, merging of resources on one host,
// short names, ports and gateways are settled by the translator; a [Table] holds rules in the order in which Istio
// would try them, and the first that matches wins. So two rules
//
//	{"path": {"prefix": "/api"},    "outcome": "a"}
//	{"path": {"prefix": "/api/v2"}, "outcome": "b"}
//
// never give b: that is what the same two rules do in Istio, in that order (VS-ORD-02), and a virtual host whose rules
// all fail does not fall through to a wildcard one (VS-GW-06).
//
// Rule numbers such as VS-MATCH-16 are those of docs/rules.md.
package routing
