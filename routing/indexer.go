package routing

import (
	"math"
	"slices"
)

const (
	// fewRules is how many rules a bucket may have without being divided. Keys that at most so many rules share count
	// as equally selective.
	fewRules = 4
	// maxDivisions bounds how often a bucket is divided, and with it the recursion of a decision.
	maxDivisions = 8
)

// indexer builds the index of one virtual host after the other.
type indexer struct {
	t *Table
	// keys is a hash table of the keys that the rules of the bucket have. counts has, at the same index, how many of
	// these rules have the key, or ^i once there is group i for the key.
	keys   []uint64
	counts []int32
	found  []key // scratch of keysOf
	levels [maxDivisions]level
}

// level is the scratch memory of the divisions at one depth, which is its index in indexer.levels. Each division at
// this depth uses it again: linear memory never shrinks, so memory of their own for thousands of small divisions would
// stay for ever.
type level struct {
	members     []member
	groups      rows[group]
	below, rest []pending
}

// key is one condition of a rule in the form of a key of the table.
type key struct {
	hash      uint64
	condition uint8 // 0 is the path, i+1 is condition i
	kind      keyKind
	subject   int32 // the header or query parameter, or -1 for the path
	argument  int32 // the length of a prefix, or the expression's index for keySet
	last      byte  // of a prefix: its last byte
	border    bool  // of a prefix: it must be followed by a "/" or the end of the value
	// others is how many of the following keys are alternatives to this one: a request that meets the condition has at
	// least one of them, so the rule is filed under each.
	others uint8
}

// pending is a rule that is being filed, with the conditions that led to it so far.
type pending struct {
	entry
	used uint32
}

// group is the rules that are filed under one key.
type group struct {
	key
	from, to int32 // the first and the last of a chain of members
	size     int32 // how many rules are filed under the key
	most     int32 // how many rules have the key
}

// member is one rule in a group. condition is the number of its condition that is the group's key.
type member struct {
	rule, next int32
	condition  uint8
}

// bucket files rules, in ascending order, and returns the new bucket.
func (ix *indexer) bucket(rules []pending, divisions int) int32 {
	id := int32(len(ix.t.index.buckets))
	least := int32(math.MaxInt32)
	if len(rules) > 0 {
		least = rules[0].rule
	}
	ix.t.index.buckets = append(ix.t.index.buckets, bucket{least: least, path: -1})
	if len(rules) > fewRules && divisions < maxDivisions {
		rules = ix.divide(id, rules, divisions)
	}
	from := len(ix.t.index.entries)
	for i := range rules {
		ix.t.index.entries = append(ix.t.index.entries, rules[i].entry)
	}
	b := &ix.t.index.buckets[id]
	b.from, b.to = int32(from), int32(len(ix.t.index.entries))
	return id
}

// divide files rules under their keys, and returns the rules that have no key.
func (ix *indexer) divide(id int32, rules []pending, divisions int) (rest []pending) {
	ix.count(rules)
	level := &ix.levels[divisions]
	members, groups, rest := withRoom(level.members, len(rules)), &level.groups, level.rest[:0]
	groups.reset()
	texts := 0
	for i := range rules {
		keys := ix.best(&rules[i], groups)
		if len(keys) == 0 {
			rest = append(rest, rules[i])
			continue
		}
		for j := range keys {
			at := ix.place(&keys[j])
			m := int32(len(members))
			members = append(members, member{int32(i), -1, keys[j].condition})
			if most := ix.counts[at]; most >= 0 {
				if keys[j].kind&keyText != 0 {
					texts++
				}
				ix.counts[at] = ^groups.count
				groups.add(group{keys[j], m, m, 0, most})
			} else {
				members[groups.at(^most).to].next = m
			}
			g := groups.at(^ix.counts[at])
			g.border = g.border && keys[j].border
			g.to = m
			g.size++
		}
	}
	level.members, level.rest = members, rest
	ix.makeRoom(groups)
	for i := range groups.count {
		g := groups.at(i)
		if g.leadsToRule() {
			rule := rules[members[g.from].rule].rule
			ix.enter(id, &g.key, directly(rule), rule, texts)
			continue
		}
		below := withRoom(level.below, int(g.size))
		for j := g.from; j >= 0; j = members[j].next {
			u := rules[members[j].rule]
			u.used |= 1 << members[j].condition // rules of a group may have the same condition at different places
			if g.kind == keySet {
				u.proved |= 1 << members[j].condition
			}
			below = append(below, u)
		}
		level.below = below
		to := ix.bucket(below, divisions+1)
		ix.enter(id, &g.key, to, ix.t.index.buckets[to].least, texts)
	}
	return rest
}

// withRoom returns an empty list with room for n elements, in the memory of list if that is large enough.
func withRoom[T any](list []T, n int) []T {
	if n > cap(list) {
		return make([]T, 0, n)
	}
	return list[:0]
}

// leadsToRule reports whether the key leads to a rule directly, without a bucket. It does for the only rule of a key
// that a path has at most once, so that the rule is checked at most once. Keys that a request can have several times,
// such as a text anywhere in the path or a repeated header, need a bucket, which remembers that it was visited.
func (g *group) leadsToRule() bool {
	return g.size == 1 && g.subject < 0 && g.kind&(keyExact|keyFold|keyPrefix|keyFoldPrefix) != 0
}

// makeRoom grows the index for the buckets of groups, for their entries, and for as many lookups as there can be.
func (ix *indexer) makeRoom(groups *rows[group]) {
	buckets, entries := 0, 0
	for i := range groups.count {
		if g := groups.at(i); !g.leadsToRule() {
			buckets++
			entries += int(g.size)
		}
	}
	ix.t.index.buckets = withMore(ix.t.index.buckets, buckets)
	ix.t.index.entries = withMore(ix.t.index.entries, entries)
	ix.t.index.lookups = withMore(ix.t.index.lookups, int(min(groups.count, ix.t.names.names.count+1)))
}

// withMore returns the list with room for n more elements. A list that must grow at least doubles.
func withMore[T any](list []T, n int) []T {
	if len(list)+n <= cap(list) {
		return list
	}
	return append(make([]T, 0, max(len(list)+n, 2*len(list))), list...)
}

// directly returns the value of a key that leads to a rule without a bucket; ruleOf returns the rule of such a value.
func directly(rule int32) int32 { return ^rule }

func ruleOf(value int32) int32 { return ^value }

// count fills keys and counts: for every key, how many of the rules have it.
func (ix *indexer) count(rules []pending) {
	n := 0
	for i := range rules {
		ix.keysOf(&rules[i])
		n += len(ix.found)
	}
	size := 16
	for size < n+n/2 {
		size *= 2
	}
	if size > cap(ix.keys) {
		ix.keys, ix.counts = make([]uint64, size), make([]int32, size)
	}
	ix.keys, ix.counts = ix.keys[:size], ix.counts[:size]
	clear(ix.keys)
	clear(ix.counts)
	for i := range rules {
		ix.keysOf(&rules[i])
		for j := range ix.found {
			ix.counts[ix.place(&ix.found[j])]++
		}
	}
}

// place returns the index of a key in keys and counts, and enters the key if it is new.
func (ix *indexer) place(k *key) int {
	h := mix(mix(k.hash, uint64(k.kind)|uint64(k.subject)<<16), uint64(k.argument)) | 1
	mask := uint64(len(ix.keys) - 1)
	i := h * multiplier >> 20 & mask
	for ix.keys[i] != h && ix.keys[i] != 0 {
		i = (i + 1) & mask
	}
	ix.keys[i] = h
	return int(i)
}

// best chooses the key of a rule that the fewest rules have; among keys that at most fewRules have, the one that is
// cheapest to look up. It returns the key and its alternatives, or nil if the rule has no key.
func (ix *indexer) best(u *pending, groups *rows[group]) (keys []key) {
	ix.keysOf(u)
	var least int32
	for i := 0; i < len(ix.found); {
		all := ix.found[i : i+1+int(ix.found[i].others)]
		i += len(all)
		count := int32(fewRules)
		for j := range all {
			n := ix.counts[ix.place(&all[j])]
			if n < 0 {
				n = groups.at(^n).most
			}
			count = max(count, n)
		}
		if count = count<<3 + cost(all[0].kind); keys == nil || count < least {
			keys, least = all, count
		}
	}
	return keys
}

// cost ranks the kinds of keys by what a look-up costs, from 0 (cheapest) to 3.
func cost(k keyKind) int32 {
	switch k {
	case keyExact, keyFold, keyPresent:
		return 0
	case keyPrefix, keyFoldPrefix:
		return 1
	case keySet:
		return 2
	default: // keyText and keyEnd
		return 3
	}
}

// maxUsed is how many conditions of a rule can be keys: the words used and proved have 32 bits, one for each condition.
const maxUsed = 32

// keysOf fills found with the keys of those conditions of a rule that were not used yet.
func (ix *indexer) keysOf(u *pending) {
	ix.found = ix.found[:0]
	r := ix.t.rules.at(u.rule)
	if u.used&1 == 0 && r.path.kind != matchAny {
		ix.keysOfComparison(&r.path, 0, -1)
	}
	for i := r.from; i < r.to && i-r.from+1 < maxUsed; i++ {
		c := ix.t.conditions.at(i)
		if number := uint8(i - r.from + 1); u.used>>number&1 == 0 && c.narrows() {
			ix.keysOfComparison(&c.comparison, number, c.subject)
		}
	}
}

func (ix *indexer) keysOfComparison(c *comparison, number uint8, subject int32) {
	k := key{condition: number, subject: subject}
	if c.kind == matchRegex {
		ix.keysOfExpression(c.expression(), k)
		return
	}
	value := ix.t.texts.of(c.value)
	switch c.kind {
	case matchAny:
		k.kind = keyPresent
	case matchExact:
		k.kind, k.hash = keyExact, hashText(value)
		if c.ignoreCase {
			k.kind, k.hash = keyFold, hashFold(value)
		}
	case matchPrefix, matchSeparated:
		k.prefix(value)
		k.border = c.kind == matchSeparated
		if c.ignoreCase {
			k.kind, k.hash = keyFoldPrefix, hashFold(value)
		}
	}
	ix.found = append(ix.found, k)
}

func (k *key) prefix(s string) {
	k.kind, k.hash, k.argument = keyPrefix, hashText(s), int32(len(s))
	if s != "" {
		k.last = s[len(s)-1]
	}
}

func (ix *indexer) keysOfExpression(index int32, k key) {
	e := ix.t.expressions.at(index)
	if e.prefix.size > 0 {
		k.prefix(ix.t.texts.of(e.prefix))
		ix.found = append(ix.found, k)
	}
	if e.set >= 0 {
		k.kind, k.hash, k.argument = keySet, 0, index
		ix.found = append(ix.found, k)
	}
	k.argument = 0
	for i := e.from; i < e.to; i++ {
		text := ix.t.texts.of(ix.t.index.texts[i])
		k.hash, k.others = loadText(text), uint8(e.to-i-1)
		switch len(text) {
		case 8:
			k.kind = keyText8
		case 4:
			k.kind = keyText4
		default:
			k.kind = keyText2
		}
		if i >= e.ends {
			k.kind <<= 3 // from keyText8 to keyEnd8, and so on
		}
		ix.found = append(ix.found, k)
	}
}

// enter makes a key lead from one bucket to another, or to a rule. to is the other bucket or the result of directly,
// least the first rule there, and texts how many keys of kind keyText the bucket from has.
func (ix *indexer) enter(from int32, k *key, to, least int32, texts int) {
	index := &ix.t.index
	id := ix.lookup(from, k.subject, least)
	l := &index.lookups[id]
	l.kinds |= k.kind
	var wide *wideLookup
	switch k.kind {
	case keyPresent:
		l.present = to
		return
	case keyPrefix, keyFoldPrefix, keySet, keyText8, keyText4, keyText2:
		if l.wide < 0 {
			l.wide = int32(len(index.wide))
			index.wide = append(index.wide, wideLookup{})
		}
		wide = &index.wide[l.wide]
	}
	switch k.kind {
	case keyPrefix:
		wide.prefixes = insertLength(wide.prefixes, k)
	case keyFoldPrefix:
		wide.foldPrefixes = insertLength(wide.foldPrefixes, k)
	case keySet:
		e := ix.t.expressions.at(k.argument)
		if i, known := slices.BinarySearch(wide.sets, e.set); !known {
			wide.sets = slices.Insert(wide.sets, i, e.set)
		}
		index.table.add(expressionKey(id, k.argument), to)
		return
	case keyText8, keyText4, keyText2:
		wide.expect(k.hash, texts)
	}
	index.table.add(valueKey(id, k.kind, k.hash), to)
}

// expect enters a text into the filter. count is the largest number of texts that may be entered; the filter has at
// least sixteen bits for each.
func (w *wideLookup) expect(word uint64, count int) {
	if w.filter == nil {
		w.shift = 64 - 10
		for 1<<(64-w.shift) < 16*count {
			w.shift--
		}
		w.filter = make([]uint64, 1<<(64-w.shift-6))
	}
	bit := word * multiplier >> w.shift
	w.filter[bit>>6] |= 1 << (bit & 63)
}

// lookup returns the lookup for a subject in a bucket, and makes it if there is none yet. Rules are entered in
// ascending order, so least is the first rule of all that a new lookup will lead to.
func (ix *indexer) lookup(from, subject, least int32) int32 {
	index := &ix.t.index
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
	index.lookups = append(index.lookups, lookup{least: least, present: -1, wide: -1})
	return id
}

// insertLength adds the length of a prefix to an ascending list, or updates the element of that length.
func insertLength(list []prefixLength, k *key) []prefixLength {
	i := len(list)
	for i > 0 && list[i-1].length > k.argument {
		i--
	}
	if i == 0 || list[i-1].length < k.argument {
		list = append(list, prefixLength{})
		copy(list[i+1:], list[i:])
		list[i] = prefixLength{length: k.argument, border: true}
		i++
	}
	l := &list[i-1]
	l.border = l.border && k.border
	l.last |= 1 << (k.last & 63)
	if k.kind == keyFoldPrefix && ('a' <= k.last|0x20 && k.last|0x20 <= 'z') {
		l.last |= 1 << ((k.last ^ 0x20) & 63)
	}
	return list
}
