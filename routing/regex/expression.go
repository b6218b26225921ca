package regex

import (
	"sync"

	"waymark.dev/waymark/routing"
)

// expression is a pattern with its programs, prefix and clues. Its fields do not change, except for those behind
// explored, so goroutines may share it.
type expression struct {
	source   string
	encoding Encoding
	err      error // if the pattern cannot be compiled; then nothing below is set
	prefix   string
	clues    []clue
	whole    *routing.Program
	rest     *routing.Program // what follows the prefix
	longest  int              // the length of the longest value that matches, in bytes, at most MaxValue

	explored sync.Once
	slow     bool // valid after explored; see isSlow
}

func newExpression(source string, encoding Encoding) *expression {
	e := &expression{source: source, encoding: encoding}
	re, err := parse(source, encoding)
	if err != nil {
		e.err = err
		return e
	}
	whole, err := compile(re, encoding)
	if err != nil {
		e.err = err
		return e
	}
	e.whole, e.rest, e.clues, e.longest = whole, whole, clues(re, encoding), longest(re, encoding)
	if prefix, rest := cut(re, encoding); prefix != "" {
		if after, err := compile(rest, encoding); err == nil { // it is smaller than the whole
			e.prefix, e.rest = prefix, after
		}
	}
	return e
}

// isSlow reports whether the rest of the pattern has no automaton within the limits. It is computed only once, since it
// takes longer than everything else that is done with a pattern.
func (e *expression) isSlow() bool {
	e.explored.Do(func() { e.slow = e.err == nil && explore([]*routing.Program{e.rest}, single) == nil })
	return e.slow
}

// memory is a cache of expressions: the validator, the choice of a matching strategy, the plugin configuration and
// every change of rules need the same ones.
type memory struct {
	mu    sync.Mutex
	known map[expressionKey]*expression
	size  int // of the known expressions: instructions, and bytes of patterns
}

type expressionKey struct {
	source   string
	encoding Encoding
}

// maxRemembered bounds memory.size. The cache is emptied when it is exceeded, so that old patterns do not stay for
// ever.
const maxRemembered = 1 << 20

var expressions = memory{known: map[expressionKey]*expression{}}

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
		size += len(e.whole.Code) + len(e.rest.Code)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size += size; m.size > maxRemembered {
		clear(m.known)
		m.size = size
	}
	m.known[key] = e
	return e
}
