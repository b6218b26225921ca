package routing

// index leads from a request to the rules that may match it, in steps whose number depends on the request and not on how
// many rules there are.
//
// Every rule is filed in one bucket, under one key: a condition that it needs, chosen so that few other rules share it.
//
//	rule                                           filed under
//	path exact /team-7/orders                      path = /team-7/orders
//	path prefix /shared/, x-tenant: tenant-7       x-tenant = tenant-7, since many rules share /shared/
//	path regex /team-7/v[0-9]+/.*                  the first 9 bytes of the path = /team-7/v
//	path regex /[a-z]+/item-7(/.*)?                8 bytes anywhere in the path = /item-7/, or the last 4 = em-7
//	path prefix / with an inverted header          nothing: it is tried always
//
// A key of the path that no other rule has leads to the rule itself, without a bucket between.
//
// A key is a hash of what is compared, how, and where; so a look-up in one table answers "which bucket has the path", once
// for the whole value, once for each length that a prefix of some rule has, once for each place of a text within. All
// buckets that a request leads to are visited, the best rule so far is kept, and what cannot be better is left out. A rule
// that was found is always checked in full: a key narrows the search and proves nothing.
//
// The hard case is a bucket that many rules share. 10,000 rules such as
//
//	path exact /api, x-a: a-17, x-b: b-42     (100 values of x-a times 100 of x-b)
//
// have no key that tells them apart. So a bucket with more than a few rules is divided again, by the conditions that were
// not used yet: x-a = a-17 leads to a bucket of 100 rules, which leads by x-b to one. The depth is bounded by the number
// of conditions of a rule, and by maxDivisions.
type index struct {
	table   slots
	buckets []bucket
	lookups []lookup
	wide    []wideLookup
	entries []entry
	texts   []span // of expressions, to search values for
}

// bucket holds rules. entries[from:to] are tried always, in order; lookups lead to further buckets.
type bucket struct {
	least    int32 // the first rule in it and below it
	from, to int32
	path     int32 // the lookup for the path, or -1
	fields   bool  // there are lookups for fields: the table has them under fieldKey
}

// entry is one rule in a bucket. A condition was proved on the way where its bit is set: bit 0 is the path, bit i+1 is
// condition i.
type entry struct {
	rule   int32
	proved uint32
}

// lookup says how values of one subject lead from one bucket to others.
type lookup struct {
	least int32 // the first rule that it leads to
	// present is the bucket for a value of any kind, or -1.
	present int32
	kinds   keyKind // the kinds of keys that there are, as bits
	wide    int32   // in index.wide, or -1
}

// wideLookup has what only some lookups need.
type wideLookup struct {
	prefixes, foldPrefixes []prefixLength // ascending
	sets                   []int32        // the sets of regular expressions to ask, ascending
	// filter has a bit for the hash of every text that is looked for anywhere: most places of a value need no more
	// than this.
	filter []uint64
	shift  uint8
}

// prefixLength is a length that keys of prefixes have, and what rules the length out for a value at one look.
type prefixLength struct {
	length int32
	// border says that all of the prefixes end at a border of segments.
	border bool
	// last has a bit for the last byte of each of the prefixes, modulo 64.
	last uint64
}

// keyKind is how a key compares the value.
type keyKind uint16

const (
	keyExact keyKind = 1 << iota
	keyFold          // exact, without regard to case
	keyPrefix
	keyFoldPrefix
	keySet
	keyText8 // eight bytes anywhere
	keyText4
	keyText2
	keyEnd8 // the last eight bytes
	keyEnd4
	keyEnd2
	keyPresent keyKind = 0

	keyText = keyText8 | keyText4 | keyText2
	keyEnd  = keyEnd8 | keyEnd4 | keyEnd2
)

// Keys of the table have two bits that say of what they are, so that only keys of values can be equal by chance.
func fieldKey(bucket, subject int32) uint64 { return uint64(bucket)<<33 | uint64(subject)<<2 | 1 }

func expressionKey(lookup, expression int32) uint64 {
	return uint64(lookup)<<33 | uint64(expression)<<2 | 2
}

func valueKey(lookup int32, kind keyKind, hash uint64) uint64 {
	return mix(hash, uint64(lookup)<<16|uint64(kind)) | 3
}

// slots is a hash table with open addressing. A key of 0 is no key.
type slots struct {
	slots  []slot
	shift  uint8
	filled int
}

// slot has key and value side by side: most look-ups of a decision find neither in the processor's cache.
type slot struct {
	key   uint64
	value int32
}

func newSlots(bits uint8) slots {
	return slots{slots: make([]slot, 1<<bits), shift: 64 - bits}
}

// find returns the value of a key, or -1.
func (s *slots) find(key uint64) int32 {
	mask := uint64(len(s.slots) - 1)
	for i := key * multiplier >> (s.shift & 63); ; i++ {
		switch x := &s.slots[i&mask]; x.key {
		case key:
			return x.value
		case 0:
			return -1
		}
	}
}

// place is where a key is, or where it belongs.
func (s *slots) place(key uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	i := key * multiplier >> (s.shift & 63)
	for s.slots[i&mask].key != key && s.slots[i&mask].key != 0 {
		i++
	}
	return i & mask
}

// add enters a key that is not there.
func (s *slots) add(key uint64, value int32) {
	if 3*s.filled >= 2*len(s.slots) {
		old := *s
		*s = newSlots(64 - s.shift + 1)
		for _, x := range old.slots {
			if x.key != 0 {
				s.add(x.key, x.value)
			}
		}
	}
	s.slots[s.place(key)] = slot{key, value}
	s.filled++
}
