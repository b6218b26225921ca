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

// methods are the methods that Envoy's codec accepts (balsa_parser.cc).
var methods = map[string]bool{}

func init() {
	for m := range strings.FieldsSeq("ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE " +
		"MSEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE") {
		methods[m] = true
	}
}

// methodQuery is a method that not every version of Envoy accepts. Those that do require a content-type with it.
const methodQuery = "QUERY"

func sortedNames(h Headers) []string { return slices.Sorted(maps.Keys(h)) }

const tokenBytes = "!#$%&'*+-.^_`|~"

// isToken reports whether a text is a token (RFC 9110), as names of headers are.
func isToken(s string) bool { return s != "" && consistsOf(s, tokenBytes) }

// consistsOf reports whether a text has only ASCII letters, digits and the bytes in others.
func consistsOf(s, others string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }

// isFieldValue reports whether a text may be the value of a header: it has no control bytes but tabs.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Envoy's default limits on the headers of a request, in bytes and in lines (max_request_headers_kb,
// max_headers_count).
const (
	MaxHeaderBytes = regex.MaxValue
	maxHeaders     = 100
)

var headersTooLarge = &Refusal{Status: http.StatusRequestHeaderFieldsTooLarge}

// checkFirstLine checks what the parser of HTTP/1.1 checks before it reads headers.
func (r Request) checkFirstLine(b version.Behaviour) *Refusal {
	known := IsMethod(r.Method, b)
	target := trimTarget(r.Path)
	if !known || !isTarget(target, r.Method == http.MethodConnect) {
		return badRequest
	}
	number, length := r.Headers.count()
	length += number*len(": \r\n") + len(r.Method+" "+r.Path+" HTTP/1.1\r\n") + len("Host: "+r.Authority+"\r\n") + len("\r\n")
	switch {
	case length > MaxHeaderBytes:
		return headersTooLarge
	case strings.Trim(r.Path, " \t\r") != target: // only these bytes may be around the target
		return badRequest
	default:
		return nil
	}
}

// trimTarget removes the bytes around a target at which the parser ends a word: spaces and all control bytes.
func trimTarget(s string) string {
	return strings.TrimFunc(s, func(c rune) bool { return c <= ' ' })
}

// count returns the number of lines, and the length of their names and values in bytes.
func (h Headers) count() (number, length int) {
	for name, values := range h {
		for _, v := range values {
			number++
			length += len(name) + len(v)
		}
	}
	return number, length
}

// checkHTTP1 does what the codec of HTTP/1.1 does after the parser. hostless is set if Connection names Host, so that
// Envoy removes it and the connection manager refuses the request.
func (r *Request) checkHTTP1() (refusal *Refusal, hostless bool) {
	number, _ := r.Headers.count()
	r.Path, r.Authority = trimTarget(r.Path), strings.Trim(r.Authority, " \t")
	if hosts := r.Headers["host"]; hosts != nil { // all lines of Host become one, and count as one
		number -= len(hosts)
		r.Authority = joined(append([]string{r.Authority}, hosts...))
		delete(r.Headers, "host")
	}
	switch {
	case !isFieldValue(r.Authority):
		return badRequest, false
	case number+1 > maxHeaders: // 1 is Host
		return headersTooLarge, false
	}
	if refusal := framed(r.Method, r.Headers); refusal != nil {
		return refusal, false
	}
	r.dropUpgradeToHTTP2()
	if !r.Upgrades() && r.Method != http.MethodConnect { // these two keep their Connection as it is
		ok, host := nominated(r.Headers)
		if !ok {
			return badRequest, false
		}
		hostless = host && !strings.Contains(r.Path, "://") // a URL has a host of its own
	}
	return r.target(), hostless
}

// takenByHTTP2 does what the codec of HTTP/2 does. It accepts any token as a method, and refuses headers about the
// connection. If it returns false, Envoy closes the stream or the connection.
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
	delete(r.Headers, "host") // :authority is used instead
	if cookie := r.cookie(); cookie == "" {
		delete(r.Headers, "cookie")
	} else {
		r.Headers["cookie"] = []string{cookie}
	}
	return true
}

// cookie returns the lines of cookie, into which HTTP/2 may split the header, as one line.
func (r *Request) cookie() string {
	crumbs := slices.Clone(r.Headers["cookie"])
	return strings.Join(slices.DeleteFunc(crumbs, func(c string) bool { return c == "" }), "; ")
}

// tooLargeForHTTP2 reports whether headers exceed a limit. It counts as Envoy does while headers arrive: not every
// version counts cookies and Host.
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

// isTrailers reports whether TE has only the word trailers, which HTTP/2 allows, in lower case or in any case.
func isTrailers(te string, ignoreCase bool) bool {
	return te != "" && !slices.ContainsFunc(tokens(te), func(t string) bool {
		return t != "trailers" && (!ignoreCase || !strings.EqualFold(t, "trailers"))
	})
}

// isPathHTTP2 reports whether a :path is valid: it has no control bytes or spaces, and begins with a slash, or is "*"
// for OPTIONS. For CONNECT, the caller requires that it is empty.
func isPathHTTP2(method, path string) bool {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return method == http.MethodConnect || strings.HasPrefix(path, "/") || method == http.MethodOptions && path == "*"
}

// target checks the target and the authority. If the target is a URL, or the host of a CONNECT, its host replaces Host.
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
		if _, bare, ok := strings.Cut(host, "@"); ok { // Envoy drops user information
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

// isTarget reports whether the parser accepts a target: a path, a text that begins with an asterisk, or, except for
// CONNECT, a URL. For CONNECT it is a host instead of a URL.
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

// isVisible reports whether a text has only visible ASCII characters.
func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' {
			return false
		}
	}
	return true
}

// isScheme reports whether a text may be the scheme of a URL.
func isScheme(s string) bool { return s != "" && s[0] > '9' && consistsOf(s, "+-.") }

// isAuthority reports whether Envoy accepts a Host: it has only bytes that a host, a port or user information may have.
func isAuthority(s string) bool { return consistsOf(s, "!$%&'()*+,-.:;=@[]_~") }

// cutAt cuts a text before the first of the given bytes.
func cutAt(s, bytes string) (before, from string) {
	if i := strings.IndexAny(s, bytes); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// portOf returns what follows the colon after a host. Colons in the brackets of an IPv6 address do not count.
func portOf(host string) (port string, ok bool) {
	_, port, ok = strings.Cut(host[strings.LastIndexByte(host, ']')+1:], ":")
	return port, ok
}

// framed refuses a request the length of whose body is ambiguous or not supported.
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

// tokens returns the elements of a header that is a list separated by commas, without white space around them.
func tokens(value string) []string {
	var out []string
	for t := range strings.SplitSeq(value, ",") {
		if t = strings.Trim(t, " \t"); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// mostNominated is the number of names in Connection from which on Envoy refuses a request.
const mostNominated = 10

// nominated removes the headers that Connection names, and their names from Connection. ok is false if Connection has a
// name that it must not have, or too many names; host is set if Host is one of the names.
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

// sanitizeTE reduces TE to the word trailers, which a proxy may pass on, and reports whether TE had it.
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

// Upgrades reports whether a request is a request to change the protocol: it has an upgrade header, which Connection
// names.
func (r Request) Upgrades() bool {
	if h := r.Headers["upgrade"]; len(h) == 0 {
		return false
	}
	return slices.ContainsFunc(tokens(r.Headers.first("connection")), func(t string) bool { return strings.EqualFold(t, "upgrade") })
}

// IsWebsocket reports whether the protocol in upgrade is websocket, which is the only one allowed (GW-HCM-07).
func (r Request) IsWebsocket() bool {
	return strings.EqualFold(r.Headers.first("upgrade"), "websocket")
}

// dropUpgradeToHTTP2 removes an upgrade to h2c, as Envoy's codec does. It leaves other upgrades.
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

// IsMethod reports whether the codec of HTTP/1.1 takes a method. That of HTTP/2 takes any token.
func IsMethod(method string, b version.Behaviour) bool {
	return methods[method] || b.KnowsQueryMethod && method == methodQuery
}
