// Package regex compiles regular expressions to the programs and automata that package routing runs. It is used where
// rules are translated, never in the filter: the parser and the tables of Unicode would make up a third of the module.
//
// The dialect is RE2's, and an expression must match the whole value (VS-MATCH-08, VS-MATCH-25). The hard case is
// everything beyond ASCII, where versions of Envoy differ. Versions before 1.39 read pattern and value as UTF-8; from
// 1.39 on they use RE2's Latin-1 mode, in which each byte is one character and no character is beyond U+00FF. Results
// of real Envoys (e2e/envoy/regex_test.go):
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
	"slices"
	"sync"
	"unicode"

	"waymark.dev/waymark/routing"
)

// maxInstructions bounds a program, at about the size that Envoy's RE2 allows with its default memory limit of 8 MB.
const maxInstructions = 1 << 18

// Encoding is how bytes are read as characters.
type Encoding int

// The encodings in which Envoys read patterns and values.
const (
	Latin1 Encoding = iota // Envoy 1.39 and later
	UTF8                   // Envoy before 1.39
)

// Compile compiles a pattern to a program that matches whole values. Calls with the same pattern share the program,
// which must not be changed. The error says in a few words what is wrong with the pattern.
func Compile(pattern string, encoding Encoding) (*routing.Program, error) {
	e := expressions.of(pattern, encoding)
	return e.whole, e.err
}

// Check returns the number of instructions that a pattern has, or the error of [Compile]. It is for patterns that are not
// run in this encoding: nothing but the result is kept.
func Check(pattern string, encoding Encoding) (instructions int, err error) {
	return expressions.check(pattern, encoding)
}

// onParse is called with every pattern that is parsed. Only tests set it.
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

// withoutAnchors removes the ^ and $ around a pattern, which must match the whole value anyway.
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
	c := compilers.Get().(*compiler)
	defer compilers.Put(c)
	c.encoding, c.code, c.tooLarge = encoding, c.code[:0], false
	match := c.emit(routing.Instruction{Op: routing.OpMatch})
	start := c.compile(re.Simplify(), match)
	if c.tooLarge {
		c.code = nil // it is large
		return nil, fmt.Errorf("pattern too large: more than %d instructions", maxInstructions)
	}
	return &routing.Program{Start: uint32(start), Code: slices.Clone(c.code)}, nil
}

// compilers are those at rest, whose slices the next programs use.
var compilers = sync.Pool{New: func() any { return &compiler{suffixes: map[suffix]int{}} }}

// compiler emits a program backwards: each construct is compiled after the state that follows it, which is passed as
// next; the result is the first state of the construct.
type compiler struct {
	encoding Encoding
	code     []routing.Instruction
	suffixes map[suffix]int // scratch
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

// fail emits a state that leads nowhere.
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
	default: // OpEmptyMatch; Simplify leaves no OpRepeat
		return next
	}
}

// char emits states for one character and, with fold, for the characters that differ from it only in case. In Latin-1,
// only ASCII letters have case.
func (c *compiler) char(r rune, fold bool, next int) int {
	if c.encoding == Latin1 && r > caseless {
		r -= caseless
		fold = false
	}
	if !fold && (r <= unicode.MaxASCII || c.encoding == Latin1 && r <= unicode.MaxLatin1) {
		return c.byte(byteRange{byte(r), byte(r)}, next)
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

// class emits states for one character of a list of ranges: pairs of the first and the last character.
func (c *compiler) class(ranges []rune, next int) int {
	clear(c.suffixes)
	first := -1
	alternative := func(state int) {
		if first < 0 {
			first = state
		} else {
			first = c.either(first, state)
		}
	}
	add := func(sequence []byteRange) {
		state := next
		for j := len(sequence) - 1; j >= 0; j-- {
			key := suffix{sequence[j], state}
			if known, ok := c.suffixes[key]; ok && j > 0 {
				state = known // many sequences have the same end
				continue
			}
			state = c.byte(sequence[j], state)
			c.suffixes[key] = state
		}
		alternative(state)
	}
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if c.encoding == UTF8 && hi > unicode.MaxASCII {
			eachSequence(lo, hi, add)
		} else if hi = min(hi, unicode.MaxLatin1); lo <= hi {
			alternative(c.byte(byteRange{byte(lo), byte(hi)}, next))
		}
	}
	if first < 0 {
		return c.fail()
	}
	return first
}

// byte emits a state for one byte.
func (c *compiler) byte(r byteRange, next int) int {
	return c.emit(routing.Instruction{Op: routing.OpRange, Lo: r.lo, Hi: r.hi, Out: uint32(next)})
}

type byteRange struct{ lo, hi byte }

type suffix struct {
	byteRange
	next int
}
