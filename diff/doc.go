// Package diff finds what a change of resources changes in behaviour: which requests are answered in another way, host by
// host and port by port. Rules that only move, or are written in another way, are no change.
//
// A change is a pair: the rule that took some requests before, and the rule that takes them now, if clients or destinations
// notice a difference. Each has a request that shows it. Package space searches the requests, and effect compares what rules
// do.
//
// The hard case is a rule that moves before another one. Nothing about either of them has changed, and what both match does:
//
//	before: prefix /a -> one, header x: 1 -> two     /a with x: 1 goes to one
//	now:    header x: 1 -> two, prefix /a -> one     /a with x: 1 goes to two: a change of this pair, and of no other
package diff
