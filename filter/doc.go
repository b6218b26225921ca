// Package filter is the plugin: it keeps the configuration of each root context and makes one decision per request.
// Package routing decides; this package has no rules of its own. It reads and writes headers through hostcalls.
//
// A request costs one bulk read of its headers and one written header, x-waymark-route; a fault is one or two headers
// more, which Envoy's fault filter obeys. The same headers are removed if a client sends them. Whenever there is no
// decision, the request has no x-waymark-route, and so gets no route: the filter fails closed.
//
// The hard case is a change of configuration. Envoy then makes a second root context in the same VM, while the first
// one remains until its last stream has ended. So a Table belongs to a root context, never to the package, and is
// dropped when the host deletes that context. proxy_on_delete is exported only for this.
//
// A stream has no state but its root context. A host makes the context of a stream right before it passes the headers
// of the request, so the context that was made last is nearly always the next one whose headers arrive. Earlier ones
// are kept in a map, which is needed only if a host makes several contexts first.
package filter
