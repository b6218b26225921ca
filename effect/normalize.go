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

// EscapedSlashes says what becomes of a path with a slash or a backslash that is written as an escape: %2F or %5C.
type EscapedSlashes string

// Envoy's answers to escaped slashes.
const (
	KeepEscapedSlashes     EscapedSlashes = "KEEP_UNCHANGED"
	RejectEscapedSlashes   EscapedSlashes = "REJECT_REQUEST"        // 400
	RedirectEscapedSlashes EscapedSlashes = "UNESCAPE_AND_REDIRECT" // 307 to the normalised path, 400 for gRPC
	ForwardEscapedSlashes  EscapedSlashes = "UNESCAPE_AND_FORWARD"
)

// Paths say what the connection manager does to a path before any rule is looked at. The zero value is BASE, as in
// Istio without a profile.
type Paths struct {
	// Level is Istio's; "" is BASE.
	Level PathNormalization
	// MergeSlashes overrides the level; nil follows it.
	MergeSlashes *bool
	// EscapedSlashes overrides the level; "" follows it.
	EscapedSlashes EscapedSlashes
}

// Normalizes says that dot segments and escapes are resolved.
func (p Paths) Normalizes() bool { return p.Level != NormalizeNone }

// Merges says that several slashes become one.
func (p Paths) Merges() bool {
	if p.MergeSlashes != nil {
		return *p.MergeSlashes
	}
	return p.Level == NormalizeMergeSlashes || p.Level == NormalizeDecodeAndMergeSlashes
}

// Escaped says what becomes of escaped slashes.
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

// PathAction says what happens to a request by its path alone.
type PathAction int

// A path is looked at by rules, or refused with 400, or answered with a redirect (307) to its normalised form.
const (
	PathTaken PathAction = iota
	PathRefused
	PathRedirected
)

// Normalize is what Envoy's connection manager makes of a :path (ConnectionManagerUtility::maybeNormalizePath,
// path_utility.cc). The query is kept as it is. BASE, Istio's default, does what a browser does to a URL:
//
//	/a//b          /a//b            unless slashes are merged
//	/a/./b/../c    /a/c             dot segments, also written %2e
//	/%61%7E%2F     /a~%2F           escapes of letters, digits and -._~ are decoded once, others kept as written
//	/%2%61         /%252a
//	/a\b           /a/b
//	/a|b"c         /a%7Cb%22c
//	/a;b,c?x=%61   /a;b,c?x=%61
//	/a/..;x/b      /b               with newer Envoys: a dot segment with parameters, between slashes and written as dots
//	/a/%2e%2e;x/b  /a/..;x/b        with any Envoy: the parameters keep it from being a dot segment
//	/a\..;x\b      /a/..;x/b        likewise
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

// stripDotParameters makes dot segments of those that have parameters.
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
	stray := -1 // where the last percent sign stands that began no escape
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
			if isUnreserved(value) {
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

// escapeStray keeps a decoded escape from making a new one together with a stray percent sign before it, whose place is
// given: that sign becomes %25. What has not been read yet is rest.
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

// dotLength is the length of a dot, written "." or "%2e", at the start; 0 is none.
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

// classifyDots says what a dot after a slash means, from what follows it, and how much of that belongs to it.
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

// segmentEnd says whether the segment ends here, and how many bytes its end has.
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

// lastSegment is the length of a path, which ends in a slash, without its last segment: "/a/b/" to "/a/".
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

// mergeSlashes makes one slash of several, save that a path of nothing but slashes keeps two: Envoy puts the first and
// the last one back around what is between them (path_utility.cc).
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

func isUnreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// mustEscape are the bytes that a path may not hold as they are.
func mustEscape(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?^`{|}", c) >= 0
}
