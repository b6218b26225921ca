package routing

// compact is the automaton of one expression in few bytes, run as it is written: of a thousand expressions none but the
// one that a request leads to is ever looked at, so that nothing is made of them when a configuration is read. It takes
// the place of an [Automaton] where that has few edges for each state, as nearly all expressions of paths have.
//
// The first byte is the size of a place, 1 or 2. States follow, the start first; a place is where a state is, counted
// from that first byte, and place 0 leads nowhere. A state is a byte of flags and
//
//	the place of another state, if hasElse is set: a byte that this state has no edge for takes the other one's
//	then either, if the rest of the flags is chain,
//	    n and n bytes                  these bytes lead to the state that comes next
//	or, with the numbers s and r in the rest,
//	    s times a byte and a place     this byte leads there
//	    r times two bytes and a place  these and all between lead there; the first edge that fits is taken
//
// /[a-z]+/item-7(/.*)? is, behind the prefix "/",
//
//	1: a-z -> 5            5: a-z -> 5, / -> 12       12: chain item-7
//	20: accepts, / -> 23   23: accepts, \n -> 0, any -> 23
//
// The state that a chain falls back to with else is what makes (.*;)?user=jason small: each of its bytes but the right
// one leads where it would lead at the beginning.
type compact string

const (
	accepts  = 0x80
	hasElse  = 0x40
	chain    = 0x3f
	mostEach = 7 // edges of each kind; both at once would be a chain
)

// place reads a place of size bytes.
func (c compact) place(at, size int) int {
	if size == 1 {
		return int(c[at])
	}
	return int(c[at]) | int(c[at+1])<<8
}

// match says whether the expression takes the whole of s.
func (c compact) match(s string) bool {
	size, at, i := int(c[0]), 1, 0
	for {
		flags, p := c[at], at+1
		other := 0
		if flags&hasElse != 0 {
			other = c.place(p, size)
			p += size
		}
		to := -1
		if flags&chain == chain {
			n := int(c[p])
			p++
			k := min(n, len(s)-i)
			if k == n && string(c[p:p+n]) == s[i:i+n] {
				i, at = i+n, p+n
				continue
			}
			j := 0
			for j < k && c[p+j] == s[i+j] {
				j++
			}
			if i+j == len(s) {
				return j == 0 && flags&accepts != 0
			}
			i += j
		} else {
			to = at
			for ; to == at; i++ { // most bytes lead from a state to itself
				if i == len(s) {
					return flags&accepts != 0
				}
				to = c.edge(flags, p, size, s[i])
			}
			i--
		}
		if to < 0 && other > 0 {
			to = c.edge(c[other], other+1, size, s[i])
		}
		if to <= 0 {
			return false
		}
		i, at = i+1, to
	}
}

// edge is the place that a byte leads to from a state whose edges begin at p, or -1.
func (c compact) edge(flags byte, p, size int, b byte) int {
	for end := p + int(flags>>3&mostEach)*(1+size); p < end; p += 1 + size {
		if c[p] == b {
			return c.place(p+1, size)
		}
	}
	for end := p + int(flags&mostEach)*(2+size); p < end; p += 2 + size {
		if c[p] <= b && b <= c[p+1] {
			return c.place(p+2, size)
		}
	}
	return -1
}

// valid says that no state leads anywhere but to another one, and that an else leads to a state with edges and without
// else. isState is scratch.
func (c compact) valid(isState []bool) (_ []bool, ok bool) {
	if len(c) < 2 || c[0] != 1 && c[0] != 2 {
		return isState, false
	}
	if cap(isState) < len(c) {
		isState = make([]bool, len(c))
	}
	isState = isState[:len(c)]
	clear(isState)
	for at := 1; at < len(c); {
		isState[at] = true
		if at = c.end(at); at > len(c) {
			return isState, false
		}
	}
	size := int(c[0])
	leads := func(at int) bool {
		to := c.place(at, size)
		return to == 0 || to < len(c) && isState[to]
	}
	for at := 1; at < len(c); at = c.end(at) {
		flags, p := c[at], at+1
		if flags&hasElse != 0 {
			other := c.place(p, size)
			if !leads(p) || other == 0 || c[other]&hasElse != 0 || c[other]&chain == chain {
				return isState, false
			}
			p += size
		}
		if flags&chain == chain {
			if c[p] == 0 || c.end(at) == len(c) {
				return isState, false
			}
			continue
		}
		for n := flags >> 3 & mostEach; n > 0; n, p = n-1, p+1+size {
			if !leads(p + 1) {
				return isState, false
			}
		}
		for n := flags & mostEach; n > 0; n, p = n-1, p+2+size {
			if !leads(p + 2) {
				return isState, false
			}
		}
	}
	return isState, true
}

// end is where a state ends; beyond the end of c for one that is cut off.
func (c compact) end(at int) int {
	size, flags := int(c[0]), c[at]
	at++
	if flags&hasElse != 0 {
		at += size
	}
	if flags&chain != chain {
		return at + int(flags>>3&mostEach)*(1+size) + int(flags&mostEach)*(2+size)
	}
	if at >= len(c) {
		return len(c) + 1
	}
	return at + 1 + int(c[at])
}

// MarshalShort writes the automaton of one expression in the form that is smaller, as [compact] or as [Automaton.Marshal]
// does.
func (a *Automaton) MarshalShort() []byte {
	b := a.Marshal()
	if c, ok := a.marshalCompact(); ok && len(c) < len(b) {
		return c
	}
	return b
}

// marshalCompact writes the automaton of one expression for the configuration in the form of [compact]; false says that
// some state has too many edges, that there are too many states, or that no value is ever taken.
func (a *Automaton) marshalCompact() ([]byte, bool) {
	w := newCompactWriter(a)
	if w == nil {
		return nil, false
	}
	for size := 1; size <= 2; size++ {
		if code, ok := w.write(size); ok {
			return append([]byte{kindCompact}, code...), true
		}
	}
	return nil, false
}
