// Package envoy builds Envoy's resources from a plan: pure functions over go-control-plane types, each message checked
// by the validation rules of Envoy's own API.
//
// It decides nothing about rules or their order; it writes what the plan has in Envoy's words. Its parts, in the order in
// which a plan passes through them:
//
//   - [Build] makes the [Resources] of a plan for the Envoy that [Options] describe: listeners, clusters, routes and so on
//     by their [Key]. [Bootstrap] is the same in one message, and [Validation] one for Envoy's --mode validate.
//   - [Choices] are the strategies by which virtual hosts are matched: by the filter, a list or a tree.
//   - [Sequence] is the steps from one set of resources to another, make before break. Package envoy/files delivers them.
//   - [Path] is where a resource is found below the folder that Envoy watches.
//
// [RouteMatch], [RetryPolicy] and others write single policies, for documents that show them as Envoy has them.
//
// The one hard case is that a rule is written in two forms that must mean the same: as an entry per outcome in a map that is
// searched by the filter's header (--matching filter), and as one route with weighted clusters in an ordinary list
// (--matching native). For a rule that sends one request in ten to v2:
//
//	filter    x-waymark-route: k7f3…  ->  the rule's match, v1       native    the rule's match  ->  v1 90, v2 10
//	          x-waymark-route: k9c2…  ->  the rule's match, v2
//
// Both are made of the same parts, and both carry the rule's own match: Envoy checks it again after the filter has chosen.
package envoy
