package regex

import (
	"math"

	"waymark.dev/waymark/routing"
)

// Lazy is the deterministic automaton of one program, of which a state is made when it is reached for the first time. It is
// for questions about all values that a pattern matches, where most states are never needed.
type Lazy struct {
	d       *determinizer
	rows    [][]uint16
	accepts []int8 // 1: yes, -1: no, 0: not known yet
}

// Dead is the state of a [Lazy] that leads only to itself, and in which no value ends that the pattern matches.
const Dead = 0

// NewLazy makes the automaton of a program.
func NewLazy(p *routing.Program) *Lazy {
	return &Lazy{d: newDeterminizer([]*routing.Program{p}, limits{states: math.MaxUint16 - 1, work: math.MaxInt - 1})}
}

// Classes maps bytes to classes: bytes of one class lead to the same state from every state.
func (l *Lazy) Classes() *[256]uint8 { return &l.d.classes }

// Start is the state before the first byte.
func (l *Lazy) Start() int { return int(l.d.begin) }

// Step is the state that a byte leads to.
func (l *Lazy) Step(state int, b byte) int {
	for len(l.rows) <= state {
		l.rows = append(l.rows, nil)
	}
	if l.rows[state] == nil {
		l.rows[state] = l.d.row(state, make([]uint16, 0, l.d.width))
	}
	return int(l.rows[state][l.d.classes[b]])
}

// Accepts reports whether the pattern matches a value that ends in a state.
func (l *Lazy) Accepts(state int) bool {
	for len(l.accepts) <= state {
		l.accepts = append(l.accepts, 0)
	}
	if l.accepts[state] == 0 {
		if l.accepts[state] = -1; l.d.acceptedBy(state) != 0 {
			l.accepts[state] = 1
		}
	}
	return l.accepts[state] > 0
}

// IsFull reports whether a state accepts and leads only to itself: whatever follows, the pattern matches.
func (l *Lazy) IsFull(state int) bool {
	if !l.Accepts(state) {
		return false
	}
	l.Step(state, 0)
	for _, to := range l.rows[state] {
		if int(to) != state {
			return false
		}
	}
	return true
}

// Exceeded reports whether there were more states than the automaton can have. Its answers are not right then.
func (l *Lazy) Exceeded() bool { return l.d.exceeded() }
