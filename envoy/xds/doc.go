// Package xds gives Envoys what a plan became, over ADS: delta, and state of the world for older set-ups.
//
// It decides when a proxy gets which step of a change, never what is in it or in which order: the steps are those of
// [envoy.Sequence]. A proxy gets a step once it has acknowledged the one before. One that refuses a step, or is silent, stays
// where it is, which is a state that works, and all others go on. Versions are hashes of content, so a server that was started
// anew and has nothing new sends nothing.
//
// The parts, from the outside in:
//
//   - [Server] has groups of proxies that get the same. [Server.Update] gives each group a target.
//   - A stream (stream.go) reads requests and sends responses. All decisions are in the state machine of its proxy, which has
//     no clock and sends nothing itself: proxy.go has its way through the stages, subscription.go what it has asked for and
//     has, lacking.go what it is sent next.
//   - A collection (state.go) is all resources of one type at one moment, by name and version, shared by all proxies that have
//     the same. A view has one of each type. stages.go has the views between two targets, worked out once for a group.
//   - Responses (encode.go) are encoded once for all proxies that get the same; only the nonce is each one's own.
//   - store.go keeps the last targets on disk; waves.go and load.go let a part of the fleet go first.
//
// The hard case is an Envoy that comes back in the middle of a change, to a server that was started anew. It reports the
// versions that it has. Which outcomes its filter may choose follows from the version of the plugin configuration, and the
// routes that it must keep from the target that had this configuration, which is on disk:
//
//	reported     routes a+b, plugin configuration a        before the restart, routes were merged and the filter was next
//	target       routes c,   plugin configuration c
//	steps        routes a+c, then plugin configuration c; the rest of a goes with the next change
package xds
