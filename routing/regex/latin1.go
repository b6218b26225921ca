package regex

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// fromBytes returns a string with one character for each byte, so that Go's regexp, which reads UTF-8, can match bytes.
func fromBytes(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// caseless is added to each byte beyond ASCII that is outside of classes: with (?i), Go's parser would replace the
// character of that number by its other case. The characters of this private range have no case.
const caseless = 0xE000

// latin1Source rewrites a pattern of bytes for Go's parser, which reads UTF-8. In classes, a byte becomes the character
// with its number. With (?i), letters beyond ASCII in classes match both cases in Go's parser, but not in Envoy.
func latin1Source(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; {
		case c == '[':
			end := i + classLength(pattern[i:])
			b.WriteString(fromBytes(pattern[i:end]))
			i = end
		case strings.HasPrefix(pattern[i:], `\Q`):
			end := i + 2
			if n := strings.Index(pattern[end:], `\E`); n >= 0 {
				end += n + 2
			} else {
				end = len(pattern)
			}
			b.WriteString(fromBytes(pattern[i:end]))
			i = end
		case c == '\\' && i+1 < len(pattern):
			n := 2
			if value, length := hexEscape(pattern[i:]); length > 0 {
				n = length
				if value > unicode.MaxASCII {
					b.WriteRune(caseless + value)
					i += n
					continue
				}
			}
			b.WriteString(fromBytes(pattern[i : i+n]))
			i += n
		case c > unicode.MaxASCII:
			b.WriteRune(caseless + rune(c))
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// hexEscape reads an escape such as \xE9 or \x{e9} at the start of s. A length of 0 means that there is none, or that
// its value is beyond U+00FF.
func hexEscape(s string) (value rune, length int) {
	digits, length := "", 0
	switch {
	case strings.HasPrefix(s, `\x{`):
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return 0, 0
		}
		digits, length = s[3:end], end+1
	case strings.HasPrefix(s, `\x`) && len(s) >= 4:
		digits, length = s[2:4], 4
	}
	n, err := strconv.ParseUint(digits, 16, 8)
	if err != nil {
		return 0, 0
	}
	return rune(n), length
}

// classLength returns the length of the class in brackets at the start of s, or that of s if the class has no end.
func classLength(s string) int {
	i := 1
	if strings.HasPrefix(s[i:], "^") {
		i++
	}
	if strings.HasPrefix(s[i:], "]") { // a bracket at the beginning does not end the class
		i++
	}
	for i < len(s) {
		switch {
		case s[i] == ']':
			return i + 1
		case s[i] == '\\':
			i += 2
		case strings.HasPrefix(s[i:], "[:"):
			if n := strings.Index(s[i:], ":]"); n >= 0 {
				i += n + 2
			} else {
				i++
			}
		default:
			i++
		}
	}
	return len(s)
}

// toBytes reverses fromBytes.
func toBytes(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

// beyondLatin1 returns the first escape such as \x{100} or \400, which RE2 refuses in Latin-1 mode and Go's parser
// accepts; "" if there is none.
func beyondLatin1(pattern string) string {
	quoted := false
	for i := 0; i+1 < len(pattern); i++ {
		if pattern[i] != '\\' {
			continue
		}
		next := pattern[i+1]
		switch {
		case quoted:
			quoted = next != 'E'
		case next == 'Q':
			quoted = true
		case '0' <= next && next <= '7':
			if n := octalEscape(pattern[i:]); n > unicode.MaxLatin1 {
				return pattern[i : i+4]
			}
		case next == 'x' && i+2 < len(pattern) && pattern[i+2] == '{':
			digits, _, ok := strings.Cut(pattern[i+3:], "}")
			if n, err := strconv.ParseUint(digits, 16, 32); ok && err == nil && n > unicode.MaxLatin1 {
				return pattern[i : i+4+len(digits)]
			}
		}
		i++ // an escaped backslash does not begin an escape
	}
	return ""
}

// octalEscape returns the value of an escape of three octal digits at the start of s, such as \101; 0 if there is none.
func octalEscape(s string) rune {
	if len(s) < 4 {
		return 0
	}
	n, err := strconv.ParseUint(s[1:4], 8, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// Rewrite replaces matches of a pattern as Envoy's regex rewrite does: every leftmost match anywhere in the value,
// where \0 to \9 in the replacement stand for groups.
type Rewrite struct {
	pattern  *regexp.Regexp
	template string
}

// NewRewrite compiles a rewrite. A rewrite whose pattern is not valid replaces nothing.
func NewRewrite(pattern, substitution string) *Rewrite {
	source, err := unicodeClasses(pattern)
	if err != nil {
		return &Rewrite{}
	}
	re, err := regexp.Compile(fromBytes(source))
	if err != nil {
		return &Rewrite{}
	}
	return &Rewrite{re, fromBytes(template(substitution))}
}

// Replace returns s with every match of the pattern replaced.
func (w *Rewrite) Replace(s string) string {
	if w.pattern == nil {
		return s
	}
	return toBytes(w.pattern.ReplaceAllString(fromBytes(s), w.template))
}

// template translates RE2's replacements to Go's: \1 to ${1}.
func template(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$':
			b.WriteString("$$")
		case s[i] == '\\' && i+1 < len(s) && '0' <= s[i+1] && s[i+1] <= '9':
			b.WriteString("${" + s[i+1:i+2] + "}")
			i++
		case s[i] == '\\' && i+1 < len(s):
			b.WriteByte(s[i+1])
			i++
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
