package effect

import (
	"strings"

	"waymark.dev/waymark/envoy/version"
)

// PathNormalization is a level of Istio's mesh configuration (GW-NORM-01).
type PathNormalization string

// Istio's levels of path normalisation.
const (
	NormalizeNone                  PathNormalization = "NONE"
	NormalizeBase                  PathNormalization = "BASE"
	NormalizeMergeSlashes          PathNormalization = "MERGE_SLASHES"
	NormalizeDecodeAndMergeSlashes PathNormalization = "DECODE_AND_MERGE_SLASHES"
)

// EscapedSlashes is what Envoy does with a path that has a slash or a backslash written as an escape: %2F or %5C.
type EscapedSlashes string

// The values of Envoy's path_with_escaped_slashes_action.
const (
	KeepEscapedSlashes     EscapedSlashes = "KEEP_UNCHANGED"
	RejectEscapedSlashes   EscapedSlashes = "REJECT_REQUEST"        // 400
	RedirectEscapedSlashes EscapedSlashes = "UNESCAPE_AND_REDIRECT" // 307 to the normalised path, 400 for gRPC
	ForwardEscapedSlashes  EscapedSlashes = "UNESCAPE_AND_FORWARD"
)

// Paths is how the connection manager normalises a path before any rule is tried. The zero value is BASE, as in Istio
// without a profile.
type Paths struct {
	// Level is Istio's level of path normalisation; "" is BASE.
	Level PathNormalization
	// MergeSlashes overrides the level; nil is the level's.
	MergeSlashes *bool
	// EscapedSlashes overrides the level; "" is the level's.
	EscapedSlashes EscapedSlashes
}

// Normalizes reports whether dot segments and escapes are resolved.
func (p Paths) Normalizes() bool { return p.Level != NormalizeNone }

// Merges reports whether several slashes become one.
func (p Paths) Merges() bool {
	if p.MergeSlashes != nil {
		return *p.MergeSlashes
	}
	return p.Level == NormalizeMergeSlashes || p.Level == NormalizeDecodeAndMergeSlashes
}

// Escaped returns what happens to escaped slashes.
func (p Paths) Escaped() EscapedSlashes {
	switch {
	case p.EscapedSlashes != "":
		return p.EscapedSlashes
	case p.Level == NormalizeDecodeAndMergeSlashes:
		return ForwardEscapedSlashes
	default:
		return KeepEscapedSlashes
	}
}

// PathAction is what happens to a request because of its path, before any rule is tried.
type PathAction int

// The actions for a path.
const (
	PathTaken      PathAction = iota // rules are tried
	PathRefused                      // answered with 400
	PathRedirected                   // answered with a redirect (307) to the normalised path
)

// Normalize returns what Envoy's connection manager makes of a :path (ConnectionManagerUtility::maybeNormalizePath,
// path_utility.cc). The query is kept as it is. BASE, Istio's default, does what a browser does to a URL:
//
//	/a//b          /a//b            unless slashes are merged
//	/a/./b/../c    /a/c             dot segments, also written %2e
//	/%61%7E%2F     /a~%2F           escapes of letters, digits and -._~ are decoded once, others kept as written
//	/%2%61         /%252a
//	/a\b           /a/b
//	/a|b"c         /a%7Cb%22c
//	/a;b,c?x=%61   /a;b,c?x=%61
//	/a/..;x/b      /b               newer Envoys: a dot segment with parameters, between slashes and written as dots
//	/a/%2e%2e;x/b  /a/..;x/b        any Envoy: with parameters, this is not a dot segment
//	/a\..;x\b      /a/..;x/b        any Envoy: likewise
func (p Paths) Normalize(path string, behaviour version.Behaviour) (normal string, action PathAction) {
	path, _, _ = strings.Cut(path, "#")
	query := ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if escaped := p.Escaped(); escaped != KeepEscapedSlashes {
		plain := unescapeSlashes.Replace(path)
		switch {
		case plain == path:
		case escaped == RejectEscapedSlashes:
			return "", PathRefused
		case escaped == RedirectEscapedSlashes:
			action = PathRedirected
		}
		path = plain
	}
	if p.Normalizes() {
		if behaviour.DropsDotSegmentParameters {
			path = stripDotParameters(path)
		}
		var ok bool
		if path, ok = canonicalPath(path); !ok {
			return "", PathRefused
		}
	}
	if p.Merges() {
		path = mergeSlashes(path)
	}
	return path + query, action
}

var unescapeSlashes = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`)

// stripDotParameters removes the parameters of dot segments.
func stripDotParameters(path string) string {
	if !strings.Contains(path, ".;") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if dots, _, ok := strings.Cut(s, ";"); ok && (dots == "." || dots == "..") {
			segments[i] = dots
		}
	}
	return strings.Join(segments, "/")
}

// canonicalPath follows the URL library that Envoy uses (googleurl, url_canon_path.cc).
func canonicalPath(path string) (string, bool) {
	if path == "" {
		return "/", true
	}
	out := make([]byte, 0, len(path)+8)
	if !isSlash(path[0]) {
		out = append(out, '/')
	}
	stray := -1 // the index in out of the last percent sign that does not begin an escape
	for i := 0; i < len(path); i++ {
		c := path[i]
		if n := dotLength(path[i:]); n > 0 {
			if len(out) == 0 || out[len(out)-1] != '/' {
				out = append(out, '.')
				i += n - 1
				continue
			}
			switch kind, skip := classifyDots(path[i+n:]); kind {
			case currentSegment:
				i += n + skip - 1
			case parentSegment:
				out = out[:lastSegment(out)]
				i += n + skip - 1
			default:
				out = append(out, '.')
				i += n - 1
			}
			continue
		}
		switch {
		case c == '\\':
			out = append(out, '/')
		case c == '%':
			if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
				stray = len(out)
				out = append(out, c) // kept as it is
				continue
			}
			value := unhex(path[i+1])<<4 | unhex(path[i+2])
			if value == 0 {
				return "", false
			}
			if IsUnreserved(value) {
				out = escapeStray(append(out, value), stray, path[i+3:])
			} else {
				out = append(out, path[i:i+3]...)
			}
			i += 2
		case mustEscape(c):
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

// escapeStray keeps a decoded byte from completing an escape that begins with a stray percent sign before it: that
// percent sign becomes %25. stray is its index in out, or -1; rest is the part of the path that has not been read yet.
//
//	/%2%61    /%252a
//	/%%361    /%2561
func escapeStray(out []byte, stray int, rest string) []byte {
	if stray < 0 {
		return out
	}
	after := out[stray+1:]
	switch {
	case len(after) == 1 && rest != "" && isHex(after[0]) && isHex(rest[0]):
		return append(out[:stray+1], '2', '5', after[0])
	case len(after) == 2 && isHex(after[0]) && isHex(after[1]):
		return append(out[:stray+1], '2', '5', after[0], after[1])
	default:
		return out
	}
}

const upperHex = "0123456789ABCDEF"

type dotSegment int

const (
	noSegment dotSegment = iota
	currentSegment
	parentSegment
)

// dotLength returns the length of a dot, written "." or "%2e", at the start of s; 0 if there is none.
func dotLength(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '.':
		return 1
	case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
		return 3
	default:
		return 0
	}
}

// classifyDots returns the kind of dot segment that begins with a dot after a slash. rest is what follows the dot, and
// skip is how many bytes of it belong to the segment and the slash at its end.
func classifyDots(rest string) (kind dotSegment, skip int) {
	if n, ok := segmentEnd(rest); ok {
		return currentSegment, n
	}
	if second := dotLength(rest); second > 0 {
		if n, ok := segmentEnd(rest[second:]); ok {
			return parentSegment, second + n
		}
	}
	return noSegment, 0
}

// segmentEnd reports whether a segment ends before rest, and how many bytes of rest end it: 1 for a slash, 0 for the
// end.
func segmentEnd(rest string) (skip int, ok bool) {
	switch {
	case rest == "":
		return 0, true
	case isSlash(rest[0]):
		return 1, true
	default:
		return 0, false
	}
}

// lastSegment returns the length of a path that ends in a slash, without its last segment: for "/a/b/" that of "/a/".
func lastSegment(path []byte) int {
	i := len(path) - 1
	for i > 0 && path[i-1] != '/' {
		i--
	}
	if i == 0 {
		return 1
	}
	return i
}

// mergeSlashes replaces several slashes by one. A path that has only slashes keeps two, as in Envoy, which puts the
// first and the last slash around the segments again (path_utility.cc).
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	merged := strings.Join(segments, "/")
	if strings.HasPrefix(path, "/") {
		merged = "/" + merged
	}
	if strings.HasSuffix(path, "/") {
		merged += "/"
	}
	return merged
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// IsPathByte reports whether a byte stands in normalised paths as it is.
func IsPathByte(c byte) bool { return c != '\\' && !mustEscape(c) }

// IsUnreserved reports whether the escape of a byte is replaced by the byte where paths are normalised.
func IsUnreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// mustEscape reports whether a byte of a path must be written as an escape.
func mustEscape(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?^`{|}", c) >= 0
}
