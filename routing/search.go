package routing

import "unsafe"

// search finds the first rule in a bucket that matches, and makes it the best if it is better. A bucket is visited once
// in a decision: its rules are checked in full, so it does not matter which value led there.
func (t *Table) search(r *Request, id int32) {
	b := &t.index.buckets[id]
	if b.least >= r.best || r.visited[id] == r.decision || r.machine.isExhausted() {
		return
	}
	r.visited[id] = r.decision
	r.machine.work.bucket()
	if b.path >= 0 {
		t.follow(r, b.path, r.path)
	}
	if b.fields {
		for i := range r.fields {
			f := &r.fields[i]
			r.machine.work.key()
			if l := t.index.table.find(fieldKey(id, f.subject)); l >= 0 {
				t.follow(r, l, f.value)
			}
		}
	}
	entries := t.index.entries[b.from:b.to]
	for i := range entries {
		if entries[i].rule >= r.best {
			return
		}
		if t.rules.at(entries[i].rule).matches(t, r, entries[i].proved) {
			r.best = entries[i].rule
			return
		}
	}
}

// follow visits all buckets that a value leads to.
func (t *Table) follow(r *Request, id int32, value string) {
	l := &t.index.lookups[id]
	if l.least >= r.best {
		return
	}
	if l.kinds&keyExact != 0 {
		r.machine.work.readBytes(len(value))
		t.visit(r, valueKey(id, keyExact, hashText(value)))
	}
	if l.kinds&keyFold != 0 {
		r.machine.work.readBytes(len(value))
		t.visit(r, valueKey(id, keyFold, hashFold(value)))
	}
	if l.kinds&(keyPrefix|keyFoldPrefix|keySet) != 0 {
		w := &t.index.wide[l.wide]
		if l.kinds&keyPrefix != 0 {
			t.followPrefixes(r, id, keyPrefix, w.prefixes, value)
		}
		if l.kinds&keyFoldPrefix != 0 {
			t.followPrefixes(r, id, keyFoldPrefix, w.foldPrefixes, value)
		}
		if l.kinds&keySet != 0 {
			t.followSets(r, id, w.sets, value)
		}
	}
	if l.kinds&keyEnd != 0 {
		t.followEnd(r, id, l.kinds, value)
	}
	if l.kinds&keyText != 0 {
		t.followTexts(r, id, l, value)
	}
	if l.present >= 0 {
		t.search(r, l.present)
	}
}

// visit searches the bucket that a key leads to, or checks the rule. Most keys lead nowhere.
func (t *Table) visit(r *Request, key uint64) {
	s := &t.index.table
	mask := uint64(len(s.slots) - 1)
	r.machine.work.key()
	for i := key * multiplier >> (s.shift & 63); ; i++ {
		r.machine.work.probe()
		switch x := &s.slots[i&mask]; x.key {
		case key:
			if x.value >= 0 {
				t.search(r, x.value)
			} else if u := ruleOf(x.value); u < r.best && t.rules.at(u).matches(t, r, 0) {
				r.best = u
			}
			return
		case 0:
			return
		}
	}
}

func (t *Table) followSets(r *Request, id int32, sets []int32, value string) {
	for _, s := range sets {
		if !r.machine.spend(len(value)) {
			return
		}
		set := &t.sets[s]
		for _, m := range set.automaton.run(value) {
			t.visit(r, expressionKey(id, set.members[m]))
		}
	}
}

// followPrefixes looks for ever longer prefixes of the value, reading it once: the hash of the whole words before is kept.
// The hash of a prefix is the hash of the same bytes as a value of their own.
func (t *Table) followPrefixes(r *Request, id int32, kind keyKind, lengths []prefixLength, value string) {
	var h uint64
	p, at := unsafe.StringData(value), 0
	for i := range lengths {
		l := &lengths[i]
		r.machine.work.probe()
		n := int(l.length)
		if n > len(value) {
			return
		}
		if n > 0 && l.last>>(value[n-1]&63)&1 == 0 || l.border && n < len(value) && value[n] != '/' {
			continue
		}
		if n <= 8 {
			r.machine.work.readBytes(n)
			w := short(value[:n])
			if kind == keyFoldPrefix {
				w = lowerWord(w)
			}
			t.visit(r, valueKey(id, kind, mix(uint64(n)*multiplier, w)))
			continue
		}
		w := load64(p, n-8)
		r.machine.work.readBytes(n - at)
		if kind == keyPrefix {
			for ; at+8 < n; at += 8 {
				h = mix(h, load64(p, at))
			}
		} else {
			for ; at+8 < n; at += 8 {
				h = mix(h, lowerWord(load64(p, at)))
			}
			w = lowerWord(w)
		}
		t.visit(r, valueKey(id, kind, mix(mix(h, w), uint64(n))))
	}
}

// followEnd looks at the end of the value for a text with which some expression must end.
func (t *Table) followEnd(r *Request, id int32, kinds keyKind, value string) {
	n, p := len(value), unsafe.StringData(value)
	if kinds&keyEnd8 != 0 && n >= 8 {
		t.visit(r, valueKey(id, keyEnd8, load64(p, n-8)))
	}
	if kinds&keyEnd4 != 0 && n >= 4 {
		t.visit(r, valueKey(id, keyEnd4, load32(p, n-4)))
	}
	if kinds&keyEnd2 != 0 && n >= 2 {
		t.visit(r, valueKey(id, keyEnd2, load16(p, n-2)))
	}
}

// followTexts looks at every place of the value for a text that some expression needs.
func (t *Table) followTexts(r *Request, id int32, l *lookup, value string) {
	n, p, w := len(value), unsafe.StringData(value), &t.index.wide[l.wide]
	if !r.machine.spend(n) {
		return
	}
	if l.kinds&keyText8 != 0 {
		r.machine.work.readBytes(n)
		for i := 0; i+8 <= n; i++ {
			if word := load64(p, i); w.mayHave(word) {
				t.visit(r, valueKey(id, keyText8, word))
			}
		}
	}
	if l.kinds&keyText4 != 0 {
		r.machine.work.readBytes(n)
		for i := 0; i+4 <= n; i++ {
			if word := load32(p, i); w.mayHave(word) {
				t.visit(r, valueKey(id, keyText4, word))
			}
		}
	}
	if l.kinds&keyText2 != 0 {
		r.machine.work.readBytes(n)
		for i := 0; i+2 <= n; i++ {
			if word := load16(p, i); w.mayHave(word) {
				t.visit(r, valueKey(id, keyText2, word))
			}
		}
	}
}

func (w *wideLookup) mayHave(word uint64) bool {
	bit := word * multiplier >> (w.shift & 63)
	return w.filter[bit>>6]>>(bit&63)&1 != 0
}

// longPath is from where on a path is compared last: thousands of prefixes of one long path would be as many long
// comparisons, where one look at a header says no.
const longPath = 64

// matches checks a rule in full, but for the conditions that were proved.
func (ru *rule) matches(t *Table, r *Request, proved uint32) bool {
	r.machine.work.rule()
	checkPath := proved&1 == 0
	if checkPath && ru.path.value.size < longPath {
		if !ru.path.matches(t, r.path, &r.machine) {
			return false
		}
		checkPath = false
	}
	for i := ru.from; i < ru.to; i++ {
		if proved>>(i-ru.from+1)&1 == 0 && !t.conditions.at(i).matches(t, r) {
			return false
		}
	}
	return !checkPath || ru.path.matches(t, r.path, &r.machine)
}
