package plan

import "strings"

// PathNormalization says what the connection manager does to a path before any rule is looked at (GW-NORM-01).
type PathNormalization string

// Istio's levels of path normalisation.
const (
	NormalizeNone                  PathNormalization = "NONE"
	NormalizeBase                  PathNormalization = "BASE"
	NormalizeMergeSlashes          PathNormalization = "MERGE_SLASHES"
	NormalizeDecodeAndMergeSlashes PathNormalization = "DECODE_AND_MERGE_SLASHES"
)

// NormalizePath is what Envoy's connection manager makes of a :path; ok is false where it answers 400. The query is
// kept as it is. BASE, Istio's default, does what a browser does to a URL:
//
//	/a//b          /a//b            slashes are merged from MERGE_SLASHES on
//	/a/./b/../c    /a/c             dot segments, also written %2e
//	/%61%7E%2F     /a~%2F           escapes of letters, digits and -._~ are decoded, others kept as written
//	/a\b           /a/b
//	/a|b"c         /a%7Cb%22c
//	/a;b,c?x=%61   /a;b,c?x=%61
//	/a/..;x/b      /b               a dot segment with parameters (Envoy 1.39 and later)
func NormalizePath(path string, level PathNormalization) (normal string, ok bool) {
	path, _, _ = strings.Cut(path, "#")
	if level == NormalizeNone {
		return path, true
	}
	query := ""
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path, query = path[:i], path[i:]
	}
	if level == NormalizeDecodeAndMergeSlashes {
		path = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`).Replace(path)
	}
	if path, ok = canonicalPath(path); !ok {
		return "", false
	}
	if level == NormalizeMergeSlashes || level == NormalizeDecodeAndMergeSlashes {
		path = mergeSlashes(path)
	}
	return path + query, true
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
				out = append(out, c) // no escape: kept as it is
				continue
			}
			value := unhex(path[i+1])<<4 | unhex(path[i+2])
			if value == 0 {
				return "", false
			}
			if isUnreserved(value) {
				out = append(out, value)
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

// segmentEnd says whether the segment ends here, parameters aside, and how many bytes its end has.
func segmentEnd(rest string) (skip int, ok bool) {
	switch {
	case rest == "":
		return 0, true
	case isSlash(rest[0]):
		return 1, true
	case rest[0] == ';':
		if i := strings.IndexAny(rest, `/\`); i >= 0 {
			return i + 1, true
		}
		return len(rest), true
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
