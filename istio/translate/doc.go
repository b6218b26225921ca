// Package translate works out one [plan.Plan] for one proxy from a set of valid resources: it links and orders them.
//
// It decides everything that does not depend on a request: which Gateway servers the proxy serves, which VirtualServices
// apply to them, in which order their rules are tried, which destinations exist. It knows no Envoy types and looks at no
// request. It reads no files: who wants certificates in files to be looked at hands in a function that reads them.
//
// The hard case is order. Three VirtualServices on one host, a delegate, a rule without conditions in the middle: what
// is tried first follows from age, name, export, server and shape, and nothing else. All of it is in order.go, each
// rank with its reason.
//
//	vs a (older):  prefix /api -> one      vs b (younger):  prefix /api/v2 -> two
//	               (no match)  -> rest
//
// gives /api, /api/v2, rest: b's rule is shadowed by a's prefix, and a's catch-all is moved to the end (VS-ORD-01,
// VS-ORD-02). That is at a gateway. In the mesh nothing is merged: a sidecar's plan has a's two rules alone (VS-MESH-01).
package translate
