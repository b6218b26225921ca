package suite

import (
	"strings"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/verdict"
)

// product has the values of which each combination is a request.
type product struct {
	authorities, methods, paths []string
	headers                     []map[string]verdict.Values
	common                      Request // what all have
}

// requests are the combinations: authorities first, then methods, paths and headers.
func (p product) requests() (out []Request) {
	methods, headers := p.methods, p.headers
	if len(methods) == 0 {
		methods = []string{"GET"}
	}
	if len(headers) == 0 {
		headers = []map[string]verdict.Values{nil}
	}
	for _, authority := range p.authorities {
		for _, method := range methods {
			for _, path := range p.paths {
				for _, h := range headers {
					q := p.common
					q.Authority, q.Method, q.Path, q.Headers = authority, method, path, h
					out = append(out, q)
				}
			}
		}
	}
	return out
}

// bySecure is the request of a client that speaks https, to a listener that terminates TLS.
func (q Request) bySecure() verdict.Request {
	out := q.Request
	out.TLS = true
	if host := routing.Host(q.Authority); out.SNI == "" && !names.IsAddress(strings.Trim(host, "[]")) { // an address is not sent
		out.SNI = strings.ToLower(host)
	}
	return out
}

// byProxy is the request of a client that speaks https, to a listener without TLS.
func (q Request) byProxy() verdict.Request {
	out := q.Request
	if out.Scheme == "" {
		out.Scheme = "https"
	}
	return out
}

// lacksHost reports whether a verdict is that of a listener without the host or without TLS.
func lacksHost(v *verdict.Verdict) bool {
	switch v.Kind {
	case verdict.TLSError, verdict.NoFilterChain, verdict.NoListener, verdict.NoVirtualHost, verdict.TCP:
		return true
	}
	return false
}

// decide asks for the verdict on a request, and returns the request that was decided.
func (s *Rules) decide(q Request) (verdict.Request, *verdict.Verdict) {
	if !q.Secure {
		return q.Request, s.Judge.Decide(q.Request)
	}
	secure := q.bySecure()
	v := s.Judge.Decide(secure)
	if lacksHost(v) {
		plain := q.byProxy()
		if p := s.Judge.Decide(plain); !lacksHost(p) {
			return plain, p
		}
	}
	return secure, v
}
