package suite

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"waymark.dev/waymark/verdict"
)

// own reads a document of Waymark's own format, which docs/testing.md describes.
func (r *reader) own(root *yaml.Node) (out []*Test) {
	m := r.strict(root, "file", "tests")
	if m == nil || !m.has("tests") {
		return nil
	}
	for _, n := range list(m.at("tests")) {
		if t := r.ownTest(n); t != nil {
			out = append(out, t)
		}
	}
	return out
}

func (r *reader) ownTest(n *yaml.Node) *Test {
	m := r.strict(n, "test", "name", "request", "requests", "expect")
	if m == nil {
		return nil
	}
	t := &Test{Line: m.node.Line}
	if name := m.at("name"); name == nil {
		r.fail(m.node, "test: name is missing")
	} else {
		t.Name, _ = r.text(name, "name")
	}
	switch one, more := m.at("request"), m.at("requests"); {
	case (one == nil) == (more == nil):
		r.fail(m.node, "test %q: needs either request or requests", t.Name)
	case one != nil:
		t.Requests = r.ownRequests(one, "request")
	default:
		for _, entry := range list(more) {
			t.Requests = append(t.Requests, r.ownRequests(entry, "requests")...)
		}
	}
	if expect := m.at("expect"); expect == nil {
		r.fail(m.node, "test %q: expect is missing", t.Name)
	} else {
		t.Checks = r.expect(expect, "expect", false)
	}
	return t
}

// requestKeys are the keys of a request that is an object.
var requestKeys = []string{"authority", "method", "path", "headers", "port", "tls", "sni", "scheme", "client", "protocol"}

// ownRequests reads a request: "GET https://a.test/path", or an object whose lists are multiplied.
func (r *reader) ownRequests(n *yaml.Node, what string) []Request {
	if n.Kind == yaml.ScalarNode {
		q, ok := r.line(n, what)
		if !ok {
			return nil
		}
		return []Request{q}
	}
	m := r.strict(n, what, requestKeys...)
	if m == nil {
		return nil
	}
	p := product{paths: []string{"/"}}
	if v := m.at("authority"); v != nil {
		p.authorities = r.texts(v, what+".authority")
	} else {
		r.fail(m.node, "%s: authority is missing", what)
	}
	if v := m.at("method"); v != nil {
		p.methods = r.texts(v, what+".method")
	}
	if v := m.at("path"); v != nil {
		p.paths = r.texts(v, what+".path")
	}
	if v := m.at("headers"); v != nil {
		for _, entry := range list(v) {
			p.headers = append(p.headers, r.headers(entry, what+".headers"))
		}
	}
	if v := m.at("port"); v != nil {
		port, _ := r.number(v, what+".port", 1, math.MaxUint16)
		p.common.GatewayPort = uint32(port)
	}
	if v := m.at("tls"); v != nil {
		p.common.TLS = r.boolean(v, what+".tls")
	}
	for key, to := range map[string]*string{"sni": &p.common.SNI, "scheme": &p.common.Scheme, "client": &p.common.Client, "protocol": &p.common.Protocol} {
		if v := m.at(key); v != nil {
			*to, _ = r.text(v, what+"."+key)
		}
	}
	if p.common.SNI != "" && !p.common.TLS {
		r.fail(m.at("sni"), "%s.sni: only a request with tls: true has a server name", what)
	}
	if protocol := p.common.Protocol; protocol != "" && protocol != verdict.HTTP1 && protocol != verdict.HTTP2 {
		r.fail(m.at("protocol"), "%s.protocol: %q is neither %s nor %s", what, protocol, verdict.HTTP1, verdict.HTTP2)
	}
	return p.requests()
}

// line reads a request in one line: a method, which may be left out, and an address. A port of the address is that of the
// listener; the port of the scheme is not part of the authority, since clients leave it out.
func (r *reader) line(n *yaml.Node, what string) (q Request, ok bool) {
	text, ok := r.text(n, what)
	if !ok {
		return q, false
	}
	q.Method = "GET"
	if method, rest, both := strings.Cut(text, " "); both {
		q.Method, text = method, strings.TrimSpace(rest)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		r.fail(n, "%s: %q is not a method and an address, such as GET https://shop.example.com/cart", what, n.Value)
		return q, false
	}
	q.Secure, q.Authority = u.Scheme == "https", u.Host
	if port := u.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			r.fail(n, "%s: the port %q is not a number from 1 to 65535", what, port)
			return q, false
		}
		q.GatewayPort = uint32(number)
		if number == map[bool]uint64{false: 80, true: 443}[q.Secure] {
			q.Authority = strings.TrimSuffix(u.Host, ":"+port)
		}
	}
	_, rest, _ := strings.Cut(text, "://")
	rest, _, _ = strings.Cut(rest, "#")
	q.Path = "/" // the path as it is written: no escape is decoded
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		q.Path = "/" + strings.TrimPrefix(rest[i:], "/")
	}
	return q, true
}

// headers reads the headers of one request: a value is a text, or a list for a header that is repeated.
func (r *reader) headers(n *yaml.Node, what string) map[string]verdict.Values {
	m := r.object(n, what)
	if m == nil {
		return nil
	}
	out := map[string]verdict.Values{}
	for _, key := range m.keys {
		out[strings.ToLower(key.Value)] = r.texts(m.at(key.Value), what+"."+key.Value)
	}
	return out
}
