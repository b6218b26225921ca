package regex

import (
	"encoding/binary"
	"regexp/syntax"
	"sync"

	"waymark.dev/waymark/routing"
)

// expression is a pattern with its program. Its fields do not change, except for those behind once, so goroutines may
// share it.
type expression struct {
	source   string
	encoding Encoding
	err      error // if the pattern cannot be compiled; then nothing below is set
	whole    *routing.Program
	longest  int // the length of the longest value that matches, in bytes, at most MaxValue

	// Only a filter needs what follows, in its own encoding, so divide computes it.
	once   sync.Once
	tree   *syntax.Regexp // nil once it is divided
	prefix string
	clues  []clue
	rest   *remainder
}

func newExpression(source string, encoding Encoding) *expression {
	e := &expression{source: source, encoding: encoding}
	e.tree, e.err = parse(source, encoding)
	if e.err != nil {
		return e
	}
	if e.whole, e.err = compile(e.tree, encoding); e.err == nil {
		e.longest = longest(e.tree, encoding)
	}
	return e
}

// divide sets prefix, clues and rest of a pattern, if it can be compiled.
func (e *expression) divide() *expression {
	e.once.Do(func() {
		if e.err != nil {
			return
		}
		rest := e.whole
		if prefix, after := cut(e.tree, e.encoding); prefix != "" {
			if program, err := compile(after, e.encoding); err == nil { // it is smaller than the whole
				e.prefix, rest = prefix, program
			}
		}
		e.rest, e.clues = expressions.remainder(rest), clues(e.tree, e.encoding)
		e.tree = nil
	})
	return e
}

// isSlow reports whether the rest of the pattern has no automaton within the limits.
func (e *expression) isSlow() bool { return e.err == nil && e.divide().rest.automaton() == nil }

// remainder is what follows the prefix of a pattern. Thousands of patterns can have the same one, which is explored once
// for all of them: that takes longer than everything else that is done with a pattern.
type remainder struct {
	program  *routing.Program
	explored sync.Once
	short    []byte // valid after explored; see automaton
}

// automaton is the automaton of the remainder as a configuration has it, or nil if there is none within the limits. It
// must not be changed.
func (r *remainder) automaton() []byte {
	r.explored.Do(func() {
		if a := determinize([]*routing.Program{r.program}, single); a != nil {
			r.short = a.MarshalShort()
			expressions.grow(len(r.short))
		}
	})
	return r.short
}

// memory is a cache of expressions: the validator, the choice of a matching strategy, the plugin configuration and
// every change of rules need the same ones.
type memory struct {
	mu         sync.Mutex
	known      map[expressionKey]*expression
	remainders map[string]*remainder // by marshalled program
	merges     map[string]merge      // by patterns; see merged
	checked    map[expressionKey]check
	size       int // of all: instructions, and bytes of patterns and automata
}

// merge is a result of [Collection.merge].
type merge struct {
	patterns  int
	automaton []byte
}

// check is a result of [Check].
type check struct {
	instructions int
	err          error
}

type expressionKey struct {
	source   string
	encoding Encoding
}

// maxRemembered bounds memory.size: 10,000 patterns of their own fit, in both encodings. The cache is emptied when it is
// exceeded, so that old patterns do not stay for ever.
const maxRemembered = 1 << 22

var expressions = memory{known: map[expressionKey]*expression{}, remainders: map[string]*remainder{}, merges: map[string]merge{}, checked: map[expressionKey]check{}}

// of returns the expression of a pattern, from the cache if it is there.
func (m *memory) of(source string, encoding Encoding) *expression {
	key := expressionKey{source, encoding}
	m.mu.Lock()
	e := m.known[key]
	m.mu.Unlock()
	if e != nil {
		return e
	}
	e = newExpression(source, encoding)
	size := 1 + len(source)
	if e.err == nil {
		size += len(e.whole.Code)
	}
	m.grow(size)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[key] = e
	return e
}

// check returns the result of a check of a pattern, from the cache if it is there.
func (m *memory) check(source string, encoding Encoding) (instructions int, err error) {
	key := expressionKey{source, encoding}
	m.mu.Lock()
	e := m.known[key]
	c, ok := m.checked[key]
	m.mu.Unlock()
	if ok {
		return c.instructions, c.err
	}
	if e == nil {
		e = newExpression(source, encoding)
	}
	if c.err = e.err; c.err == nil {
		c.instructions = len(e.whole.Code)
	}
	m.grow(1 + len(source))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checked[key] = c
	return c.instructions, c.err
}

// remainder returns the remainder with a program, from the cache if it is there.
func (m *memory) remainder(p *routing.Program) *remainder {
	text := string(p.Marshal())
	m.mu.Lock()
	r := m.remainders[text]
	m.mu.Unlock()
	if r != nil {
		return r
	}
	r = &remainder{program: p}
	m.grow(len(p.Code))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remainders[text] = r
	return r
}

// merged returns what [Collection.merge] returns, from the cache if it is there.
func (m *memory) merged(c *Collection, patterns []int) (n int, automaton []byte) {
	key := []byte{byte(c.encoding)}
	for _, i := range patterns {
		source := c.patterns[i].source
		key = append(binary.AppendUvarint(key, uint64(len(source))), source...)
	}
	m.mu.Lock()
	known, ok := m.merges[string(key)]
	m.mu.Unlock()
	if ok {
		return known.patterns, known.automaton
	}
	known.patterns, known.automaton = c.merge(patterns)
	m.grow(len(key) + len(known.automaton))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.merges[string(key)] = known
	return known.patterns, known.automaton
}

// grow makes room for something of a size.
func (m *memory) grow(size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size += size; m.size > maxRemembered {
		clear(m.known)
		clear(m.remainders)
		clear(m.merges)
		clear(m.checked)
		m.size = size
	}
}
