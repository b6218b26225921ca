package routing

import (
	"math"
	"unsafe"
)

const (
	// fewRules is how many rules a bucket may have without being divided, and how many may share a key that is as good
	// as any.
	fewRules = 4
	// maxDivisions bounds how often a bucket is divided, and with it the recursion of a decision.
	maxDivisions = 8
)

// indexer builds the index of one virtual host after the other.
type indexer struct {
	t *Table
	// How many of the entries at hand could be filed under a key, and where the ones that are stand in groups, plus 1.
	keys   []uint64
	counts []int32
	filed  []int32
	found  []key // scratch of keysOf
}

// key is one condition of a rule as a key.
type key struct {
	hash      uint64
	condition uint8 // 0 is the path, i+1 is condition i
	kind      keyKind
	subject   int32 // of a field
	argument  int32 // the length of a prefix, or the expression's index for keySet
}

// pending is a rule that is being filed, with the conditions that led to it so far.
type pending struct {
	entry
	used uint32
}

// group is the rules that are filed under one key.
type group struct {
	key
	first, last int32 // a chain of entries
	size        int32
}

// bucket files rules, in ascending order, and returns the new bucket.
func (x *indexer) bucket(rules []pending, divisions int) int32 {
	id := int32(len(x.t.index.buckets))
	least := int32(math.MaxInt32)
	if len(rules) > 0 {
		least = rules[0].rule
	}
	x.t.index.buckets = append(x.t.index.buckets, bucket{least: least, path: -1})
	if len(rules) > fewRules && divisions < maxDivisions {
		rules = x.divide(id, rules, divisions)
	}
	from := len(x.t.index.entries)
	for i := range rules {
		x.t.index.entries = append(x.t.index.entries, rules[i].entry)
	}
	b := &x.t.index.buckets[id]
	b.from, b.to = int32(from), int32(len(x.t.index.entries))
	return id
}

// divide files rules under their keys, and returns those that have none.
func (x *indexer) divide(id int32, rules []pending, divisions int) (rest []pending) {
	x.count(rules)
	next := make([]int32, len(rules))
	var groups []group
	for i := range rules {
		k, at := x.best(&rules[i])
		if at < 0 {
			rest = append(rest, rules[i])
			continue
		}
		next[i] = -1
		if x.filed[at] == 0 {
			groups = append(groups, group{k, int32(i), int32(i), 0})
			x.filed[at] = int32(len(groups))
		}
		g := &groups[x.filed[at]-1]
		if g.size > 0 {
			next[g.last] = int32(i)
		}
		g.last = int32(i)
		g.size++
	}
	var scratch []pending
	for i := range groups {
		g := &groups[i]
		scratch = scratch[:0]
		if g.size > fewRules { // the scratch is not free before the bucket below is filled
			scratch = make([]pending, 0, g.size)
		}
		for j := g.first; j >= 0; j = next[j] {
			u := rules[j]
			u.used |= 1 << g.condition
			if g.kind == keySet {
				u.proved |= 1 << g.condition
			}
			scratch = append(scratch, u)
		}
		x.enter(id, &g.key, x.bucket(scratch, divisions+1))
	}
	return rest
}

// count counts for every key how many of the rules have it.
func (x *indexer) count(rules []pending) {
	n := 0
	for i := range rules {
		x.keysOf(&rules[i])
		n += len(x.found)
	}
	size := 16
	for size < n+n/2 {
		size *= 2
	}
	if size > cap(x.keys) {
		x.keys, x.counts, x.filed = make([]uint64, size), make([]int32, size), make([]int32, size)
	}
	x.keys, x.counts, x.filed = x.keys[:size], x.counts[:size], x.filed[:size]
	clear(x.keys)
	clear(x.counts)
	clear(x.filed)
	for i := range rules {
		x.keysOf(&rules[i])
		for j := range x.found {
			x.counts[x.place(&x.found[j])]++
		}
	}
}

// place is where a key is counted.
func (x *indexer) place(k *key) int {
	h := mix(mix(k.hash, uint64(k.kind)|uint64(k.subject)<<8), uint64(k.argument)) | 1
	mask := uint64(len(x.keys) - 1)
	i := h * multiplier >> 20 & mask
	for x.keys[i] != h && x.keys[i] != 0 {
		i = (i + 1) & mask
	}
	x.keys[i] = h
	return int(i)
}

// best chooses the key of a rule that the fewest share; among those that few share, the one that is cheapest to look up.
// The result's place is -1 where the rule has no key.
func (x *indexer) best(u *pending) (k key, at int) {
	x.keysOf(u)
	at = -1
	var least int32
	for i := range x.found {
		p := x.place(&x.found[i])
		count := max(x.counts[p], fewRules)<<3 + cost(x.found[i].kind)
		if at < 0 || count < least {
			k, at, least = x.found[i], p, count
		}
	}
	return k, at
}

// cost ranks the kinds of keys.
func cost(k keyKind) int32 {
	switch k {
	case keyExact, keyFold, keyPresent:
		return 0
	case keyPrefix, keyFoldPrefix:
		return 1
	case keySet:
		return 2
	default:
		return 3
	}
}

// maxUsed is how many conditions of a rule can be keys: used and proved have a bit for each.
const maxUsed = 32

// keysOf fills found with the keys of a rule that were not used yet.
func (x *indexer) keysOf(u *pending) {
	x.found = x.found[:0]
	r := x.t.rules.at(u.rule)
	if u.used&1 == 0 && r.path.kind != matchAny {
		x.keysOfComparison(&r.path, 0, -1)
	}
	for i := r.from; i < r.to && i-r.from+1 < maxUsed; i++ {
		c := x.t.conditions.at(i)
		if number := uint8(i - r.from + 1); u.used>>number&1 == 0 && c.narrows() {
			x.keysOfComparison(&c.comparison, number, c.subject)
		}
	}
}

func (x *indexer) keysOfComparison(c *comparison, number uint8, subject int32) {
	k := key{condition: number, subject: subject}
	switch c.kind {
	case matchAny:
		k.kind = keyPresent
	case matchExact:
		k.kind, k.hash = keyExact, hashText(c.value)
		if c.ignoreCase {
			k.kind, k.hash = keyFold, hashFold(c.value)
		}
	case matchPrefix, matchSeparated:
		k.kind, k.hash, k.argument = keyPrefix, hashText(c.value), int32(len(c.value))
		if c.ignoreCase {
			k.kind, k.hash = keyFoldPrefix, hashFold(c.value)
		}
	case matchRegex:
		x.keysOfExpression(c.regex, k)
		return
	}
	x.found = append(x.found, k)
}

func (x *indexer) keysOfExpression(e *expression, k key) {
	if e.prefix != "" {
		k.kind, k.hash, k.argument = keyPrefix, hashText(e.prefix), int32(len(e.prefix))
		x.found = append(x.found, k)
	}
	if e.set >= 0 {
		k.kind, k.hash, k.argument = keySet, 0, e.index
		x.found = append(x.found, k)
	}
	if e.contains != "" {
		k.argument = 0
		switch p := unsafe.StringData(e.contains); len(e.contains) {
		case 8:
			k.kind, k.hash = keyText8, load64(p, 0)
		case 4:
			k.kind, k.hash = keyText4, load32(p, 0)
		default:
			k.kind, k.hash = keyText2, short(e.contains)
		}
		x.found = append(x.found, k)
	}
}

// enter makes a key lead from one bucket to another.
func (x *indexer) enter(from int32, k *key, to int32) {
	index := &x.t.index
	id := x.lookup(from, k.subject, index.buckets[to].least)
	l := &index.lookups[id]
	l.kinds |= k.kind
	switch k.kind {
	case keyPresent:
		l.present = to
		return
	case keyPrefix, keyFoldPrefix, keySet:
		if l.wide == nil {
			l.wide = &wideLookup{}
		}
	}
	switch k.kind {
	case keyPrefix:
		l.wide.prefixes = insertAscending(l.wide.prefixes, k.argument)
	case keyFoldPrefix:
		l.wide.foldPrefixes = insertAscending(l.wide.foldPrefixes, k.argument)
	case keySet:
		e := x.t.expressions[k.argument]
		l.wide.sets = insertAscending(l.wide.sets, e.set)
		index.table.add(expressionKey(id, k.argument), to)
		return
	}
	index.table.add(valueKey(id, k.kind, k.hash), to)
}

// lookup returns the lookup for a subject in a bucket, which may be a new one. Rules come in ascending order, so the
// first that it leads to is known when it is made.
func (x *indexer) lookup(from, subject, least int32) int32 {
	index := &x.t.index
	id := int32(len(index.lookups))
	b := &index.buckets[from]
	if subject < 0 {
		if b.path >= 0 {
			return b.path
		}
		b.path = id
	} else {
		b.fields = true
		key := fieldKey(from, subject)
		if l := index.table.find(key); l >= 0 {
			return l
		}
		index.table.add(key, id)
	}
	index.lookups = append(index.lookups, lookup{least: least, present: -1})
	return id
}

// insertAscending adds n where it is not there yet.
func insertAscending(list []int32, n int32) []int32 {
	i := len(list)
	for i > 0 && list[i-1] > n {
		i--
	}
	if i > 0 && list[i-1] == n {
		return list
	}
	list = append(list, 0)
	copy(list[i+1:], list[i:])
	list[i] = n
	return list
}
