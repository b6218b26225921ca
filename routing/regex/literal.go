package regex

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"

	"waymark.dev/waymark/routing"
)

// For the index of package routing, a pattern is divided into a prefix and a rest: /team-7/v[0-9]+/.* has the prefix
// /team-7/v and a rest that a thousand other patterns share. Its clues are texts that values must contain: every value
// that matches /[a-z]+/item-7(/.*)? contains /item-7.

// Prefix returns a text with which every value begins that matches a pattern, in UTF-8; "" if none is known.
func Prefix(source string, encoding Encoding) string {
	return expressions.of(source, encoding).divide().prefix
}

// text returns the only value that an expression matches, if it is a literal or a class of one character. Values that
// are not UTF-8 are left out, since a configuration is JSON and cannot contain them.
func text(re *syntax.Regexp, encoding Encoding) (string, bool) {
	switch {
	case re.Op == syntax.OpLiteral:
	case re.Op == syntax.OpCharClass && len(re.Rune) == 2 && re.Rune[0] == re.Rune[1] && re.Rune[0] <= unicode.MaxASCII:
		return string(re.Rune[:1]), true
	default:
		return "", false
	}
	var b []byte
	for _, r := range re.Rune {
		if re.Flags&syntax.FoldCase != 0 && unicode.SimpleFold(r) != r && !isCaselessByte(r, encoding) {
			return "", false
		}
		switch {
		case r <= unicode.MaxASCII || encoding == UTF8 && utf8.ValidRune(r):
			b = utf8.AppendRune(b, r)
		case isCaselessByte(r, encoding):
			b = append(b, byte(r-caseless))
		default:
			return "", false
		}
	}
	return string(b), true
}

func isCaselessByte(r rune, encoding Encoding) bool {
	return encoding == Latin1 && caseless < r && r <= caseless+unicode.MaxLatin1
}

// parts returns the parts of a concatenation, and the expression itself if it is not one. The parts of groups are
// included.
func parts(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return parts(re.Sub[0])
	case syntax.OpConcat:
		var all []*syntax.Regexp
		for _, sub := range re.Sub {
			all = append(all, parts(sub)...)
		}
		return all
	default:
		return []*syntax.Regexp{re}
	}
}

// cut divides an expression into a prefix that all its matches begin with and the expression for what follows. The
// prefix is empty if the rest has an assertion about the byte before it, such as ^ or \b, anywhere.
func cut(re *syntax.Regexp, encoding Encoding) (prefix string, rest *syntax.Regexp) {
	all := parts(re)
	i := 0
	for ; i < len(all); i++ {
		s, ok := text(all[i], encoding)
		if !ok || !utf8.ValidString(prefix+s) {
			break
		}
		prefix += s
	}
	rest = &syntax.Regexp{Op: syntax.OpConcat, Sub: all[i:]}
	if prefix == "" || looksBack(rest) {
		return "", re
	}
	return prefix, rest
}

func looksBack(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	for _, sub := range re.Sub {
		if looksBack(sub) {
			return true
		}
	}
	return false
}

// clue is a list of texts. Every match contains one of contains, or ends with one of endsWith.
type clue struct{ contains, endsWith []string }

func (c clue) size() int { return len(c.contains) + len(c.endsWith) }

// clues returns the clues of an expression. Each literal gives one clue for each of its pieces. Where few bytes can
// follow a literal, as in /item-7(/.*)?, it also gives a clue that distinguishes item-7 from item-77: the value
// contains /item-7/ or ends with item-7.
func clues(re *syntax.Regexp, encoding Encoding) []clue {
	var all []clue
	run := ""
	members := parts(re)
	flush := func(next int) {
		eachPiece(run, func(piece string) { all = append(all, clue{contains: []string{piece}}) })
		if c, ok := ended(run, members[next:], encoding); ok {
			all = append(all, c)
		}
		run = ""
	}
	for i, part := range members {
		if s, ok := text(part, encoding); ok {
			run += s
			continue
		}
		switch part.Op {
		case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
			syntax.OpWordBoundary, syntax.OpNoWordBoundary:
			continue // these match no bytes, so literals before and after are one
		}
		flush(i)
		if part.Op == syntax.OpPlus || part.Op == syntax.OpRepeat && part.Min > 0 {
			// Clues with endsWith are left out: the next repetition may follow, and not the end.
			for _, c := range clues(part.Sub[0], encoding) {
				if len(c.endsWith) == 0 {
					all = append(all, c)
				}
			}
		}
	}
	flush(len(members))
	return all
}

// mostFollowers bounds the bytes that can follow a literal, and so the texts in contains of its clue.
const mostFollowers = 4

// ended returns the clue of a literal together with the bytes that can follow it, if they are few.
func ended(literal string, rest []*syntax.Regexp, encoding Encoding) (clue, bool) {
	if literal == "" {
		return clue{}, false
	}
	if i := slices.IndexFunc(rest, takesBytes); i >= 0 {
		rest = rest[:i+1] // what follows does not matter
	}
	p, err := compile(&syntax.Regexp{Op: syntax.OpConcat, Sub: rest}, encoding)
	if err != nil {
		return clue{}, false
	}
	next, canEnd := first(p)
	var c clue
	if len(next) > mostFollowers {
		return c, false
	}
	for _, b := range next {
		c.contains = append(c.contains, lastPiece(literal+string(rune(b))))
	}
	if canEnd {
		c.endsWith = append(c.endsWith, lastPiece(literal))
	}
	for _, s := range append(c.contains[:len(c.contains):len(c.contains)], c.endsWith...) {
		if len(s) < 2 || !utf8.ValidString(s) {
			return c, false
		}
	}
	return c, c.size() > 0
}

// takesBytes reports whether every match of an expression has a byte at least. It may be false for one that does.
func takesBytes(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpPlus, syntax.OpCapture:
		return takesBytes(re.Sub[0])
	default:
		return false
	}
}

// first returns the bytes that a match can begin with, and whether a match can be empty. If one of the bytes is beyond
// ASCII, it returns more than mostFollowers bytes instead. It assumes that all assertions are true.
func first(p *routing.Program) (bytes []byte, empty bool) {
	seen := make([]bool, len(p.Code))
	var can [256]bool
	for stack := []uint32{p.Start}; len(stack) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[i] {
			continue
		}
		seen[i] = true
		switch in := p.Code[i]; in.Op {
		case routing.OpSplit:
			stack = append(stack, in.Out, in.Arg)
		case routing.OpAssert:
			stack = append(stack, in.Out)
		case routing.OpMatch:
			empty = true
		case routing.OpRange:
			for b := int(in.Lo); b <= int(in.Hi); b++ {
				can[b] = true
			}
		}
	}
	for b, ok := range can {
		if ok && b > unicode.MaxASCII {
			return make([]byte, mostFollowers+1), empty
		} else if ok {
			bytes = append(bytes, byte(b))
		}
	}
	return bytes, empty
}

// eachPiece calls each for every piece of s of 8, 4 or 2 bytes, whichever is the largest size that s has.
func eachPiece(s string, each func(piece string)) {
	n := pieceSize(s)
	for i := 0; n > 0 && i+n <= len(s); i++ {
		if t := s[i : i+n]; utf8.ValidString(t) {
			each(t)
		}
	}
}

func lastPiece(s string) string { return s[len(s)-pieceSize(s):] }

func pieceSize(s string) int {
	switch n := len(s); {
	case n >= 8:
		return 8
	case n >= 4:
		return 4
	case n >= 2:
		return 2
	default:
		return 0
	}
}
