// Package envoy builds Envoy's resources from a plan: pure functions over go-control-plane types, each message checked
// by the validation rules of Envoy's own API.
//
// It decides nothing about rules or order; it says in Envoy's words what the plan says. Its one hard case is that a rule
// is written in two ways that must mean the same: as an entry per outcome in a map that the filter's header chooses
// from (--matching filter), and as one route with weighted clusters in an ordinary list (--matching native). Both are
// made of the same parts, by [routeMatch], [action] and their kin, and both carry the rule's own match: Envoy checks it
// again after the filter has chosen.
package envoy
