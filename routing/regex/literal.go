package regex

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"

	"waymark.dev/waymark/routing"
)

// A pattern is taken apart for the index of package routing: /team-7/v[0-9]+/.* is the prefix /team-7/v and a rest,
// which a thousand other patterns share; and of /[a-z]+/item-7(/.*)? every match has /item-7 in it.

// text is what a pattern of one character alone matches, if it is one. Nothing that is no UTF-8 is a literal: the
// configuration could not hold it.
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

// parts are the members of a concatenation, of which a pattern that is none has one; groups are opened.
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

// cut parts a pattern into a prefix that all its matches have and the pattern of what follows. The prefix is empty where
// the rest looks back at it.
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

// clue is texts of which every match has one: in it, or at its end.
type clue struct{ contains, endsWith []string }

func (c clue) size() int { return len(c.contains) + len(c.endsWith) }

// clues are the clues of a pattern. A literal gives one for each of its pieces; where few bytes can follow it, as in
// /item-7(/.*)?, it also gives one that tells item-7 from item-77: /item-7/ within, or item-7 at the end.
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
			continue // nothing stands between
		}
		flush(i)
		if part.Op == syntax.OpPlus || part.Op == syntax.OpRepeat && part.Min > 0 {
			// What follows within is not known: it may be the next round.
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

// mostFollowers bounds the alternatives of a clue.
const mostFollowers = 4

// ended is the clue of a literal together with what can follow it.
func ended(literal string, rest []*syntax.Regexp, encoding Encoding) (clue, bool) {
	p, err := compile(&syntax.Regexp{Op: syntax.OpConcat, Sub: rest}, encoding)
	if err != nil || literal == "" {
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

// first returns the bytes that a match can begin with, if they are few and of ASCII, and whether it can be empty.
// Assertions are taken to hold.
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

// eachPiece calls each for every piece of s of the longest size that a configuration can name.
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
