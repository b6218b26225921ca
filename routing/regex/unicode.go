package regex

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
)

// unicodeClasses rewrites the classes of Unicode in a pattern so that Go's parser accepts those that RE2 accepts, and
// no others. RE2 accepts general categories and scripts by their exact names, such as \p{Lu}, \pL, \p{^Greek} and
// \p{Linear_B}. Go also accepts \p{Letter}, \p{greek} and \p{ASCII}; Go 1.26 accepts no name with an underscore.
func unicodeClasses(pattern string) (string, error) {
	if !strings.Contains(pattern, `\p`) && !strings.Contains(pattern, `\P`) {
		return pattern, nil
	}
	var b strings.Builder
	classEnd := 0 // the end of the last class in brackets
	for i := 0; i < len(pattern); {
		switch {
		case i >= classEnd && pattern[i] == '[':
			classEnd = i + classLength(pattern[i:])
			b.WriteByte('[')
			i++
		case pattern[i] != '\\' || i+1 == len(pattern):
			b.WriteByte(pattern[i])
			i++
		case i >= classEnd && pattern[i+1] == 'Q':
			end := len(pattern)
			if n := strings.Index(pattern[i:], `\E`); n >= 0 {
				end = i + n + 2
			}
			b.WriteString(pattern[i:end])
			i = end
		case pattern[i+1] == 'p' || pattern[i+1] == 'P':
			n := classNameLength(pattern[i:])
			text, err := unicodeClass(pattern[i:i+n], i < classEnd)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			i += n
		default:
			b.WriteString(pattern[i : i+2])
			i += 2
		}
	}
	return b.String(), nil
}

// classNameLength returns the length of \p{NAME} or \pN at the start of s, or of as much of it as there is.
func classNameLength(s string) int {
	if end := strings.IndexByte(s, '}'); end >= 0 && strings.HasPrefix(s[2:], "{") {
		return end + 1
	}
	return min(3, len(s))
}

// unicodeClass returns a class such as \p{Lu} in a form that Go's parser accepts: as it is, or as a list of ranges.
func unicodeClass(class string, inBrackets bool) (string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(class[2:], "{"), "}")
	name, negated := strings.CutPrefix(name, "^")
	table := unicode.Scripts[name]
	if table == nil && name != "LC" && name != "Cn" {
		table = unicode.Categories[name]
	}
	if table == nil && name != "Any" {
		return "", fmt.Errorf("%s: %q", syntax.ErrInvalidCharRange, class)
	}
	if _, err := syntax.Parse(class, syntax.Perl); err == nil {
		return class, nil
	}
	var b strings.Builder
	next := rune(0) // the first character after the last range
	add := func(lo, hi rune) {
		if lo <= hi {
			fmt.Fprintf(&b, `\x{%x}-\x{%x}`, lo, hi)
		}
	}
	negated = negated != (class[1] == 'P')
	each := func(lo, hi, stride rune) {
		for r := lo; r <= hi; r += stride {
			end := r
			if stride == 1 {
				end = hi
			}
			if negated {
				add(next, r-1)
			} else {
				add(r, end)
			}
			if next = end + 1; stride == 1 {
				break
			}
		}
	}
	for _, r := range table.R16 {
		each(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range table.R32 {
		each(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	if negated {
		add(next, unicode.MaxRune)
	}
	if inBrackets {
		return b.String(), nil
	}
	return "[" + b.String() + "]", nil
}
