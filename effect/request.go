package effect

import (
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// Request is a request as a client sends it. A Scheme of "" follows the connection.
type Request struct {
	Method, Scheme, Authority, Path string
	// Headers by lower-case name; several values are several lines.
	Headers Headers
	// TLS says that the connection is encrypted.
	TLS bool
	// ClientCertificate says that the client showed one.
	ClientCertificate bool
	// HTTP2 says that the request is one of HTTP/2.
	HTTP2 bool
	// Client is the address of the connection's other end; "" where it is not known.
	Client string
}

// Headers are header lines by lower-case name.
type Headers map[string][]string

func (h Headers) clone() Headers {
	out := make(Headers, len(h))
	for name, values := range h {
		out[name] = slices.Clone(values)
	}
	return out
}

// first is the first line of a name, or "".
func (h Headers) first(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// singleHeaders are those that Envoy keeps in one entry: a further line is joined to it by a comma, an empty one is
// dropped. (Envoy: the inline headers of envoy/http/header_map.h, and those that its CORS and other filters register.)
var singleHeaders = map[string]bool{
	"accept": true, "accept-encoding": true, "access-control-request-headers": true, "access-control-request-method": true,
	"authorization": true, "cache-control": true, "connection": true, "content-length": true, "content-type": true, "expect": true,
	"grpc-accept-encoding": true, "grpc-timeout": true, "if-match": true, "if-modified-since": true, "if-none-match": true,
	"if-range": true, "if-unmodified-since": true, "keep-alive": true, "origin": true, "proxy-connection": true, "referer": true, "te": true,
	"transfer-encoding": true, "upgrade": true, "user-agent": true, "via": true, "x-client-trace-id": true,
	"x-forwarded-client-cert": true, "x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-proto": true, "x-request-id": true,
	"access-control-request-private-network": true, "x-envoy-original-path": true,
}

// add appends a line, or joins it to the one that Envoy keeps.
func (h Headers) add(name, value string) {
	if h[name] = append(h[name], value); singleHeaders[name] {
		h[name] = []string{joined(h[name])}
	}
}

// joined are the lines of a header of which Envoy keeps one: empty ones are dropped.
func joined(lines []string) string {
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), ",")
}

// Routing writes the request, which must be a received one, into the form that rules are asked with.
func (r Request) Routing(into *routing.Request) {
	into.Reset()
	into.Set(":method", r.Method)
	into.Set(":scheme", r.Scheme)
	into.Set(":authority", r.Authority)
	into.Set(":path", r.Path)
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		for _, value := range r.Headers[name] {
			into.Set(name, value)
		}
	}
}

// Domain is the domain of a virtual host that takes an authority: the exact one, else the longest suffix, else "*".
// It is "" where none does.
func Domain(h *plan.VirtualHost, authority string) string {
	host := strings.ToLower(routing.Host(authority))
	best := ""
	for _, d := range h.Domains {
		switch {
		case d == host:
			return d
		case d == "*" && best == "":
			best = d
		case strings.HasPrefix(d, "*") && len(host) > len(d)-1 && strings.HasSuffix(host, d[1:]) && len(d) > len(best):
			best = d
		}
	}
	return best
}

// HostFor is the virtual host that takes an authority, or nil: the one with the exact domain, else with the longest
// suffix, else with "*" (VS-GW-05).
func HostFor(rc *plan.RouteConfig, authority string) *plan.VirtualHost {
	var best *plan.VirtualHost
	length := -1
	for _, h := range rc.VirtualHosts {
		d := Domain(h, authority)
		switch {
		case d == "":
		case !strings.HasPrefix(d, "*"):
			return h
		case len(d) > length:
			best, length = h, len(d)
		}
	}
	return best
}
