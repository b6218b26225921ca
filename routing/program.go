package routing

// Program is a regular expression, compiled by package regex: a nondeterministic automaton over bytes that must take
// the whole value. Running it costs at most the length of the value times the length of the program. It is run where an
// [Automaton] would have too many states; most are made into one.
type Program struct {
	Start uint32
	Code  []Instruction
}

// Instruction is one state.
type Instruction struct {
	Op     Op
	Lo, Hi byte   // OpRange: the bytes it takes
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

// The assertions of the dialect. A word is of ASCII letters, digits and underscores.
const (
	AssertBeginText Assertion = iota
	AssertEndText
	AssertBeginLine
	AssertEndLine
	AssertWordBoundary
	AssertNoWordBoundary
	assertions
)

// instructionSize is what one instruction takes in the configuration: its kind, two bytes of range or three of Arg,
// three of Out.
const instructionSize = 7

// The first byte of what was marshalled says what it is.
const (
	kindProgram   = 'N'
	kindAutomaton = 'D'
	kindCompact   = 'C'
)

// Marshal writes the program for the configuration.
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

// unmarshalProgram reads what Marshal wrote after the first byte, and checks that no state leads out of the program.
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

// Machine is the memory that running programs needs. It grows to the longest program, and is used again.
type Machine struct {
	current, next stateSet
	stack         []uint32
	// spent are the steps that were made; beyond [MaxWork], nothing matches any more, unless unbounded is set.
	spent     int
	unbounded bool
	work      work // counted natively, for tests
}

// MaxWork bounds the steps that expressions may take for one request: a byte that an [Automaton] reads is one, one that the
// form in few bytes reads is two, a state that a [Program] is in at a byte is [ProgramStep]. It is about 15 ms in Envoy. A path of 2 KB reaches it with a
// thousand expressions that nothing else tells apart; one of 60 KB with thirty.
const MaxWork = 4_000_000

// ProgramStep is what a state of a [Program] costs at each byte, in steps of an automaton.
const ProgramStep = 8

// compactStep is what a byte costs that the form in few bytes reads.
const compactStep = 2

// spend counts steps, and says whether they may be made.
func (m *Machine) spend(steps int) bool {
	m.spent += steps
	m.work.readBytes(steps)
	return m.spent <= MaxWork || m.unbounded
}

func (m *Machine) isExhausted() bool { return m.spent > MaxWork && !m.unbounded }

// stateSet is a set of states with constant-time insertion, look-up and clearing.
type stateSet struct {
	sparse, dense []uint32
}

func (s *stateSet) reset(n int) {
	if cap(s.sparse) < n {
		s.sparse, s.dense = make([]uint32, n), make([]uint32, 0, n)
	}
	s.sparse, s.dense = s.sparse[:n], s.dense[:0]
}

func (s *stateSet) has(state uint32) bool {
	i := s.sparse[state]
	return int(i) < len(s.dense) && s.dense[i] == state
}

func (s *stateSet) insert(state uint32) {
	s.sparse[state] = uint32(len(s.dense))
	s.dense = append(s.dense, state)
}

// Match says whether the program takes the whole of s; false where the machine may make no more steps.
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

// follow adds a state, and all that it leads to without taking a byte, at place i of s. The stack stands in for
// recursion, whose depth a pattern could choose.
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

// holds says whether an assertion is true at place i of s.
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
