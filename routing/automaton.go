package routing

// Automaton is a deterministic automaton over bytes for one or more regular expressions, made by package regex. One
// table access for each byte of a value finds which of the expressions match the whole value. State 0 leads only to
// itself and accepts nothing.
type Automaton struct {
	// Classes maps bytes to columns of the table: bytes of one class lead to the same state from every state.
	Classes *[256]uint8
	// Width is the number of classes.
	Width int
	Start uint16
	// Next has a row of Width states for each state.
	Next []uint16
	// Accept has for each state an index into Lists: the expressions that match a value that ends in the state. List 0
	// is empty.
	Accept []uint16
	// Lists hold numbers of expressions, in ascending order.
	Lists [][]uint16
}

// run returns the numbers of the expressions that match the whole of s.
//
// In range: unmarshalAutomaton has checked that Next has a row for each state and a column for each class, and Accept
// a list for each state.
func (a *Automaton) run(s string) []uint16 {
	state, width, next, classes := int(a.Start), a.Width, a.Next, a.Classes
	for i := 0; i < len(s); i++ {
		state = int(next[state*width+int(classes[s[i]])])
		if state == 0 {
			return nil
		}
	}
	return a.Lists[a.Accept[state]]
}

// Match reports whether one of the expressions matches the whole of s.
func (a *Automaton) Match(s string) bool { return len(a.run(s)) > 0 }

// Marshal writes the automaton for the configuration: the byte kindAutomaton, then numbers as varints. These are the
// width; the classes, as runs of bytes of one class; the count of states and the start; for each state its row, as runs
// of equal states, and the index of its list; the count of lists; for each list its length and its numbers.
func (a *Automaton) Marshal() []byte {
	b := appendVarint([]byte{kindAutomaton}, a.Width)
	for i := 0; i < 256; {
		n := 1
		for i+n < 256 && a.Classes[i+n] == a.Classes[i] {
			n++
		}
		b = appendVarint(appendVarint(b, n), int(a.Classes[i]))
		i += n
	}
	b = appendVarint(appendVarint(b, len(a.Accept)), int(a.Start))
	for state, list := range a.Accept {
		row := a.Next[state*a.Width:][:a.Width]
		for i := 0; i < len(row); {
			n := 1
			for i+n < len(row) && row[i+n] == row[i] {
				n++
			}
			b = appendVarint(appendVarint(b, n), int(row[i]))
			i += n
		}
		b = appendVarint(b, int(list))
	}
	b = appendVarint(b, len(a.Lists))
	for _, list := range a.Lists {
		b = appendVarint(b, len(list))
		for _, n := range list {
			b = appendVarint(b, int(n))
		}
	}
	return b
}

func appendVarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// varints reads numbers; ok becomes false at the first number that is missing or too large.
type varints struct {
	data []byte
	ok   bool
}

func (v *varints) next(limit int) int {
	n := 0
	for i, c := range v.data {
		if n |= int(c&0x7f) << (7 * i); c < 0x80 {
			v.data = v.data[i+1:]
			if n >= limit {
				break
			}
			return n
		}
		if i == 2 {
			break
		}
	}
	v.ok, v.data = false, nil
	return 0
}

// maxStates is the largest number of states of an automaton.
const maxStates = 1 << 16

// MaxTable is the largest size of an automaton's table, in entries of two bytes: 2 MB.
const MaxTable = 1 << 20

// unmarshalAutomaton reads what Marshal wrote after the first byte. false means that a state leads out of the table,
// that a state has a list that is not there, or that the bytes are not an automaton for another reason. The numbers in
// lists are checked by names, against the expressions of a set. shared has the classes of automata that were read
// before.
func unmarshalAutomaton(b []byte, shared map[string]*[256]uint8) (*Automaton, bool) {
	v := &varints{b, true}
	a := &Automaton{Width: v.next(257)}
	if a.Width == 0 {
		return nil, false
	}
	if a.Classes = unmarshalClasses(v, a.Width, shared); a.Classes == nil {
		return nil, false
	}
	states := v.next(maxStates + 1)
	a.Start = uint16(v.next(states))
	if !v.ok || states*a.Width > MaxTable || states > len(v.data) {
		return nil, false
	}
	a.Next, a.Accept = make([]uint16, states*a.Width), make([]uint16, states)
	most := 0
	for state := range a.Accept {
		row := a.Next[state*a.Width:][:a.Width]
		for i := 0; i < len(row); {
			n, next := v.next(a.Width+1), v.next(states)
			if n == 0 || i+n > len(row) {
				return nil, false
			}
			for ; n > 0; i, n = i+1, n-1 {
				row[i] = uint16(next)
			}
		}
		list := v.next(maxStates)
		a.Accept[state] = uint16(list)
		most = max(most, list)
	}
	lists := v.next(maxStates)
	if !v.ok || most >= lists || lists > len(v.data)+1 {
		return nil, false
	}
	a.Lists = make([][]uint16, lists)
	for i := range a.Lists {
		n := v.next(maxStates)
		if n > len(v.data) || i == 0 && n > 0 {
			return nil, false
		}
		a.Lists[i] = make([]uint16, n)
		for j := range a.Lists[i] {
			a.Lists[i][j] = uint16(v.next(maxStates))
		}
	}
	return a, v.ok && len(v.data) == 0 && a.rejects(0)
}

// unmarshalClasses reads the classes of bytes; nil means that they are not valid. Many automata have equal classes, and
// share them.
func unmarshalClasses(v *varints, width int, shared map[string]*[256]uint8) *[256]uint8 {
	before := v.data
	var of [256]uint8
	for i := 0; i < 256; {
		n, class := v.next(257), v.next(width)
		if !v.ok || n == 0 || i+n > 256 {
			return nil
		}
		for j := range of[i : i+n] {
			of[i+j] = uint8(class)
		}
		i += n
	}
	key := before[:len(before)-len(v.data)]
	classes := shared[string(key)]
	if classes == nil {
		classes = new([256]uint8)
		*classes = of
		shared[string(key)] = classes
	}
	return classes
}

// rejects reports whether a state leads only to itself and accepts nothing.
func (a *Automaton) rejects(state int) bool {
	for _, next := range a.Next[state*a.Width:][:a.Width] {
		if int(next) != state {
			return false
		}
	}
	return a.Accept[state] == 0
}
