package routing

// Automaton is one or more regular expressions as a deterministic automaton over bytes, made by package regex: one look
// at a table for each byte of a value says which of them take the whole of it. State 0 leads nowhere and takes nothing.
type Automaton struct {
	// Classes maps bytes to columns of the table: bytes of one class lead to the same states.
	Classes *[256]uint8
	// Width is the number of classes.
	Width int
	Start uint16
	// Next has a row of Width states for each state.
	Next []uint16
	// Accept says for each state which of Lists takes a value that ends there. List 0 is empty.
	Accept []uint16
	// Lists hold numbers of expressions, in ascending order.
	Lists [][]uint16
}

// run returns the expressions that take the whole of s.
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

// Match says whether one of the expressions takes the whole of s.
func (a *Automaton) Match(s string) bool { return len(a.run(s)) > 0 }

// Marshal writes the automaton for the configuration, all numbers as varints: width; the classes as runs of equal
// bytes; the count of states, the start; for each state its row, as runs of equal states, and its list; the lists.
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

// varints reads numbers; ok turns false at the first that is missing or too large.
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

// maxStates is how many states an automaton may have at most.
const maxStates = 1 << 16

// MaxTable is how large an automaton's table may be at most; such a one is 2 MB.
const MaxTable = 1 << 20

// unmarshalAutomaton reads what Marshal wrote after the first byte, and checks that no state leads out of the table and
// no list names an expression that is not below members.
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

// unmarshalClasses reads the classes of bytes, or nil. Many automata have the same, and share them.
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

// rejects says whether nothing leads on from a state and a value that ends there is not taken.
func (a *Automaton) rejects(state int) bool {
	for _, next := range a.Next[state*a.Width:][:a.Width] {
		if int(next) != state {
			return false
		}
	}
	return a.Accept[state] == 0
}
