// Package regex turns a regular expression into the program that package routing runs. It is used where rules are
// translated, never in the filter: the parser and the tables of Unicode would make up a third of the module.
//
// The dialect is RE2's and the match is of the whole value (VS-MATCH-08, VS-MATCH-25). The hard case is everything beyond
// ASCII, on which Envoys differ. Before 1.39 they read pattern and value as UTF-8; from 1.39 on in RE2's Latin-1 mode, in
// which each byte is one character and there is none beyond U+00FF. Seen on real Envoys (e2e/envoy/regex_test.go):
//
//	pattern   value             before 1.39    from 1.39 on
//	.         "é" (two bytes)   yes            no
//	..        "é"               no             yes
//	é         "é"               yes            yes
//	[é]       "é"               yes            no
//	.*        "\xff"            no             yes
//	(?i)É     "é"               yes            no
//	\x{7ff}   -                 accepted       refused
package regex

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"unicode"

	"waymark.dev/waymark/routing"
)

// maxInstructions is about what Envoy's RE2 allows a program with its default memory limit of 8 MB.
const maxInstructions = 1 << 18

// Encoding says what a character is.
type Encoding int

// The encodings in which Envoys read patterns and values.
const (
	Latin1 Encoding = iota // from 1.39 on
	UTF8                   // before
)

// Compile compiles a pattern, each once; the program is shared. The error says what is wrong with the pattern in a few words.
func Compile(pattern string, encoding Encoding) (*routing.Program, error) {
	e := expressions.of(pattern, encoding)
	return e.whole, e.err
}

// onParse is called with every pattern that is parsed; nil but in tests.
var onParse func(pattern string)

func parse(pattern string, encoding Encoding) (*syntax.Regexp, error) {
	if onParse != nil {
		onParse(pattern)
	}
	source, err := unicodeClasses(pattern)
	if err != nil {
		return nil, err
	}
	if encoding == Latin1 {
		if escape := beyondLatin1(pattern); escape != "" {
			return nil, fmt.Errorf("invalid escape sequence: %q is beyond the 256 characters that Envoy knows from 1.39 on", escape)
		}
		source = latin1Source(source)
	}
	// Parsed by the same rules as RE2: Perl classes, \pN, \Q...\E, no \C.
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		var e *syntax.Error
		if errors.As(err, &e) && e.Expr != "" && e.Expr != pattern {
			return nil, fmt.Errorf("%s: %q", e.Code, e.Expr)
		} else if e != nil {
			return nil, errors.New(string(e.Code))
		}
		return nil, err
	}
	return withoutAnchors(re), nil
}

// withoutAnchors leaves out the ^ and $ around a pattern: the match is of the whole value anyway.
func withoutAnchors(re *syntax.Regexp) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	all := re.Sub
	for len(all) > 0 && all[0].Op == syntax.OpBeginText {
		all = all[1:]
	}
	for len(all) > 0 && all[len(all)-1].Op == syntax.OpEndText {
		all = all[:len(all)-1]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: all}
}

func compile(re *syntax.Regexp, encoding Encoding) (*routing.Program, error) {
	c := &compiler{encoding: encoding}
	match := c.emit(routing.Instruction{Op: routing.OpMatch})
	start := c.compile(re.Simplify(), match)
	if c.tooLarge {
		return nil, fmt.Errorf("pattern too large: more than %d instructions", maxInstructions)
	}
	return &routing.Program{Start: uint32(start), Code: c.code}, nil
}

// compiler emits a program backwards: every construct is compiled with the state that follows it, and its own first
// state is returned.
type compiler struct {
	encoding Encoding
	code     []routing.Instruction
	tooLarge bool
}

func (c *compiler) emit(i routing.Instruction) int {
	if len(c.code) >= maxInstructions {
		c.tooLarge = true
		return 0
	}
	c.code = append(c.code, i)
	return len(c.code) - 1
}

func (c *compiler) either(a, b int) int {
	return c.emit(routing.Instruction{Op: routing.OpSplit, Out: uint32(a), Arg: uint32(b)})
}

func (c *compiler) assert(kind routing.Assertion, next int) int {
	return c.emit(routing.Instruction{Op: routing.OpAssert, Out: uint32(next), Arg: uint32(kind)})
}

// fail is a state that nothing leads on from.
func (c *compiler) fail() int { return c.emit(routing.Instruction{Op: routing.OpFail}) }

func (c *compiler) compile(re *syntax.Regexp, next int) int {
	if c.tooLarge {
		return 0
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return c.fail()
	case syntax.OpLiteral:
		for i := len(re.Rune) - 1; i >= 0; i-- {
			next = c.char(re.Rune[i], re.Flags&syntax.FoldCase != 0, next)
		}
		return next
	case syntax.OpCharClass:
		return c.class(re.Rune, next)
	case syntax.OpAnyChar:
		return c.class([]rune{0, unicode.MaxRune}, next)
	case syntax.OpAnyCharNotNL:
		return c.class([]rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}, next)
	case syntax.OpBeginLine:
		return c.assert(routing.AssertBeginLine, next)
	case syntax.OpEndLine:
		return c.assert(routing.AssertEndLine, next)
	case syntax.OpBeginText:
		return c.assert(routing.AssertBeginText, next)
	case syntax.OpEndText:
		return c.assert(routing.AssertEndText, next)
	case syntax.OpWordBoundary:
		return c.assert(routing.AssertWordBoundary, next)
	case syntax.OpNoWordBoundary:
		return c.assert(routing.AssertNoWordBoundary, next)
	case syntax.OpCapture:
		return c.compile(re.Sub[0], next)
	case syntax.OpStar:
		loop := c.either(next, next)
		c.code[loop].Out = uint32(c.compile(re.Sub[0], loop))
		return loop
	case syntax.OpPlus:
		loop := c.either(next, next)
		first := c.compile(re.Sub[0], loop)
		c.code[loop].Out = uint32(first)
		return first
	case syntax.OpQuest:
		return c.either(c.compile(re.Sub[0], next), next)
	case syntax.OpConcat:
		for i := len(re.Sub) - 1; i >= 0; i-- {
			next = c.compile(re.Sub[i], next)
		}
		return next
	case syntax.OpAlternate:
		first := c.compile(re.Sub[len(re.Sub)-1], next)
		for i := len(re.Sub) - 2; i >= 0; i-- {
			first = c.either(c.compile(re.Sub[i], next), first)
		}
		return first
	default: // OpEmptyMatch; OpRepeat is gone after Simplify
		return next
	}
}

// char matches one character, and with fold those that differ from it in case alone. In Latin-1, only ASCII has case.
func (c *compiler) char(r rune, fold bool, next int) int {
	if c.encoding == Latin1 && r > caseless {
		r -= caseless
		fold = false
	}
	ranges := []rune{r, r}
	if fold {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if c.encoding == UTF8 || r <= unicode.MaxASCII && f <= unicode.MaxASCII {
				ranges = append(ranges, f, f)
			}
		}
	}
	return c.class(ranges, next)
}

// class matches one character of a list of ranges.
func (c *compiler) class(ranges []rune, next int) int {
	suffixes := map[suffix]int{}
	first := -1
	add := func(sequence []byteRange) {
		state := next
		for j := len(sequence) - 1; j >= 0; j-- {
			key := suffix{sequence[j], state}
			if known, ok := suffixes[key]; ok && j > 0 {
				state = known // the ends of many sequences are the same
				continue
			}
			state = c.emit(routing.Instruction{Op: routing.OpRange, Lo: sequence[j].lo, Hi: sequence[j].hi, Out: uint32(state)})
			suffixes[key] = state
		}
		if first < 0 {
			first = state
		} else {
			first = c.either(first, state)
		}
	}
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if c.encoding == UTF8 {
			eachSequence(lo, hi, add)
		} else if hi = min(hi, unicode.MaxLatin1); lo <= hi {
			add([]byteRange{{byte(lo), byte(hi)}})
		}
	}
	if first < 0 {
		return c.fail()
	}
	return first
}

type byteRange struct{ lo, hi byte }

type suffix struct {
	byteRange
	next int
}
