package regex

import (
	"encoding/binary"
	"math"
	"slices"

	"waymark.dev/waymark/routing"
)

// limits bound what an automaton may become. A pattern of thirty bytes can need a million states.
type limits struct {
	states int // at most
	work   int // steps of the programs that may be simulated to find the states
}

// determinize makes one automaton of programs, which takes what one of them takes and says which do; nil when a limit
// is reached.
//
// A state is what the programs could be in the midst of: their instructions that wait for a byte, before assertions and
// alternatives are followed, since what an assertion sees depends on the byte to come; and what it sees of the byte
// before. Only programs with assertions are asked for that: the others are in fewer states.
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

// explore finds all states and where each leads; nil when a limit is reached.
func explore(programs []*routing.Program, most limits) *determinizer {
	d := &determinizer{most: most, known: map[string]uint16{}, listOf: map[string]uint16{"": 0}, lists: [][]uint16{{}}}
	for _, p := range programs {
		d.base = append(d.base, len(d.code))
		d.code = append(d.code, p.Code...)
		for range p.Code {
			d.owner = append(d.owner, len(d.base)-1)
		}
		d.start = append(d.start, d.base[len(d.base)-1]+int(p.Start))
	}
	d.classify()
	d.seen = make([]int, len(d.code))
	d.state(nil, afterOther) // state 0 leads nowhere
	d.begin = d.state(d.start, atBegin)
	for i := 0; i < len(d.sets); i++ {
		if d.reached = d.reached[:0]; !d.asserts {
			d.close(i, afterOther, false, func(k int) { d.reached = append(d.reached, k) })
		}
		for class := range d.width {
			to := d.step(i, class)
			if d.exceeded() {
				return nil
			}
			d.next = append(d.next, to)
		}
	}
	return d
}

// What an assertion sees before it.
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
	sample  []byte // a byte of each class

	begin    uint16
	next     []uint16 // where each state leads, by class
	sets     [][]int  // the instructions of each state, ascending
	contexts []context
	known    map[string]uint16
	lists    [][]uint16
	listOf   map[string]uint16

	reached    []int // the instructions that the state at hand waits for a byte at, where no assertion asks for that byte
	out, stack []int // scratch
	key        []byte
	seen       []int // by instruction: the closure it was in
	mark       int
}

func (d *determinizer) exceeded() bool {
	return len(d.sets) > d.most.states || d.work > d.most.work || len(d.sets)*d.width > routing.MaxTable
}

// classify parts the bytes into classes that no instruction tells apart.
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
	// Between two borders all bytes are alike; so are ranges between borders that the same instructions take.
	ids := map[string]uint8{}
	for b := 0; b < 256; b++ {
		if b > 0 && !border[b] {
			d.classes[b] = d.classes[b-1]
			continue
		}
		var signature []byte
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

// state returns the number of a state, which may be a new one.
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
	d.sets, d.contexts = append(d.sets, slices.Clone(set)), append(d.contexts, before)
	return s
}

// step is the state that a byte of a class leads to.
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

// acceptedBy is the list of programs that take a value which ends in a state.
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

// close calls each for every instruction that a state stands before, given the byte to come or the end.
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

// minimize merges states that no value tells apart: states are parted by what they take and by how far it is to a state
// that takes something, then by where they lead, until no part changes. State 0 stays the one that leads nowhere.
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

// distances are how many bytes it takes at least, from each state, to one that takes a value; all ones for never.
func distances(a *routing.Automaton) []uint16 {
	n := len(a.Accept)
	// Who leads to a state, as chains: a state is left once for each byte class.
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
