package regex

import (
	"regexp/syntax"
	"unicode/utf8"

	"waymark.dev/waymark/routing"
)

// MaxValue is the length of the longest value that an expression can be compared with, in bytes: Envoy accepts 60 KiB
// of headers.
const MaxValue = 60 << 10

// MaxSlow bounds the steps, as [routing.MaxWork] counts them, that all patterns without automaton for one header, query
// parameter or path may take together in the filter: a twentieth of MaxWork. For more, Envoy's own list of routes is
// better: RE2 builds the states of an automaton while it reads a value, and keeps them, so that the next similar
// request costs it little.
const MaxSlow = routing.MaxWork / 20

// Steps bounds the steps, as [routing.MaxWork] counts them, that a pattern takes for a value of any length. Nearly
// every pattern has an automaton, which counts as one step for each byte of the longest value; the compact form of an
// automaton takes up to twice as many. A pattern without automaton is run as a program, whose steps are proportional to
// its length and to the length of the longest value that it can match. A pattern that cannot be compiled takes none.
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

// longest is the length of the longest value that an expression matches, in bytes, and at most MaxValue.
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

// character is the largest number of bytes of one character.
func character(encoding Encoding) int {
	if encoding == UTF8 {
		return utf8.UTFMax
	}
	return 1
}

// IsSlow reports whether a pattern has no automaton, so that it is run as a program. It is false for a pattern that
// cannot be compiled.
func IsSlow(source string, encoding Encoding) bool { return expressions.of(source, encoding).isSlow() }

// AlwaysRead counts, by place, the automata that read every value of the place, because no prefix and no clue leads to
// their patterns. If no place has more than enough such patterns, each pattern counts as one automaton; otherwise sets
// of patterns count as one, which takes as long as writing them.
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
