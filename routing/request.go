package routing

import (
	"strings"
	"unsafe"
)

// Request is what [Table.Decide] looks at. One Request may be used again and again; Decide keeps no reference to it.
//
// It is the request as Envoy hands it to a filter: path normalised, names in lower case, one entry per header line,
// Host in Authority.
type Request struct {
	// Method, Scheme, Authority and Path are the pseudo-headers. Path includes the query.
	Method, Scheme, Authority, Path string
	// HasMethod and so on say that the pseudo-header was there at all; an absent one matches no value.
	HasMethod, HasScheme, HasAuthority, HasPath bool
	// Headers are all others, in order of arrival, names in lower case.
	Headers []Header

	joined  []byte  // scratch for values joined by commas
	machine Machine // and for regular expressions
}

// Header is one header line.
type Header struct{ Name, Value string }

// Reset empties the request and keeps its memory.
func (r *Request) Reset() {
	*r = Request{Headers: r.Headers[:0], joined: r.joined[:0], machine: r.machine}
}

// Set adds one header line, or sets the pseudo-header of that name. The name must be in lower case; "host" is another
// word for :authority, as in Envoy's header map.
func (r *Request) Set(name, value string) {
	if len(name) > 0 && name[0] == ':' || name == "host" {
		switch name {
		case ":method":
			r.Method, r.HasMethod = value, true
			return
		case ":scheme":
			r.Scheme, r.HasScheme = value, true
			return
		case ":authority", "host":
			r.Authority, r.HasAuthority = value, true
			return
		case ":path":
			r.Path, r.HasPath = value, true
			return
		}
	}
	r.Headers = append(r.Headers, Header{name, value})
}

// pathOnly is the path that rules are compared with: everything before the first "?" or "#" (VS-MATCH-09).
func pathOnly(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

// join returns the values of a header that occurs several times, first being its first line, joined by commas.
func (r *Request) join(first int, name string) string {
	r.joined = append(r.joined[:0], r.Headers[first].Value...)
	for _, h := range r.Headers[first+1:] {
		if h.Name == name {
			r.joined = append(r.joined, ',')
			r.joined = append(r.joined, h.Value...)
		}
	}
	// The string is used for one comparison, before the scratch is written again.
	return unsafe.String(unsafe.SliceData(r.joined), len(r.joined))
}
