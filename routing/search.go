package routing

import "unsafe"

// search finds the first rule in a bucket that matches, and makes it r.best if it comes before the best rule so far. A
// bucket is visited at most once in a decision: its rules are checked in full, so it does not matter which value led
// there.
//
// In range: the indexer enters only numbers of buckets, and ranges of entries, that are there; begin has made an
// element of visited for each bucket.
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
//
// In range: the indexer enters only numbers of lookups that are there, and a wide lookup for each of these kinds.
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

// visit searches the bucket that a key leads to, or checks the rule. Most keys are not in the table.
//
// In range: the number of slots is a power of two, and mask is one less.
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

// In range: the indexer enters only numbers of sets that are there, and the compiler has checked the numbers of
// members in the lists of an automaton.
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

// followPrefixes looks up longer and longer prefixes of the value and reads it once: h keeps the hash of the words of
// eight bytes that were read. The hash of a prefix is that of hashText or hashFold of the same bytes.
//
// In range: the value was compared with the length n.
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

// followEnd looks up the last eight, four and two bytes of the value, for expressions whose values end with a text.
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

// followTexts looks up the bytes at every place of the value, for expressions whose values contain a text.
//
// In range: there is a wide lookup for each of these kinds.
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

// In range: the filter has a bit for each value of the hash that is left after the shift.
func (w *wideLookup) mayHave(word uint64) bool {
	bit := word * multiplier >> (w.shift & 63)
	return w.filter[bit>>6]>>(bit&63)&1 != 0
}

// longPath is the size, in bytes, from which on a rule's path is compared after its other conditions. Rules for
// thousands of prefixes of one long path would need as many long comparisons, where a header can exclude each rule at
// once.
const longPath = 64

// matches checks all conditions of a rule except those with a bit in proved; see entry.
//
// In range: i is not less than from.
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
