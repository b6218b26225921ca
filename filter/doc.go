// Package filter is the plugin: it keeps the configuration of each root context and makes one decision per request. It
// asks routing, and acts through hostcalls; it holds no rule logic.
//
// A request costs one bulk read of its headers and one header written, x-waymark-route; a fault is one or two headers
// more, which Envoy's fault filter obeys. The same headers sent by a client are removed. Every way out that is not a
// decision leaves the request without x-waymark-route, and so without a route: the filter fails closed.
//
// The hard case is a change of configuration. Envoy then makes a second root context in the same VM, while the first
// lives on until its last stream has ended. So a Table belongs to a root context, never to the package, and goes when
// the host deletes that context. proxy_on_delete is exported for this alone.
//
// Streams have no state. A host makes a stream's context right before it hands over the request's headers, so that the
// last one made is nearly always the one asked for next; only where a host makes several first are they remembered.
package filter
