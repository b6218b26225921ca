// Package translate works out one [plan.Plan] for one proxy from a set of valid resources: it links and orders them.
//
// It decides everything that does not depend on a request: which Gateway servers the proxy serves, which
// VirtualServices apply to them, in which order their rules are tried, which destinations exist. It does not use
// Envoy's types, and does not read files: a caller that wants certificates in files to be checked sets
// [Options.ReadFile].
//
// The hard case is order: which rule is tried first where several VirtualServices have the same host, some with
// delegates or with a rule without conditions in the middle. It follows from the age, name and export of the resources,
// the server, and the conditions of the rules. All of it is in order.go, each rank with its reason.
//
//	vs a (older):  prefix /api -> one      vs b (younger):  prefix /api/v2 -> two
//	               (no match)  -> rest
//
// gives /api, /api/v2, rest at a gateway: b's rule is never reached because of a's prefix, and a's catch-all is moved
// to the end (VS-ORD-01, VS-ORD-02). In the mesh VirtualServices are not merged: a sidecar's plan has only a's two
// rules (VS-MESH-01).
package translate
