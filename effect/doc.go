// Package effect is what a proxy does with a request, in plain Go: before any rule, and by a rule that was chosen.
//
// [Intake] is Envoy before a rule: its codec, which refuses, and its connection manager, which normalises paths and sets
// headers. A [Rule] is what the outcome of a rule does to request and response: path, authority, headers, Location, CORS.
// [CheckWritable] and [CheckFormat] say what Envoy can write where. It chooses no rule and sends nothing; `waymark decide`
// and the embedded data plane ask it, and tests hold it against real Envoys.
//
// The hard case is the split. Istio makes one Envoy route of a rule, with weighted clusters; Waymark makes one outcome per
// destination, so that the filter may choose. Header operations of destinations must come out the same: of one
// destination they are appended to the rule's (VS-HDR-05), of several the chosen destination's run before the rule's
// (VS-HDR-06).
package effect
