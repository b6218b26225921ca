package routing

import "unsafe"

// search finds the first rule in a bucket that matches, and makes it the best if it is better. A bucket is visited once
// in a decision: its rules are checked in full, so it does not matter which value led there.
func (t *Table) search(r *Request, id int32) {
	b := &t.index.buckets[id]
	if b.least >= r.best || r.visited[id] == r.decision {
		return
	}
	r.visited[id] = r.decision
	if b.path >= 0 {
		t.follow(r, b.path, r.path)
	}
	if b.fields {
		for i := range r.fields {
			f := &r.fields[i]
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
		t.visit(r, valueKey(id, keyExact, hashText(value)))
	}
	if l.kinds&keyFold != 0 {
		t.visit(r, valueKey(id, keyFold, hashFold(value)))
	}
	if l.kinds&(keyPrefix|keyFoldPrefix|keySet) != 0 {
		t.followWide(r, id, l.wide, value)
	}
	if l.kinds&(keyText8|keyText4|keyText2) != 0 {
		t.followTexts(r, id, l.kinds, value)
	}
	if l.present >= 0 {
		t.search(r, l.present)
	}
}

func (t *Table) visit(r *Request, key uint64) {
	if b := t.index.table.find(key); b >= 0 {
		t.search(r, b)
	}
}

func (t *Table) followWide(r *Request, id int32, w *wideLookup, value string) {
	h := prefixHash{}
	for _, n := range w.prefixes {
		if int(n) > len(value) {
			break
		}
		t.visit(r, valueKey(id, keyPrefix, h.of(value, int(n))))
	}
	h = prefixHash{fold: true}
	for _, n := range w.foldPrefixes {
		if int(n) > len(value) {
			break
		}
		t.visit(r, valueKey(id, keyFoldPrefix, h.of(value, int(n))))
	}
	for _, s := range w.sets {
		set := &t.sets[s]
		for _, m := range set.automaton.run(value) {
			t.visit(r, expressionKey(id, set.members[m]))
		}
	}
}

// followTexts looks at every place of the value for a text that some expression needs.
func (t *Table) followTexts(r *Request, id int32, kinds keyKind, value string) {
	p := unsafe.StringData(value)
	if kinds&keyText8 != 0 {
		for i := 0; i+8 <= len(value); i++ {
			t.visit(r, valueKey(id, keyText8, load64(p, i)))
		}
	}
	if kinds&keyText4 != 0 {
		for i := 0; i+4 <= len(value); i++ {
			t.visit(r, valueKey(id, keyText4, load32(p, i)))
		}
	}
	if kinds&keyText2 != 0 {
		for i := 0; i+2 <= len(value); i++ {
			t.visit(r, valueKey(id, keyText2, short(value[i:i+2])))
		}
	}
}

// matches checks a rule in full, but for the conditions that were proved.
func (u *rule) matches(t *Table, r *Request, proved uint32) bool {
	if proved&1 == 0 && !u.path.matches(r.path, &r.machine) {
		return false
	}
	for i := u.from; i < u.to; i++ {
		if proved>>(i-u.from+1)&1 == 0 && !t.conditions.at(i).matches(r) {
			return false
		}
	}
	return true
}
