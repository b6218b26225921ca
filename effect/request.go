package effect

import (
	"maps"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// Request is a request as a client sends it, or as Envoy received it; see [Intake.Receive]. If Scheme is "", it depends
// on the connection.
type Request struct {
	Method, Scheme, Authority, Path string
	// Headers are by lower-case name; several values are several lines.
	Headers Headers
	// TLS is set if the connection is encrypted.
	TLS bool
	// ClientCertificate is set if the client presented a certificate.
	ClientCertificate bool
	// HTTP2 is set if the request is sent by HTTP/2, else it is sent by HTTP/1.1.
	HTTP2 bool
	// Client is the IP address of the client's end of the connection, without port; "" if it is not known.
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

// first returns the value of the first line with a name, or "".
func (h Headers) first(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// singleHeaders are the headers that Envoy keeps in one entry: the value of a further line is appended to it after a
// comma, and an empty one is dropped. (Envoy: the inline headers of envoy/http/header_map.h, and those that its CORS
// and other filters register.)
var singleHeaders = map[string]bool{
	"accept": true, "accept-encoding": true, "access-control-request-headers": true, "access-control-request-method": true,
	"authorization": true, "cache-control": true, "connection": true, "content-length": true, "content-type": true, "expect": true,
	"grpc-accept-encoding": true, "grpc-timeout": true, "if-match": true, "if-modified-since": true, "if-none-match": true,
	"if-range": true, "if-unmodified-since": true, "keep-alive": true, "origin": true, "proxy-connection": true, "referer": true, "te": true,
	"transfer-encoding": true, "upgrade": true, "user-agent": true, "via": true, "x-client-trace-id": true,
	"x-forwarded-client-cert": true, "x-forwarded-for": true, "x-forwarded-host": true, "x-forwarded-proto": true, "x-request-id": true,
	"access-control-request-private-network": true, "x-envoy-original-path": true,
}

// IsSingleHeader reports whether Envoy keeps the lines of a header, by its name in lower case, as one.
func IsSingleHeader(name string) bool { return singleHeaders[name] }

// IsRemoved reports whether Envoy, or the filter, removes a header of a client before any rule is tried.
func IsRemoved(name string) bool {
	return slices.Contains(internalHeaders, name) || slices.Contains(routing.DecisionHeaders[:], name) ||
		slices.Contains([]string{"proxy-connection", "keep-alive", "transfer-encoding"}, name)
}

// add appends a line, or joins its value to the line that there is for one of singleHeaders.
func (h Headers) add(name, value string) {
	if h[name] = append(h[name], value); singleHeaders[name] {
		h[name] = []string{joined(h[name])}
	}
}

// joined returns the lines of one of singleHeaders as one line.
func joined(lines []string) string {
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), ",")
}

// Routing writes the request into the form that package routing decides on. The request must be the result of
// [Intake.Receive].
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

// Domain returns the domain of a virtual host that matches an authority: the exact domain, else the longest suffix,
// else "*"; "" if there is none.
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

// HostFor returns the virtual host for an authority: the one with the exact domain, else with the longest suffix, else
// with "*"; nil if there is none (VS-GW-05).
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

// ChainFor returns the index of the filter chain that Envoy gives a connection to: that with the most specific server name,
// else the one without names; -1 if there is none. The server name is "" for a connection without TLS, or without SNI.
func ChainFor(l *plan.Listener, serverName string) int {
	serverName = strings.ToLower(serverName)
	best, length := -1, -1
	for i, c := range l.Chains {
		if len(c.ServerNames) == 0 && length < 0 {
			best, length = i, 0
		}
		for _, name := range c.ServerNames {
			n := 0
			switch {
			case name == serverName:
				n = 1 << 16 // exact
			case strings.HasPrefix(name, "*.") && strings.HasSuffix(serverName, name[1:]):
				n = len(name)
			}
			if n > 0 && n > length {
				best, length = i, n
			}
		}
	}
	return best
}
