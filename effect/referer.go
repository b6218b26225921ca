package effect

import (
	"strconv"
	"strings"
)

// isReferer reports whether Envoy passes a referer on: a URL with a host, or a relative URL, both without a fragment
// (Http::Utility::isValidRefererValue).
//
//	http://a.test/b?c    yes
//	/b?c, b, ""          yes
//	about:blank          no: a scheme without a host
//	http://u@a.test/     no: user information
//	http://a_b.test/     no: not a host
func isReferer(s string) bool {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && isScheme(scheme) {
		host, path := cutAt(rest, "/?")
		if isHostPort(host) {
			return isReference(path)
		}
	}
	beginning, _, _ := strings.Cut(s, "/")
	return !strings.Contains(beginning, ":") && isReference(s)
}

// isHostPort accepts names of letters, digits, dots and hyphens, and IPv6 addresses in brackets, with or without a
// port.
func isHostPort(s string) bool {
	host, port := s, ""
	if end := strings.IndexByte(s, ']'); strings.HasPrefix(s, "[") && end > 0 {
		host, port = s[1:end], s[end+1:]
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i:]
	}
	if port != "" {
		if _, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16); err != nil {
			return false
		}
	}
	return host != "" && consistsOf(host, ".-:")
}

// isReference reports whether a text has only bytes that a path or a query may have.
func isReference(s string) bool { return consistsOf(s, "-._~%!$&'()*+,;=:@/?") }
