package space

import "encoding/binary"

// budget is the work that is left for a question, in states of automata that are looked at.
type budget struct{ left int }

// spend takes work from the budget, and reports whether there was enough.
func (b *budget) spend(n int) bool {
	b.left -= n
	return b.left >= 0
}

// answer is whether something exists.
type answer int8

const (
	no answer = iota
	yes
	unknown // the work is bounded
)

// shortest finds a shortest text that is in each of some languages and in none of others.
//
// Only those of the others are run side by side with the first ones that are needed: a language becomes one of them when
// a text that was found is in it.
func shortest(in, out []language, b *budget) (string, answer) {
	if len(in) == 0 {
		in = []language{newLiteral(0, "", false)}
	}
	for _, l := range append(in, out...) {
		if e, ok := l.(expression); ok && e.Exceeded() {
			return "", unknown
		}
	}
	var against []language
	for {
		text, found := shortestOf(in, against, b)
		if found != yes {
			return "", found
		}
		refuting := -1
		for i, l := range out {
			if has(l, text) {
				refuting = i
				break
			}
		}
		if refuting < 0 {
			return text, yes
		}
		against = append(against, out[refuting])
	}
}

// step is one state of all automata, and how it was reached.
type step struct {
	states []int32
	from   int32
	by     byte
}

// shortestOf is the search breadth first for [shortest], with all languages side by side.
func shortestOf(in, out []language, b *budget) (string, answer) {
	all := append(append([]language{}, in...), out...)
	letters := representatives(all)
	first := make([]int32, len(all))
	for i, l := range all {
		if first[i] = l.start(); first[i] == dead && i < len(in) {
			return "", no
		}
	}
	known := map[string]bool{}
	var key []byte
	isNew := func(states []int32) bool {
		key = key[:0]
		for _, s := range states {
			key = binary.LittleEndian.AppendUint32(key, uint32(s))
		}
		if known[string(key)] {
			return false
		}
		known[string(key)] = true
		return true
	}
	// refuted reports whether every continuation is in a language that the text must not be in.
	refuted := func(states []int32) bool {
		for i := len(in); i < len(all); i++ {
			if states[i] != dead && all[i].isFull(states[i]) {
				return true
			}
		}
		return false
	}
	accepted := func(states []int32) bool {
		for i, s := range states {
			if i < len(in) != (s != dead && all[i].accepts(s)) {
				return false
			}
		}
		return true
	}
	if refuted(first) {
		return "", no
	}
	isNew(first)
	steps := []step{{first, -1, 0}}
	for at := 0; at < len(steps); at++ {
		if accepted(steps[at].states) {
			return spell(steps, at), yes
		}
		if !b.spend(len(letters)) {
			return "", unknown
		}
		for _, letter := range letters {
			next := make([]int32, len(all))
			possible := true
			for i, l := range all {
				if next[i] = dead; steps[at].states[i] != dead {
					next[i] = l.next(steps[at].states[i], letter)
				}
				if next[i] == dead && i < len(in) {
					possible = false
					break
				}
			}
			if possible && !refuted(next) && isNew(next) {
				steps = append(steps, step{next, int32(at), letter})
			}
		}
	}
	for _, l := range all {
		if e, ok := l.(expression); ok && e.Exceeded() {
			return "", unknown
		}
	}
	return "", no
}

// spell is the text that leads to a step.
func spell(steps []step, at int) string {
	var text []byte
	for ; steps[at].from >= 0; at = int(steps[at].from) {
		text = append(text, steps[at].by)
	}
	for i, j := 0, len(text)-1; i < j; i, j = i+1, j-1 {
		text[i], text[j] = text[j], text[i]
	}
	return string(text)
}
