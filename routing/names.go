package routing

// names are the names of headers and query parameters that some rule compares. Each has a number, which other types
// call subject. Headers and parameters that no rule compares are dropped by their name, before their values are looked
// at.
type names struct {
	lengths uint64 // bit n: there is a header with a name of n bytes, n modulo 64
	pseudo  pseudoSubjects
	slots   []int32 // numbers plus 1, by hash
	names   rows[name]
}

type name struct {
	text  string
	query bool
}

func (n *name) is(text string, query bool) bool { return n.text == text && n.query == query }

// pseudoSubjects are the subjects of the pseudo-headers, or -1 where no rule compares one. any is set if a rule does.
type pseudoSubjects struct {
	any                             bool
	method, scheme, authority, path int32
}

func newNames() names {
	return names{slots: make([]int32, 16), pseudo: pseudoSubjects{false, -1, -1, -1, -1}}
}

// find returns the subject of a name, or -1.
//
// In range: the number of slots is a power of two, and mask is one less.
func (ns *names) find(text string, query bool) int32 {
	mask := uint64(len(ns.slots) - 1)
	for i := hashName(text, query) & mask; ; i = (i + 1) & mask {
		n := ns.slots[i] - 1
		if n < 0 || ns.names.at(n).is(text, query) {
			return n
		}
	}
}

// intern returns the subject of a name, and makes a new one if there is none yet.
func (ns *names) intern(text string, query bool) int32 {
	if !query && text == "host" { // Envoy's header map knows it as :authority
		text = ":authority"
	}
	if n := ns.find(text, query); n >= 0 {
		return n
	}
	if 2*int(ns.names.count) >= len(ns.slots) {
		ns.slots = make([]int32, 2*len(ns.slots))
		for n := range ns.names.count {
			ns.enter(n)
		}
	}
	n := ns.names.count
	ns.names.add(name{text, query})
	ns.enter(n)
	if query {
		return n
	}
	p := &ns.pseudo
	switch text {
	case ":method":
		p.method, p.any = n, true
	case ":scheme":
		p.scheme, p.any = n, true
	case ":authority":
		p.authority, p.any = n, true
	case ":path":
		p.path, p.any = n, true
	default:
		ns.lengths |= 1 << (uint(len(text)) & 63)
	}
	return n
}

func (ns *names) enter(n int32) {
	mask := uint64(len(ns.slots) - 1)
	i := hashName(ns.names.at(n).text, ns.names.at(n).query) & mask
	for ns.slots[i] != 0 {
		i = (i + 1) & mask
	}
	ns.slots[i] = n + 1
}

func hashName(text string, query bool) uint64 {
	h := hashText(text)
	if query {
		h = ^h
	}
	return h * multiplier >> 32
}
