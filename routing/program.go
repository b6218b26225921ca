package routing

// Program is a regular expression, compiled by package regex: a nondeterministic automaton over bytes that must match
// the whole value. Running it costs at most the length of the value times the length of the program. Package regex
// makes an [Automaton] of most programs; the filter runs only those for which it would have too many states.
type Program struct {
	Start uint32
	Code  []Instruction
}

// Instruction is one state.
type Instruction struct {
	Op     Op
	Lo, Hi byte   // OpRange: the first and the last of the bytes that lead on to Out
	Out    uint32 // the next state
	Arg    uint32 // OpSplit: the other next state; OpAssert: the Assertion
}

// Op is the kind of a state.
type Op uint8

// The kinds of states.
const (
	OpMatch Op = iota
	OpFail
	OpRange
	OpSplit
	OpAssert
)

// Assertion is a condition on the place between two bytes.
type Assertion uint8

// The assertions of the dialect. A word consists of ASCII letters, digits and underscores.
const (
	AssertBeginText Assertion = iota
	AssertEndText
	AssertBeginLine
	AssertEndLine
	AssertWordBoundary
	AssertNoWordBoundary
	assertions
)

// instructionSize is the size of one instruction in the configuration, in bytes: one for Op, three for Out, and three
// for Arg or for Lo, Hi and a zero.
const instructionSize = 7

// The first byte of each marshalled form is its kind: N for a [Program], D for an [Automaton], C for a [compact].
const (
	kindProgram   = 'N'
	kindAutomaton = 'D'
	kindCompact   = 'C'
)

// Marshal writes the program for the configuration: the byte kindProgram, Start in three bytes, and the instructions.
// Numbers are little-endian.
func (p *Program) Marshal() []byte {
	b := appendUint24([]byte{kindProgram}, p.Start)
	for _, i := range p.Code {
		b = append(b, byte(i.Op))
		b = appendUint24(b, i.Out)
		if i.Op == OpRange {
			b = append(b, i.Lo, i.Hi, 0)
		} else {
			b = appendUint24(b, i.Arg)
		}
	}
	return b
}

func appendUint24(b []byte, n uint32) []byte { return append(b, byte(n), byte(n>>8), byte(n>>16)) }

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

// unmarshalProgram reads what Marshal wrote after the first byte. false means that a state leads out of the program, or
// that the bytes are not a program for another reason.
func unmarshalProgram(b []byte) (*Program, bool) {
	if len(b) < 3+instructionSize || (len(b)-3)%instructionSize != 0 {
		return nil, false
	}
	p := &Program{Start: uint24(b), Code: make([]Instruction, (len(b)-3)/instructionSize)}
	n := uint32(len(p.Code))
	for i := range p.Code {
		c := b[3+i*instructionSize:]
		in := Instruction{Op: Op(c[0]), Out: uint24(c[1:])}
		switch in.Op {
		case OpMatch, OpFail:
		case OpRange:
			in.Lo, in.Hi = c[4], c[5]
		case OpSplit:
			if in.Arg = uint24(c[4:]); in.Arg >= n {
				return nil, false
			}
		case OpAssert:
			if in.Arg = uint24(c[4:]); in.Arg >= uint32(assertions) {
				return nil, false
			}
		default:
			return nil, false
		}
		if in.Out >= n {
			return nil, false
		}
		p.Code[i] = in
	}
	if p.Start >= n {
		return nil, false
	}
	return p, true
}

// Machine is the memory for running programs, and counts their steps. It grows to the longest program, and is used
// again.
type Machine struct {
	current, next stateSet
	stack         []uint32
	// spent is the number of steps so far. Beyond [MaxWork] no expression matches any more, unless unbounded is set.
	spent     int
	unbounded bool
	work      work // counted natively, for tests
}

// MaxWork bounds the steps that expressions may take for one request, about 15 ms in Envoy. A byte that an [Automaton]
// reads, or that is searched for the texts of expressions, is one step; a byte that a compact automaton reads is two;
// each state that a [Program] is in at a byte is [ProgramStep] steps. A path of 2 KB reaches the limit with a thousand
// expressions that nothing else distinguishes, a path of 60 KB with thirty.
const MaxWork = 4_000_000

// ProgramStep is the cost of each state that a [Program] is in at a byte, in steps of an [Automaton].
const ProgramStep = 8

// compactStep is the cost of each byte that a [compact] reads, in steps of an [Automaton].
const compactStep = 2

// spend counts steps, and reports whether they are within [MaxWork]. Beyond it, it counts no more: thousands of rules may
// be left, and int has 32 bits in the small module.
func (m *Machine) spend(steps int) bool {
	m.work.readBytes(steps)
	if m.isExhausted() {
		return false
	}
	m.spent += steps
	return m.spent <= MaxWork || m.unbounded
}

func (m *Machine) isExhausted() bool { return m.spent > MaxWork && !m.unbounded }

// stateSet is a set of states with constant-time insertion, look-up and clearing.
type stateSet struct {
	sparse, dense []uint32
}

// In range: n is the number of states of a program.
func (s *stateSet) reset(n int) {
	if cap(s.sparse) < n {
		s.sparse, s.dense = make([]uint32, n), make([]uint32, 0, n)
	}
	s.sparse, s.dense = s.sparse[:n], s.dense[:0]
}

// In range: sparse has an element for each state; i is compared with the length of dense.
func (s *stateSet) has(state uint32) bool {
	i := s.sparse[state]
	return int(i) < len(s.dense) && s.dense[i] == state
}

// In range: sparse has an element for each state.
func (s *stateSet) insert(state uint32) {
	s.sparse[state] = uint32(len(s.dense))
	s.dense = append(s.dense, state)
}

// Match reports whether the program matches the whole of s. It is false, too, once the machine has made [MaxWork]
// steps.
//
// In range: unmarshalProgram has checked that states lead to states.
func (p *Program) Match(m *Machine, s string) bool {
	m.current.reset(len(p.Code))
	m.next.reset(len(p.Code))
	m.follow(p, &m.current, p.Start, s, 0)
	for i := 0; i < len(s); i++ {
		if !m.spend(ProgramStep * len(m.current.dense)) {
			return false
		}
		m.next.dense = m.next.dense[:0]
		for _, state := range m.current.dense {
			if in := &p.Code[state]; in.Op == OpRange && in.Lo <= s[i] && s[i] <= in.Hi {
				m.follow(p, &m.next, in.Out, s, i+1)
			}
		}
		m.current, m.next = m.next, m.current
		if len(m.current.dense) == 0 {
			return false
		}
	}
	for _, state := range m.current.dense {
		if p.Code[state].Op == OpMatch {
			return true
		}
	}
	return false
}

// follow adds a state, and all states that it leads to without reading a byte, at offset i of s. It keeps a stack of
// its own, since the depth of a recursion would depend on the pattern.
//
// In range: unmarshalProgram has checked that states lead to states, and the stack is not empty in the loop.
func (m *Machine) follow(p *Program, set *stateSet, state uint32, s string, i int) {
	m.stack = append(m.stack[:0], state)
	for len(m.stack) > 0 {
		state = m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if set.has(state) {
			continue
		}
		set.insert(state)
		switch in := &p.Code[state]; in.Op {
		case OpSplit:
			m.stack = append(m.stack, in.Arg, in.Out)
		case OpAssert:
			if holds(Assertion(in.Arg), s, i) {
				m.stack = append(m.stack, in.Out)
			}
		}
	}
}

// holds reports whether an assertion is true at offset i of s.
//
// In range: i is at most the length of s, and is compared with 0 and with that length before a byte is read.
func holds(a Assertion, s string, i int) bool {
	switch a {
	case AssertBeginText:
		return i == 0
	case AssertEndText:
		return i == len(s)
	case AssertBeginLine:
		return i == 0 || s[i-1] == '\n'
	case AssertEndLine:
		return i == len(s) || s[i] == '\n'
	}
	before := i > 0 && isWord(s[i-1])
	after := i < len(s) && isWord(s[i])
	return (before != after) == (a == AssertWordBoundary)
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
