package regex

import (
	"regexp/syntax"
	"unicode/utf8"

	"waymark.dev/waymark/routing"
)

// MaxValue is the longest value that an expression can meet, in bytes: Envoy takes 60 KiB of headers.
const MaxValue = 60 << 10

// MaxSlow is how many steps, in the sense of [routing.MaxWork], the patterns without automaton that are compared with one thing
// may take together in the filter: a twentieth of all. RE2 makes the automaton of such a pattern while it reads, and keeps
// what it has made, so that the second request like it costs a list little.
const MaxSlow = routing.MaxWork / 20

// Steps is how many steps, in the sense of [routing.MaxWork], a pattern takes at most for a value of any length. Nearly every
// pattern has an automaton, which takes one a byte. One that has none is followed state by state, in proportion to its own
// length and to that of the longest value that it can match. A pattern that cannot be compiled takes none.
func Steps(source string, encoding Encoding) int {
	e := expressions.of(source, encoding)
	switch {
	case e.err != nil:
		return 0
	case !e.isSlow():
		return MaxValue
	default:
		return routing.ProgramStep * len(e.whole.Code) * min(e.longest+1, MaxValue)
	}
}

// longest is the length of the longest value that an expression takes, in bytes; MaxValue where that is not bounded below.
func longest(re *syntax.Regexp, encoding Encoding) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) * character(encoding)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return character(encoding)
	case syntax.OpStar, syntax.OpPlus:
		return MaxValue
	case syntax.OpQuest, syntax.OpCapture:
		return longest(re.Sub[0], encoding)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return MaxValue
		}
		return min(MaxValue, re.Max*longest(re.Sub[0], encoding))
	case syntax.OpConcat:
		sum := 0
		for _, sub := range re.Sub {
			sum = min(MaxValue, sum+longest(sub, encoding))
		}
		return sum
	case syntax.OpAlternate:
		most := 0
		for _, sub := range re.Sub {
			most = max(most, longest(sub, encoding))
		}
		return most
	default:
		return 0
	}
}

// character is the most bytes that one has.
func character(encoding Encoding) int {
	if encoding == UTF8 {
		return utf8.UTFMax
	}
	return 1
}

// IsSlow says whether a pattern, which must be a good one, has no automaton and falls back to its program.
func IsSlow(source string, encoding Encoding) bool { return expressions.of(source, encoding).isSlow() }

// AlwaysRead counts, by place, the automata that every value is read by, since nothing else tells their patterns apart. More
// than enough are counted exactly, which takes the time of writing them; fewer as if each stood alone.
func (c *Collection) AlwaysRead(enough int) map[string]int {
	c.choose()
	alone, prefixes := map[string]int{}, c.prefixes()
	exactly := false
	for _, p := range c.patterns {
		if c.standsAlone(p, prefixes) {
			continue
		}
		alone[p.place]++
		exactly = exactly || alone[p.place] > enough
	}
	if !exactly {
		return alone
	}
	for _, p := range c.patterns {
		p.fallback = p.isSlow()
	}
	for _, s := range c.sets() {
		alone[c.patterns[s.members[0]].place] -= len(s.members) - 1
	}
	return alone
}
