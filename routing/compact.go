package routing

// compact is the automaton of one expression in few bytes, which are run without decoding: of a thousand expressions, a
// request usually reaches only one, so decoding all of them when a configuration is read would be wasted. It replaces
// an [Automaton] whose states have few edges, as in nearly all expressions for paths.
//
// The first byte is the size of a place in bytes, 1 or 2. States follow, the start first. A place is the offset of a
// state from that first byte, little-endian; place 0 is no state, so the value is not matched. A state is a byte of
// flags and
//
//	the place of another state, if hasElse is set: for a byte without an edge here, the edges of that state are used
//	then either, if the lowest six bits of the flags are chain,
//	    n and n bytes                  these bytes lead to the state that is written next
//	or, if these bits are the numbers s (high three bits) and r (low three bits),
//	    s times a byte and a place     this byte leads to the place
//	    r times two bytes and a place  these and all bytes between lead there; the first edge that fits is used
//
// /[a-z]+/item-7(/.*)? is, after the prefix "/",
//
//	1: a-z -> 5            5: a-z -> 5, / -> 12       12: chain item-7
//	20: accepts, / -> 23   23: accepts, \n -> 0, any -> 23
//
// A chain with hasElse is what makes (.*;)?user=jason small: at each byte of user=jason, any other byte leads to the
// same state as it does from the start.
type compact string

const (
	accepts  = 0x80
	hasElse  = 0x40
	chain    = 0x3f
	mostEach = 7 // edges of each kind; both at once would be a chain
)

// place returns the place that is written at an offset, in size bytes.
//
// In range: valid has checked that the place ends before the code does.
func (c compact) place(at, size int) int {
	if size == 1 {
		return int(c[at])
	}
	return int(c[at]) | int(c[at+1])<<8
}

// match reports whether the expression matches the whole of s.
//
// In range: valid has checked that every state and its edges end before the code does, that every place is that of a
// state, and that a chain is followed by a state. At i there is a byte of s wherever one is read: the loops before
// return at its end.
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

// edge returns the place that byte b leads to from a state whose edges begin at offset p, or -1 if there is no edge for
// b.
//
// In range: valid has checked that the edges end before the code does.
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

// valid reports whether all edges lead to states or to place 0, and whether hasElse leads to a state with edges and
// without hasElse. isState is scratch memory, which is returned for the next call.
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

// end returns the offset at which the state at an offset ends. It is beyond the end of c for a state that is cut off.
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

// MarshalShort writes the automaton of one expression in the shorter one of two forms: that of [Automaton.Marshal] or
// the compact one.
func (a *Automaton) MarshalShort() []byte {
	b := a.Marshal()
	if c, ok := a.marshalCompact(); ok && len(c) < len(b) {
		return c
	}
	return b
}

// marshalCompact writes the automaton of one expression for the configuration, as the byte kindCompact and a [compact].
// false means that a state has too many edges, that the automaton has too many states, or that it accepts nothing.
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
