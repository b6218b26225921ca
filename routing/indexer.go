package routing

import (
	"math"
	"slices"
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
	// How many of the rules at hand could be filed under a key; once some are, ^i where group i is theirs.
	keys   []uint64
	counts []int32
	found  []key // scratch of keysOf
	levels [maxDivisions]level
}

// level is the scratch of a division, as deep in others as its place says. It is used again by the next one that deep: what
// thousands of small divisions left behind would be there for ever, since linear memory never shrinks.
type level struct {
	members     []member
	groups      rows[group]
	below, rest []pending
}

// key is one condition of a rule as a key.
type key struct {
	hash      uint64
	condition uint8 // 0 is the path, i+1 is condition i
	kind      keyKind
	subject   int32 // of a field
	argument  int32 // the length of a prefix, or the expression's index for keySet
	last      byte  // of a prefix
	border    bool  // a prefix ends at a border of segments
	// others is how many of the keys that follow are alternatives: every request that meets the condition has one of
	// them at least, so the rule is filed under each.
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
	from, to int32 // a chain of members
	size     int32
	most     int32 // how many rules could be
}

// member is one rule in a group.
type member struct{ rule, next int32 }

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

// divide files rules under their keys, and returns those that have none.
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
			members = append(members, member{int32(i), -1})
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
			u.used |= 1 << g.condition
			if g.kind == keySet {
				u.proved |= 1 << g.condition
			}
			below = append(below, u)
		}
		level.below = below
		to := ix.bucket(below, divisions+1)
		ix.enter(id, &g.key, to, ix.t.index.buckets[to].least, texts)
	}
	return rest
}

// withRoom is an empty list with room for n: the one that is there, if it is large enough.
func withRoom[T any](list []T, n int) []T {
	if n > cap(list) {
		return make([]T, 0, n)
	}
	return list[:0]
}

// leadsToRule says that one rule needs no bucket behind its key. A path has the key once at most, so the rule is checked
// once; what can be met again, like a text within or a repeated header, needs the bucket to know that it was there.
func (g *group) leadsToRule() bool {
	return g.size == 1 && g.subject < 0 && g.kind&(keyExact|keyFold|keyPrefix|keyFoldPrefix) != 0
}

// makeRoom makes room for the buckets of groups, for their entries, and for as many lookups as there can be.
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

// withMore is a list with room for n more: just for them where it was small, or twice as much as there was.
func withMore[T any](list []T, n int) []T {
	if len(list)+n <= cap(list) {
		return list
	}
	return append(make([]T, 0, max(len(list)+n, 2*len(list))), list...)
}

// directly is the value of a key that leads to a rule itself, and ruleOf is that rule.
func directly(rule int32) int32 { return ^rule }

func ruleOf(value int32) int32 { return ^value }

// count counts for every key how many of the rules have it.
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

// place is where a key is counted.
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

// best chooses the key of a rule that the fewest share; among those that few share, the one that is cheapest to look up.
// It returns the key with its alternatives, or nothing where the rule has no key.
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

// cost ranks the kinds of keys.
func cost(k keyKind) int32 {
	switch k {
	case keyExact, keyFold, keyPresent:
		return 0
	case keyPrefix, keyFoldPrefix:
		return 1
	case keySet:
		return 2
	default: // of texts
		return 3
	}
}

// maxUsed is how many conditions of a rule can be keys: used and proved have a bit for each.
const maxUsed = 32

// keysOf fills found with the keys of a rule that were not used yet.
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
			k.kind <<= 3 // the same size at the end
		}
		ix.found = append(ix.found, k)
	}
}

// enter makes a key lead from one bucket to another, or to a rule; least is the first rule there. texts is how many keys
// of texts the one has.
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

// expect enters a text, one of at most count, into the filter, which has sixteen bits for each.
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

// lookup returns the lookup for a subject in a bucket, which may be a new one. Rules come in ascending order, so the
// first that it leads to is known when it is made.
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

// insertLength adds the length of a prefix, or what is to be known about one more prefix of that length.
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
