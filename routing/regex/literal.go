package regex

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
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
	for len(all) > 0 && all[0].Op == syntax.OpBeginText {
		all = all[1:]
	}
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

// needed are texts that every match has in it.
func needed(re *syntax.Regexp, encoding Encoding) []string {
	var all []string
	run := ""
	flush := func() {
		if len(run) >= 2 {
			all = append(all, run)
		}
		run = ""
	}
	for _, part := range parts(re) {
		if s, ok := text(part, encoding); ok {
			run += s
			continue
		}
		switch part.Op {
		case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
			syntax.OpWordBoundary, syntax.OpNoWordBoundary:
			continue // nothing stands between
		}
		flush()
		if part.Op == syntax.OpPlus || part.Op == syntax.OpRepeat && part.Min > 0 {
			all = append(all, needed(part.Sub[0], encoding)...)
		}
	}
	flush()
	return all
}
