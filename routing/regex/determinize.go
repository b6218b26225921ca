package regex

import (
	"encoding/binary"
	"math"
	"slices"

	"waymark.dev/waymark/routing"
)

// limits bound the size of an automaton and the work to find it. A pattern of thirty bytes can need a million states.
type limits struct {
	states int // the largest number of states
	work   int // the largest number of instructions that are simulated to find the states
}

// determinize makes one automaton of several programs. It accepts the values that at least one program matches, with
// the list of these programs. It returns nil if a limit is reached.
//
// A state is a set of instructions that the programs can be at, before assertions and alternatives are followed, since
// whether an assertion is true depends on the next byte; and a context, which is what assertions need to know about the
// byte before. If no program has an assertion, the context is always the same, which gives fewer states.
func determinize(programs []*routing.Program, most limits) *routing.Automaton {
	d := explore(programs, most)
	if d == nil {
		return nil
	}
	accept := make([]uint16, len(d.sets))
	for i := range accept {
		accept[i] = d.acceptedBy(i)
	}
	return minimize(&routing.Automaton{Classes: &d.classes, Width: d.width, Start: d.begin, Next: d.next, Accept: accept, Lists: d.lists})
}

// onExplore is called before states are looked for. Only tests set it.
var onExplore func()

// explore finds all states and the edges between them. It returns nil if a limit is reached.
func explore(programs []*routing.Program, most limits) *determinizer {
	if onExplore != nil {
		onExplore()
	}
	d := newDeterminizer(programs, most)
	for i := 0; i < len(d.sets); i++ {
		if d.next = d.row(i, d.next); d.exceeded() {
			return nil
		}
	}
	return d
}

// newDeterminizer makes the state that leads only to itself, which is state 0, and the one at the begin of a value.
func newDeterminizer(programs []*routing.Program, most limits) *determinizer {
	d := &determinizer{most: most, known: map[string]uint16{}, listOf: map[string]uint16{"": 0}, lists: [][]uint16{{}}}
	size := 0
	for _, p := range programs {
		size += len(p.Code)
	}
	d.code, d.owner, d.seen = make([]routing.Instruction, 0, size), make([]int, size), make([]int, size)
	for i, p := range programs {
		d.base = append(d.base, len(d.code))
		for k := range p.Code {
			d.owner[len(d.code)+k] = i
		}
		d.start = append(d.start, len(d.code)+int(p.Start))
		d.code = append(d.code, p.Code...)
	}
	d.classify()
	d.state(nil, afterOther) // state 0, which leads only to itself
	d.begin = d.state(d.start, atBegin)
	return d
}

// row appends where a state leads, by class.
func (d *determinizer) row(state int, to []uint16) []uint16 {
	if d.reached = d.reached[:0]; !d.asserts {
		d.close(state, afterOther, false, func(k int) { d.reached = append(d.reached, k) })
	}
	for class := range d.width {
		to = append(to, d.step(state, class))
	}
	return to
}

// context is what assertions need to know about the byte before a place.
type context byte

const (
	atBegin context = iota
	afterNewline
	afterWord
	afterOther
)

type determinizer struct {
	most    limits
	work    int
	code    []routing.Instruction
	base    []int // of each program's first instruction
	owner   []int // the program of each instruction
	start   []int
	asserts bool

	classes [256]uint8
	width   int
	sample  []byte // one byte of each class

	begin    uint16
	next     []uint16 // where each state leads, by class
	sets     [][]int  // the instructions of each state, ascending
	members  []int    // has the elements of sets
	contexts []context
	known    map[string]uint16
	lists    [][]uint16
	listOf   map[string]uint16

	reached    []int // if there are no assertions: the instructions of the current state that read a byte or match
	out, stack []int // scratch
	key        []byte
	seen       []int // by instruction: the number of the last call of close that reached it
	mark       int   // the number of the current call of close
}

func (d *determinizer) exceeded() bool {
	return len(d.sets) > d.most.states || d.work > d.most.work || len(d.sets)*d.width > routing.MaxTable
}

// classify divides the bytes into classes, so that no instruction distinguishes two bytes of one class.
func (d *determinizer) classify() {
	var border [257]bool
	border[0] = true
	for _, in := range d.code {
		switch in.Op {
		case routing.OpRange:
			border[in.Lo], border[int(in.Hi)+1] = true, true
		case routing.OpAssert:
			d.asserts = true
		}
	}
	if d.asserts {
		for _, r := range [][2]int{{'\n', '\n'}, {'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}} {
			border[r[0]], border[r[1]+1] = true, true
		}
	}
	// All bytes between two borders are in one class. Such ranges are in one class, too, if the same instructions read
	// them.
	ids := map[string]uint8{}
	var signature []byte
	for b := 0; b < 256; b++ {
		if b > 0 && !border[b] {
			d.classes[b] = d.classes[b-1]
			continue
		}
		signature = signature[:0]
		for i, in := range d.code {
			if in.Op == routing.OpRange && int(in.Lo) <= b && b <= int(in.Hi) {
				signature = binary.AppendUvarint(signature, uint64(i))
			}
		}
		if d.asserts {
			signature = append(signature, byte(contextOf(byte(b))))
		}
		id, ok := ids[string(signature)]
		if !ok {
			id = uint8(len(ids))
			ids[string(signature)] = id
			d.sample = append(d.sample, byte(b))
		}
		d.classes[b] = id
	}
	d.width = len(ids)
}

func contextOf(b byte) context {
	switch {
	case b == '\n':
		return afterNewline
	case 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_':
		return afterWord
	default:
		return afterOther
	}
}

// state returns the number of the state with these instructions and this context, and makes a new one if there is none
// yet.
func (d *determinizer) state(set []int, before context) uint16 {
	if !d.asserts || len(set) == 0 {
		before = afterOther
	}
	key := append(d.key[:0], byte(before))
	for _, i := range set {
		key = binary.AppendUvarint(key, uint64(i))
	}
	d.key = key
	if s, ok := d.known[string(key)]; ok {
		return s
	}
	if len(d.sets) >= 1<<16-1 {
		d.work = d.most.work + 1
		return 0
	}
	s := uint16(len(d.sets))
	d.known[string(key)] = s
	begin := len(d.members)
	d.members = append(d.members, set...)
	d.sets, d.contexts = append(d.sets, d.members[begin:]), append(d.contexts, before)
	return s
}

// step returns the state that the bytes of a class lead to.
func (d *determinizer) step(state, class int) uint16 {
	b := d.sample[class]
	after := contextOf(b)
	out := d.out[:0]
	take := func(i int) {
		if in := &d.code[i]; in.Op == routing.OpRange && in.Lo <= b && b <= in.Hi {
			out = append(out, d.base[d.owner[i]]+int(in.Out))
		}
	}
	if d.asserts {
		d.close(state, after, false, take)
	} else {
		d.work += len(d.reached)
		for _, i := range d.reached {
			take(i)
		}
	}
	slices.Sort(out)
	d.out = out
	return d.state(slices.Compact(out), after)
}

// acceptedBy returns the index in lists of the programs that match a value which ends in a state.
func (d *determinizer) acceptedBy(state int) uint16 {
	var list []uint16
	d.close(state, afterOther, true, func(i int) {
		if d.code[i].Op == routing.OpMatch {
			list = append(list, uint16(d.owner[i]))
		}
	})
	slices.Sort(list)
	list = slices.Compact(list)
	var key []byte
	for _, p := range list {
		key = binary.AppendUvarint(key, uint64(p))
	}
	id, ok := d.listOf[string(key)]
	if !ok {
		id = uint16(len(d.lists))
		d.listOf[string(key)] = id
		d.lists = append(d.lists, list)
	}
	return id
}

// close calls each for every instruction that a state leads to without reading a byte, apart from alternatives and
// assertions. after is the class of the next byte for assertions; with atEnd there is no next byte.
func (d *determinizer) close(state int, after context, atEnd bool, each func(i int)) {
	d.mark++
	stack := append(d.stack[:0], d.sets[state]...)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if d.seen[i] == d.mark {
			continue
		}
		d.seen[i] = d.mark
		d.work++
		in, base := &d.code[i], d.base[d.owner[i]]
		switch in.Op {
		case routing.OpSplit:
			stack = append(stack, base+int(in.Out), base+int(in.Arg))
		case routing.OpAssert:
			if holds(routing.Assertion(in.Arg), d.contexts[state], after, atEnd) {
				stack = append(stack, base+int(in.Out))
			}
		default:
			each(i)
		}
	}
	d.stack = stack
}

func holds(a routing.Assertion, before, after context, atEnd bool) bool {
	switch a {
	case routing.AssertBeginText:
		return before == atBegin
	case routing.AssertEndText:
		return atEnd
	case routing.AssertBeginLine:
		return before == atBegin || before == afterNewline
	case routing.AssertEndLine:
		return atEnd || after == afterNewline
	}
	isBoundary := (before == afterWord) != (!atEnd && after == afterWord)
	return isBoundary == (a == routing.AssertWordBoundary)
}

// minimize merges states that no value distinguishes. It first divides the states into parts by their lists and by
// their distances to a state that accepts, then by the parts that they lead to, until no part changes. State 0 stays
// the state that leads only to itself.
func minimize(a *routing.Automaton) *routing.Automaton {
	n := len(a.Accept)
	distance := distances(a)
	part, next := make([]uint16, n), make([]uint16, n)
	ids := make(map[string]uint16, n)
	row := make([]byte, 0, 2*(a.Width+1))
	number := func(s int) {
		id, ok := ids[string(row)]
		if !ok {
			id = uint16(len(ids))
			ids[string(row)] = id
		}
		next[s] = id
	}
	for s := range n {
		row = binary.LittleEndian.AppendUint16(row[:0], a.Accept[s])
		row = binary.LittleEndian.AppendUint16(row, distance[s])
		number(s)
	}
	for count := 0; len(ids) != count; {
		part, next = next, part
		count = len(ids)
		clear(ids)
		for s := range n {
			row = binary.LittleEndian.AppendUint16(row[:0], part[s])
			for _, to := range a.Next[s*a.Width:][:a.Width] {
				row = binary.LittleEndian.AppendUint16(row, part[to])
			}
			number(s)
		}
	}
	count := len(ids)
	out := &routing.Automaton{Classes: a.Classes, Width: a.Width, Start: part[a.Start], Lists: a.Lists,
		Next: make([]uint16, count*a.Width), Accept: make([]uint16, count)}
	for s := range n {
		p := int(part[s])
		out.Accept[p] = a.Accept[s]
		for class := range a.Width {
			out.Next[p*a.Width+class] = part[a.Next[s*a.Width+class]]
		}
	}
	return out
}

// distances returns, for each state, the length of the shortest value that leads to a state that accepts, in bytes, or
// math.MaxUint16 if there is none.
func distances(a *routing.Automaton) []uint16 {
	n := len(a.Accept)
	// The edges that lead to each state, as chains: first has one edge for each state, link the next edge for each
	// edge.
	first, link := make([]int32, n), make([]int32, len(a.Next))
	for i := range first {
		first[i] = -1
	}
	for edge, to := range a.Next {
		link[edge], first[to] = first[to], int32(edge)
	}
	distance := make([]uint16, n)
	var todo []int
	for s, list := range a.Accept {
		distance[s] = math.MaxUint16
		if list > 0 {
			distance[s] = 0
			todo = append(todo, s)
		}
	}
	for i := 0; i < len(todo); i++ {
		for edge := first[todo[i]]; edge >= 0; edge = link[edge] {
			if s := int(edge) / a.Width; distance[s] == math.MaxUint16 {
				distance[s] = distance[todo[i]] + 1
				todo = append(todo, s)
			}
		}
	}
	return distance
}
