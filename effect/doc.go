// Package effect computes what Envoy does to a request before any rule is tried, and what a chosen rule does to request
// and response.
//
// [Intake] is Envoy before the rules: its codec, which refuses requests, and its connection manager, which normalises
// paths and sets headers. A [Rule] changes request and response: path, authority, headers, Location, CORS.
// [CheckWritable] and [CheckFormat] check the texts of users that Envoy writes into messages. The package chooses no
// rule and sends nothing. `waymark decide` and the embedded data plane use it, and tests compare it with real Envoys.
//
// The hard case is the split. Istio makes one Envoy route of a rule, with weighted clusters; Waymark makes one outcome
// for each destination, so that the filter can choose. Header operations of destinations must have the same result:
// those of an only destination are appended to the rule's (VS-HDR-05); with several destinations, those of the chosen
// one are applied before the rule's (VS-HDR-06).
package effect
