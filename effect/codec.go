package effect

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/routing/regex"
)

// methods that Envoy's codec takes (balsa_parser.cc).
var methods = map[string]bool{}

func init() {
	for m := range strings.FieldsSeq("ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE " +
		"MSEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE") {
		methods[m] = true
	}
}

// methodQuery is one that not every Envoy knows, and that needs a content-type where it is known.
const methodQuery = "QUERY"

func sortedNames(h Headers) []string { return slices.Sorted(maps.Keys(h)) }

const tokenBytes = "!#$%&'*+-.^_`|~"

// isToken says whether a text is the name of a header.
func isToken(s string) bool { return s != "" && consistsOf(s, tokenBytes) }

// consistsOf says that a text has only letters and digits of ASCII, and some other bytes.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }

// isFieldValue says whether a text may be the value of a header: no control bytes but tabs.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// What a request's headers may come to where nothing else is said, as here (max_request_headers_kb, max_headers_count).
const (
	MaxHeaderBytes = regex.MaxValue
	maxHeaders     = 100
)

var headersTooLarge = &Refusal{Status: http.StatusRequestHeaderFieldsTooLarge}

// checkFirstLine is what the parser of HTTP/1.1 does before it looks at any header. query says that it knows the method
// QUERY.
func (r Request) checkFirstLine(query bool) *Refusal {
	known := methods[r.Method] || query && r.Method == methodQuery
	target := trimTarget(r.Path)
	if !known || !isTarget(target, r.Method == http.MethodConnect) {
		return badRequest
	}
	number, length := r.Headers.count()
	length += number*len(": \r\n") + len(r.Method+" "+r.Path+" HTTP/1.1\r\n") + len("Host: "+r.Authority+"\r\n") + len("\r\n")
	switch {
	case length > MaxHeaderBytes:
		return headersTooLarge
	case strings.Trim(r.Path, " \t\r") != target: // which may stand around it
		return badRequest
	default:
		return nil
	}
}

// trimTarget takes away what the parser takes for the end of a word: spaces and all control bytes.
func trimTarget(s string) string {
	return strings.TrimFunc(s, func(c rune) bool { return c <= ' ' })
}

// count is the number of lines, and the length of their names and values.
func (h Headers) count() (number, length int) {
	for name, values := range h {
		for _, v := range values {
			number++
			length += len(name) + len(v)
		}
	}
	return number, length
}

// checkHTTP1 is the codec of HTTP/1.1 after the parser. hostless says that Connection named Host, which takes it away.
func (r *Request) checkHTTP1() (refusal *Refusal, hostless bool) {
	number, _ := r.Headers.count()
	r.Path, r.Authority = trimTarget(r.Path), strings.Trim(r.Authority, " \t")
	if hosts := r.Headers["host"]; hosts != nil { // lines of Host are one, and so is the number of them
		number -= len(hosts)
		r.Authority = joined(append([]string{r.Authority}, hosts...))
		delete(r.Headers, "host")
	}
	switch {
	case !isFieldValue(r.Authority):
		return badRequest, false
	case number+1 > maxHeaders: // Host is one
		return headersTooLarge, false
	}
	if refusal := framed(r.Method, r.Headers); refusal != nil {
		return refusal, false
	}
	r.dropUpgradeToHTTP2()
	if !r.Upgrades() && r.Method != http.MethodConnect { // which keep their Connection as it is
		ok, host := nominated(r.Headers)
		if !ok {
			return badRequest, false
		}
		hostless = host && !strings.Contains(r.Path, "://") // a URL brings its own
	}
	return r.target(), hostless
}

// takenByHTTP2 is the codec of HTTP/2: methods are any word, and headers about the connection are an error. Where it is
// false, the stream or the connection is closed.
func (r *Request) takenByHTTP2(b version.Behaviour) bool {
	hosts, length := r.Headers["host"], r.Headers["content-length"]
	switch {
	case r.tooLargeForHTTP2(b), b.HTTP2RefusesRepeatedHost && len(hosts) > 1, slices.ContainsFunc(hosts, func(h string) bool {
		return h == "" && b.HTTP2RefusesEmptyHost || !isAuthority(h) || strings.Contains(h, "@")
	}):
		return false
	case r.Method == http.MethodConnect && r.Path != "", !isToken(r.Method), r.Authority == "" && b.HTTP2RefusesEmptyHost, !isAuthority(r.Authority), strings.Contains(r.Authority, "@"), !isPathHTTP2(r.Method, r.Path):
		return false
	case r.Headers["te"] != nil && !isTrailers(r.Headers["te"][0], b.HTTP2IgnoresCaseOfTE):
		return false
	case len(length) > 0 && !isNumber(length[0]):
		return false
	}
	for _, name := range []string{"connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding"} {
		if r.Headers[name] != nil {
			return false
		}
	}
	delete(r.Headers, "host") // :authority counts
	if cookie := r.cookie(); cookie == "" {
		delete(r.Headers, "cookie")
	} else {
		r.Headers["cookie"] = []string{cookie}
	}
	return true
}

// cookie is one line of the crumbs that HTTP/2 may make of it.
func (r *Request) cookie() string {
	crumbs := slices.Clone(r.Headers["cookie"])
	return strings.Join(slices.DeleteFunc(crumbs, func(c string) bool { return c == "" }), "; ")
}

// tooLargeForHTTP2 counts as Envoy does while headers arrive: not every version counts cookies and Host.
func (r *Request) tooLargeForHTTP2(b version.Behaviour) bool {
	others := maps.Clone(r.Headers)
	delete(others, "cookie")
	if !b.HTTP2CountsHost {
		delete(others, "host")
	}
	number, length := others.count()
	pseudo := []string{":method", r.Method, ":authority", r.Authority}
	if r.Method != http.MethodConnect {
		pseudo = append(pseudo, ":scheme", cmp.Or(r.Scheme, "http"), ":path", r.Path)
	}
	number += len(pseudo) / 2
	length += len(strings.Join(pseudo, ""))
	crumbs := r.Headers["cookie"]
	if b.HTTP2CountsCookies {
		number += len(crumbs)
		length += len(r.cookie())
	}
	return number > maxHeaders || length > MaxHeaderBytes || b.HTTP2BoundsEachCrumb && slices.ContainsFunc(crumbs, func(c string) bool {
		return len("cookie"+c) > MaxHeaderBytes
	})
}

// isTrailers says that TE is the one word that HTTP/2 allows, in lower case or in any.
func isTrailers(te string, ignoreCase bool) bool {
	return te != "" && !slices.ContainsFunc(tokens(te), func(t string) bool {
		return t != "trailers" && (!ignoreCase || !strings.EqualFold(t, "trailers"))
	})
}

// isPathHTTP2 says whether a :path begins like one, without control bytes; of CONNECT it is empty.
func isPathHTTP2(method, path string) bool {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return method == http.MethodConnect || strings.HasPrefix(path, "/") || method == http.MethodOptions && path == "*"
}

// target takes a target with a scheme apart: its host counts, and Host does not.
func (r *Request) target() *Refusal {
	if r.Path[0] == '*' && r.Method != http.MethodOptions {
		return badRequest
	}
	if r.Method == http.MethodConnect {
		if port, ok := portOf(r.Path); !ok || !isNumber(port) {
			return badRequest
		}
		r.Authority, r.Path = r.Path, ""
	} else if scheme, rest, ok := strings.Cut(r.Path, "://"); ok && r.Path[0] != '/' && r.Path[0] != '*' {
		host, path := cutAt(rest, "/?#")
		path = cmp.Or(path, "/")
		if _, bare, ok := strings.Cut(host, "@"); ok { // who asks is nobody's business
			if host = bare; strings.Contains(bare, "@") {
				return badRequest
			}
		}
		if port, ok := portOf(host); ok {
			if n, err := strconv.Atoi(port); err != nil || n > 65535 {
				return badRequest
			}
		}
		isHTTPS := strings.EqualFold(scheme, "https")
		switch {
		case host == "", !isHTTPS && !strings.EqualFold(scheme, "http"):
			return badRequest
		case isHTTPS && !r.TLS:
			return &Refusal{Status: http.StatusForbidden}
		}
		r.Authority, r.Path = host, path
	}
	if !isAuthority(r.Authority) {
		return badRequest
	}
	return nil
}

// isTarget is what the parser takes: a path, an asterisk, or, except for CONNECT, a URL.
func isTarget(s string, connect bool) bool {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "*") {
		return isVisible(s)
	}
	if !connect {
		scheme, rest, ok := strings.Cut(s, "://")
		if !ok || !isScheme(scheme) {
			return false
		}
		s = rest
	} else if s == "" {
		return false
	}
	host, path := cutAt(s, "/?")
	return isAuthority(host) && !strings.Contains(host, "@@") && isVisible(path)
}

// isVisible says that a text has only bytes of ASCII that are seen.
func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' {
			return false
		}
	}
	return true
}

// isScheme says whether a text may be a URL's scheme.
func isScheme(s string) bool { return s != "" && s[0] > '9' && consistsOf(s, "+-.") }

// isAuthority says whether a Host is one: the bytes of a host, a port and user information.
func isAuthority(s string) bool { return consistsOf(s, "!$%&'()*+,-.:;=@[]_~") }

// cutAt cuts a text before the first of some bytes.
func cutAt(s, bytes string) (before, from string) {
	if i := strings.IndexAny(s, bytes); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// portOf is what stands behind the colon of a host, which an address of IPv6 has more of.
func portOf(host string) (port string, ok bool) {
	_, port, ok = strings.Cut(host[strings.LastIndexByte(host, ']')+1:], ":")
	return port, ok
}

// framed refuses a body whose length is not clear.
func framed(method string, h Headers) *Refusal {
	length, coding := h["content-length"], h["transfer-encoding"]
	if method == http.MethodConnect && len(length) > 0 && length[0] == "0" {
		length = nil // it has no body in any case
	}
	switch {
	case len(length) > 0 && (len(coding) > 0 || method == http.MethodConnect || !isNumber(length[0])):
		return badRequest
	case len(coding) > 0 && (method == http.MethodConnect || !strings.EqualFold(coding[0], "chunked")):
		return &Refusal{Status: http.StatusNotImplemented}
	default:
		return nil
	}
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) < 20
}

// tokens of a header that is a list, without spaces around.
func tokens(value string) []string {
	var out []string
	for t := range strings.SplitSeq(value, ",") {
		if t = strings.Trim(t, " \t"); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// mostNominated is how many names Connection may have.
const mostNominated = 10

// nominated removes the headers that Connection names, and these names. ok is false where a name must not be there, and
// host says that Host was one.
func nominated(h Headers) (ok, host bool) {
	connection := h["connection"]
	if len(connection) == 0 {
		return true, false
	}
	all := tokens(connection[0])
	if len(all) >= mostNominated {
		return false, false
	}
	var left []string
	for _, t := range all {
		switch name := strings.ToLower(t); {
		case name == "close" || name == "keep-alive" || name == "http2-settings" || name == "upgrade":
			left = append(left, t)
		case name == "connection":
		case name == "host":
			host = true
		case name == "x-forwarded-for" || name == "x-forwarded-host" || name == "x-forwarded-proto" || strings.HasPrefix(name, ":"):
			return false, false
		case name == "te":
			if sanitizeTE(h) {
				left = append(left, t)
			}
		default:
			delete(h, name)
		}
	}
	if len(left) == 0 {
		delete(h, "connection")
	} else {
		h["connection"] = []string{strings.Join(left, ",")}
	}
	return true, host
}

// sanitizeTE leaves of TE the one word that a proxy may pass on, and says whether it is there.
func sanitizeTE(h Headers) bool {
	for _, t := range tokens(h.first("te")) {
		if strings.EqualFold(t, "trailers") {
			h["te"] = []string{"trailers"}
			return true
		}
	}
	delete(h, "te")
	return false
}

// Upgrades says that a request asks for another protocol.
func (r Request) Upgrades() bool {
	if h := r.Headers["upgrade"]; len(h) == 0 {
		return false
	}
	return slices.ContainsFunc(tokens(r.Headers.first("connection")), func(t string) bool { return strings.EqualFold(t, "upgrade") })
}

// IsWebsocket says that it is the one that is allowed (GW-HCM-07).
func (r Request) IsWebsocket() bool {
	return strings.EqualFold(r.Headers.first("upgrade"), "websocket")
}

// dropUpgradeToHTTP2 ignores h2c alone, as Envoy's codec does.
func (r Request) dropUpgradeToHTTP2() {
	if !r.Upgrades() || !strings.EqualFold(r.Headers.first("upgrade"), "h2c") {
		return
	}
	left := slices.DeleteFunc(tokens(r.Headers.first("connection")), func(t string) bool {
		return strings.EqualFold(t, "upgrade") || strings.EqualFold(t, "http2-settings")
	})
	for _, name := range []string{"upgrade", "http2-settings", "connection"} {
		delete(r.Headers, name)
	}
	if len(left) > 0 {
		r.Headers["connection"] = []string{strings.Join(left, ",")}
	}
}
