package routing

// compactWriter writes an automaton as [compact].
type compactWriter struct {
	a *Automaton
	// runs are the longest ranges of bytes of one class, ascending.
	runs  []compactRun
	other int             // the state that other states fall back to (hasElse), or -1
	alone [][]compactEdge // the edges of each state if it has no fallback
	// counts is scratch: how often each state occurs.
	counts []int
	// edges, falls and refs have for each state its edges, whether it falls back, and how many edges lead to it.
	edges [][]compactEdge
	falls []bool
	refs  []int
}

type compactRun struct {
	lo, hi byte
	class  int
}

type compactEdge struct {
	lo, hi byte
	to     int
}

// newCompactWriter chooses the edges of every state, with the fallback that saves the most bytes. It returns nil if a
// state has too many edges, or if the automaton accepts nothing.
func newCompactWriter(a *Automaton) *compactWriter {
	if a.Start == 0 {
		return nil
	}
	w := &compactWriter{a: a, counts: make([]int, len(a.Accept))}
	for b := range 256 {
		class := int(a.Classes[b])
		if n := len(w.runs); n > 0 && w.runs[n-1].class == class {
			w.runs[n-1].hi = byte(b)
		} else {
			w.runs = append(w.runs, compactRun{byte(b), byte(b), class})
		}
	}
	least := -1
	for _, other := range w.fallbacks() {
		edges, falls, cost := w.choose(other)
		if edges != nil && (least < 0 || cost < least) {
			w.other, w.edges, w.falls, least = other, edges, falls, cost
		}
	}
	if least < 0 {
		return nil
	}
	w.refs = make([]int, len(a.Accept))
	w.refs[a.Start]++
	for _, edges := range w.edges {
		for _, e := range edges {
			w.refs[e.to]++
		}
	}
	if w.other >= 0 {
		w.refs[w.other]++
	}
	return w
}

// fallbacks returns the states to try as the fallback: -1 for none, the start, and the state that most edges lead to.
func (w *compactWriter) fallbacks() []int {
	most := int(w.a.Start)
	for _, to := range w.a.Next {
		if w.counts[to]++; to != 0 && w.counts[to] > w.counts[most] {
			most = int(to)
		}
	}
	all := []int{-1, int(w.a.Start)}
	if most != int(w.a.Start) {
		all = append(all, most)
	}
	return all
}

// choose returns the edges of all states if other is the fallback, which states use it, and the size in bytes; nil if a
// state has too many edges.
func (w *compactWriter) choose(other int) (edges [][]compactEdge, falls []bool, cost int) {
	n := len(w.a.Accept)
	edges, falls = make([][]compactEdge, n), make([]bool, n)
	for s := 1; s < n; s++ {
		all, least, ok := w.own(s)
		if other >= 0 && s != other {
			if with, c, good := costed(w.listed(s, other)); good && (!ok || c+1 < least) {
				all, least, ok, falls[s] = with, c+1, true, true
			}
		}
		if !ok {
			return nil, nil, 0
		}
		edges[s], cost = all, cost+1+least
	}
	return edges, falls, cost
}

// own returns the edges of a state without a fallback, in the shorter one of two forms; see listed and exceptions.
func (w *compactWriter) own(s int) (edges []compactEdge, cost int, ok bool) {
	if w.alone == nil {
		w.alone = make([][]compactEdge, len(w.a.Accept))
	}
	if w.alone[s] == nil {
		w.alone[s] = w.listed(s, -1)
		if with, c, good := costed(w.exceptions(s)); good {
			if _, least, ok := costed(w.alone[s]); !ok || c < least {
				w.alone[s] = with
			}
		}
	}
	return costed(w.alone[s])
}

// costed returns the size of edges in bytes, for places of one byte; ok is false if there are too many edges.
func costed(edges []compactEdge) (_ []compactEdge, cost int, ok bool) {
	singles, ranges := 0, 0
	for _, e := range edges {
		if e.lo == e.hi {
			singles++
		} else {
			ranges++
		}
	}
	return edges, 2*singles + 3*ranges, singles <= mostEach && ranges <= mostEach && singles+ranges < 2*mostEach
}

func (w *compactWriter) next(state, class int) int { return int(w.a.Next[state*w.a.Width+class]) }

// listed returns the edges of a state that differ from those of other, or, if other is -1, all that lead to a state but
// 0.
func (w *compactWriter) listed(state, other int) (edges []compactEdge) {
	for _, r := range w.runs {
		to, instead := w.next(state, r.class), 0
		if other >= 0 {
			instead = w.next(other, r.class)
		}
		if n := len(edges); n > 0 && edges[n-1].to == to && to != instead && int(edges[n-1].hi)+1 == int(r.lo) {
			edges[n-1].hi = r.hi
		} else if to != instead {
			edges = append(edges, compactEdge{r.lo, r.hi, to})
		}
	}
	return edges
}

// exceptions returns the edges of a state that do not lead where most of its edges lead, and last one edge for all
// bytes.
func (w *compactWriter) exceptions(state int) (edges []compactEdge) {
	clear(w.counts)
	most := 0
	for _, r := range w.runs {
		to := w.next(state, r.class)
		if w.counts[to]++; w.counts[to] > w.counts[most] || w.counts[to] == w.counts[most] && to < most {
			most = to
		}
	}
	for _, r := range w.runs {
		to := w.next(state, r.class)
		if n := len(edges); n > 0 && edges[n-1].to == to && int(edges[n-1].hi)+1 == int(r.lo) {
			edges[n-1].hi = r.hi
		} else if to != most {
			edges = append(edges, compactEdge{r.lo, r.hi, to})
		}
	}
	return append(edges, compactEdge{0, 255, most})
}

// write writes the states that can be reached. false means that the code is too long for places of size bytes.
func (w *compactWriter) write(size int) ([]byte, bool) {
	code := []byte{byte(size)}
	places := make([]int, len(w.a.Accept))
	type patch struct{ at, to int }
	var patches []patch
	place := func(to int) {
		patches = append(patches, patch{len(code), to})
		code = append(code, make([]byte, size)...)
	}
	for todo := []int{int(w.a.Start)}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s == 0 || places[s] > 0 {
			continue
		}
		places[s] = len(code)
		flags := byte(0)
		if w.a.Accept[s] > 0 {
			flags = accepts
		}
		if w.falls[s] {
			flags |= hasElse
			todo = append(todo, w.other)
		}
		text, behind := w.chain(s, places)
		if len(text) > 1 {
			code = append(code, flags|chain)
			if w.falls[s] {
				place(w.other)
			}
			code = append(append(code, byte(len(text))), text...)
			todo = append(todo, behind) // last, so that it is written next
			continue
		}
		var singles, ranges []compactEdge
		for _, e := range w.edges[s] {
			if e.lo == e.hi {
				singles = append(singles, e)
			} else {
				ranges = append(ranges, e)
			}
		}
		code = append(code, flags|byte(len(singles))<<3|byte(len(ranges)))
		if w.falls[s] {
			place(w.other)
		}
		for _, e := range append(singles, ranges...) {
			code = append(code, e.lo)
			if e.lo != e.hi {
				code = append(code, e.hi)
			}
			place(e.to)
			todo = append(todo, e.to)
		}
	}
	if len(code) >= 1<<(8*size) {
		return nil, false
	}
	for _, p := range patches {
		for i := range size {
			code[p.at+i] = byte(places[p.to] >> (8 * i))
		}
	}
	return code, true
}

// chain returns the longest text that leads from a state through states that have no other edges to or from them, and
// the state that it leads to, which does not have a place yet.
func (w *compactWriter) chain(s int, places []int) (text []byte, behind int) {
	first := s
	if s == w.other {
		return nil, 0
	}
	for len(text) < 255 {
		if len(w.edges[s]) != 1 || w.edges[s][0].lo != w.edges[s][0].hi || w.falls[s] != w.falls[first] || s == w.other ||
			s != first && (w.refs[s] > 1 || w.a.Accept[s] > 0) {
			break
		}
		e := w.edges[s][0]
		if e.to == 0 || e.to == first || places[e.to] > 0 {
			break
		}
		text, s = append(text, e.lo), e.to
	}
	return text, s
}
