package routing

// index finds the rules that may match a request, in a number of steps that depends on the request and not on how many
// rules there are.
//
// Every rule is filed in one bucket, under one key: a condition that it needs, chosen so that few other rules share it.
//
//	rule                                           filed under
//	path exact /team-7/orders                      path = /team-7/orders
//	path prefix /shared/, x-tenant: tenant-7       x-tenant = tenant-7, since many rules share /shared/
//	path regex /team-7/v[0-9]+/.*                  the first 9 bytes of the path = /team-7/v
//	path regex /[a-z]+/item-7(/.*)?                8 bytes anywhere in the path = /item-7/, or the last 4 = em-7
//	path prefix / with an inverted header          no key: the rule is always tried
//
// A key of the path that no other rule has leads to the rule itself, without a bucket in between.
//
// A key is a hash of the text, of the kind of comparison, and of the bucket and subject in which it is looked up. All
// keys are in one table. A path is looked up there once as a whole, once for each length that the prefix of some rule
// has, and once for each place at which the text of some expression may stand. All buckets that are found are visited,
// and the first matching rule so far is kept; buckets that hold only later rules are left out. A rule that was found is
// checked in full: equal hashes do not prove that the condition is met. Only an expression that a set has evaluated is
// not evaluated again.
//
// The hard case is a bucket that many rules share. 10,000 rules such as
//
//	path exact /api, x-a: a-17, x-b: b-42     (100 values of x-a times 100 of x-b)
//
// have no key that distinguishes all of them. So a bucket with more than a few rules is divided again, by the
// conditions that were not used yet: x-a = a-17 leads to a bucket of 100 rules, and there x-b leads to one. The depth
// is bounded by the number of conditions of a rule, and by maxDivisions.
type index struct {
	table   slots
	buckets []bucket
	lookups []lookup
	wide    []wideLookup
	entries []entry
	texts   []span // of expressions, to search values for
}

// bucket holds rules. index.entries[from:to] are always tried, in order; lookups lead to further buckets.
type bucket struct {
	least    int32 // the first rule in this bucket and in those that its lookups lead to
	from, to int32
	path     int32 // the lookup for the path, or -1
	fields   bool  // there are lookups for headers or query parameters; the table has them under fieldKey
}

// entry is one rule in a bucket. proved has a bit for each condition that is known to be met by every request that
// reaches the bucket, and so is not checked again: bit 0 is the path, bit i+1 is condition i.
type entry struct {
	rule   int32
	proved uint32
}

// lookup is how the values of one subject lead from one bucket to others.
type lookup struct {
	least int32 // the first rule in the buckets that the lookup leads to
	// present is the bucket that every value leads to, or -1.
	present int32
	kinds   keyKind // the kinds of keys in the table for this lookup, as bits
	wide    int32   // in index.wide, or -1
}

// wideLookup is the part of a lookup that only lookups with keys of prefixes, sets or texts need.
type wideLookup struct {
	prefixes, foldPrefixes []prefixLength // ascending
	sets                   []int32        // the sets of regular expressions that read the value, ascending
	// filter is a Bloom filter with one bit for the hash of every text that is looked for anywhere in the value. At
	// most places of a value the bit is not set, and the table is not looked at.
	filter []uint64
	shift  uint8
}

// prefixLength is a length, in bytes, that keys of prefixes have. border and last exclude most values without a hash.
type prefixLength struct {
	length int32
	// border is set when all prefixes of this length must be followed by a "/" or by the end of the value.
	border bool
	// last has a bit for the last byte of each prefix, modulo 64.
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

// The lowest two bits of a key of the table are its type: 1 for fields, 2 for expressions, 3 for values. Only keys of
// values are hashes, so only they can be equal by chance.
func fieldKey(bucket, subject int32) uint64 { return uint64(bucket)<<33 | uint64(subject)<<2 | 1 }

func expressionKey(lookup, expression int32) uint64 {
	return uint64(lookup)<<33 | uint64(expression)<<2 | 2
}

func valueKey(lookup int32, kind keyKind, hash uint64) uint64 {
	return mix(hash, uint64(lookup)<<16|uint64(kind)) | 3
}

// slots is a hash table with open addressing. A slot whose key is 0 is empty.
type slots struct {
	slots  []slot
	shift  uint8
	filled int
}

// slot has key and value side by side, so that one access to memory reads both: for most look-ups of a decision,
// neither is in the processor's cache.
type slot struct {
	key   uint64
	value int32
}

func newSlots(bits uint8) slots {
	return slots{slots: make([]slot, 1<<bits), shift: 64 - bits}
}

// find returns the value of a key, or -1.
//
// In range: the number of slots is a power of two, and mask is one less.
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

// place returns the index of the slot that has a key, or of the slot where it belongs.
func (s *slots) place(key uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	i := key * multiplier >> (s.shift & 63)
	for s.slots[i&mask].key != key && s.slots[i&mask].key != 0 {
		i++
	}
	return i & mask
}

// add enters a key that is not in the table yet.
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
