package routing

import (
	"slices"
	"unsafe"
)

// Request is the input of [Table.Decide]. One Request may be used again and again, with any Table: Decide keeps no
// reference to it, but the Request keeps one to the Table that it was used with last. Two decisions must not use one
// Request at the same time.
//
// It is the request as Envoy passes it to a filter: path normalised, names in lower case, one entry per header line,
// Host in Authority.
type Request struct {
	// Method, Scheme, Authority and Path are the pseudo-headers. Path includes the query.
	Method, Scheme, Authority, Path string
	// HasMethod, HasScheme, HasAuthority and HasPath are set if the request has the pseudo-header, even an empty one.
	HasMethod, HasScheme, HasAuthority, HasPath bool
	// Headers are all other header lines, in order of arrival, names in lower case.
	Headers []Header

	scratch
}

// Header is one header line.
type Header struct{ Name, Value string }

// scratch is the memory of one decision. It grows to what a Table needs and is used again.
type scratch struct {
	decision uint32 // the number of this decision; heads and visited with another number are of an earlier decision
	best     int32  // the first of the rules that are known to match
	path     string // without query and fragment
	recentOf *Table // the Table that recent was filled from
	fields   []field
	heads    []head   // by subject
	visited  []uint32 // by bucket: the number of the last decision that visited it
	joined   []byte   // values joined by commas
	recent   [recentHosts]recentHost
	machine  Machine
}

// recentHost is an authority of an earlier request and its virtual host: most requests have one of few authorities.
type recentHost struct {
	text [48]byte
	size int32 // the length of the authority plus 1; 0 is an empty entry
	host int32
}

const recentHosts = 8

// host returns the index of the virtual host for the request's authority, or -1.
//
// In range: n is compared with the size of the text.
func (r *Request) host(t *Table) int32 {
	if r.recentOf != t {
		clear(r.recent[:])
		r.recentOf = t
	}
	n := len(r.Authority)
	r.machine.work.reset()
	x := &r.recent[n%recentHosts]
	if n > len(x.text) {
		return t.hosts.find(r.Authority, &r.machine.work)
	}
	if int(x.size) != n+1 || string(x.text[:n]) != r.Authority {
		x.host = t.hosts.find(r.Authority, &r.machine.work)
		x.size = int32(copy(x.text[:], r.Authority)) + 1
	}
	return x.host
}

// field is one value that some rule of the Table compares: of a header, a pseudo-header or a query parameter.
type field struct {
	value   string
	subject int32
	next    int32 // the next field of the same subject, or -1
}

// head is the first and the last of the chain of a subject's fields, valid if decision is the number of this decision.
type head struct {
	decision    uint32
	first, last int32
}

// Reset empties the request and keeps its memory.
func (r *Request) Reset() {
	r.Method, r.Scheme, r.Authority, r.Path = "", "", "", ""
	r.HasMethod, r.HasScheme, r.HasAuthority, r.HasPath = false, false, false, false
	r.Headers = r.Headers[:0]
}

// Set adds one header line, or sets the pseudo-header of that name. The name must be in lower case; "host" is the same
// as :authority, as in Envoy's header map.
func (r *Request) Set(name, value string) {
	var to *string
	switch n := len(name); {
	case n == len(":path") && short(name) == pathName:
		to, r.HasPath = &r.Path, true
	case n == len(":method") && short(name) == methodName:
		to, r.HasMethod = &r.Method, true
	case n == len(":scheme") && short(name) == schemeName:
		to, r.HasScheme = &r.Scheme, true
	case isAuthority(name), n == len("host") && short(name) == hostName:
		to, r.HasAuthority = &r.Authority, true
	default:
		r.Add(name, value)
		return
	}
	*to = value
}

// The names of pseudo-headers as words: compiled to Wasm, a comparison of strings is a call that compares byte by byte.
var (
	pathName, methodName, schemeName, hostName = short(":path"), short(":method"), short(":scheme"), short("host")

	authorityName = [2]uint64{load64(unsafe.StringData(":authority"), 0), load16(unsafe.StringData(":authority"), 8)}
)

func isAuthority(name string) bool {
	p := unsafe.StringData(name)
	return len(name) == len(":authority") && load64(p, 0) == authorityName[0] && load16(p, 8) == authorityName[1]
}

// Add adds a header line. The caller makes sure that the name is in lower case, and neither a pseudo-header nor "host".
//
// In range: there is room for n+1 elements.
func (r *Request) Add(name, value string) {
	n := len(r.Headers)
	if n == cap(r.Headers) {
		r.Headers = slices.Grow(r.Headers, 1)
	}
	r.Headers = r.Headers[:n+1]
	h := &r.Headers[n] // set field by field: compiled to Wasm, copying a struct is a call
	h.Name, h.Value = name, value
}

// begin starts a decision with a Table.
//
// In range: sizes of lists are not negative.
func (r *Request) begin(t *Table) {
	r.decision++
	if len(r.heads) < int(t.names.names.count) || len(r.visited) < len(t.index.buckets) || r.decision == 0 {
		r.heads, r.visited = make([]head, t.names.names.count), make([]uint32, len(t.index.buckets))
		r.decision = 1
	}
	r.fields, r.joined = r.fields[:0], r.joined[:0]
}

// first returns the index of the first field of a subject, or -1.
//
// In range: begin has made a head for each subject.
func (r *Request) first(subject int32) int32 {
	if h := &r.heads[subject]; h.decision == r.decision {
		return h.first
	}
	return -1
}

// add makes a field of a value.
//
// In range: there is room for one more element, begin has made a head for each subject, and last is the index of a field.
func (r *Request) add(subject int32, value string) {
	i := int32(len(r.fields))
	if len(r.fields) == cap(r.fields) {
		r.fields = slices.Grow(r.fields, 1)
	}
	r.fields = r.fields[:i+1]
	f := &r.fields[i]
	f.value, f.subject, f.next = value, subject, -1
	h := &r.heads[subject]
	if h.decision != r.decision {
		h.decision, h.first, h.last = r.decision, i, i
		return
	}
	r.fields[h.last].next = i
	h.last = i
}

// collectHeaders makes a field of each header and pseudo-header that some rule compares.
func (r *Request) collectHeaders(t *Table) {
	if p := &t.names.pseudo; p.any {
		if p.method >= 0 && r.HasMethod {
			r.add(p.method, r.Method)
		}
		if p.scheme >= 0 && r.HasScheme {
			r.add(p.scheme, r.Scheme)
		}
		if p.authority >= 0 && r.HasAuthority {
			r.add(p.authority, r.Authority)
		}
		if p.path >= 0 && r.HasPath {
			r.add(p.path, r.Path)
		}
	}
	repeated := false
	lengths := t.names.lengths
	for i := range r.Headers {
		name := r.Headers[i].Name
		if lengths>>(uint(len(name))&63)&1 == 0 {
			continue
		}
		r.machine.work.key()
		if subject := t.names.find(name, false); subject >= 0 {
			repeated = repeated || r.first(subject) >= 0
			r.add(subject, r.Headers[i].Value)
		}
	}
	if repeated && t.joined {
		r.joinRepeated()
	}
}

// joinRepeated replaces the fields of a repeated header by one field, whose value is theirs joined by commas
// (VS-MATCH-16).
//
// In range: fields have subjects, and next is the index of a field, or -1; start was the length of joined, which has
// only grown.
func (r *Request) joinRepeated() {
	kept := r.fields[:0]
	for _, f := range r.fields {
		h := &r.heads[f.subject]
		if h.decision != r.decision {
			continue // its value was joined to that of an earlier field
		}
		if f.next >= 0 {
			start := len(r.joined)
			for i := h.first; i >= 0; i = r.fields[i].next {
				if i != h.first {
					r.joined = append(r.joined, ',')
				}
				r.joined = append(r.joined, r.fields[i].value...)
			}
			text := r.joined[start:]
			f.value, f.next = unsafe.String(unsafe.SliceData(text), len(text)), -1
		}
		h.decision = 0
		kept = append(kept, f)
	}
	r.fields = kept
	for i, f := range kept {
		r.heads[f.subject] = head{r.decision, int32(i), int32(i)}
	}
}

// collectQuery makes a field of the first query parameter of each name that some rule compares. Nothing is decoded,
// names are case-sensitive, and a parameter without "=" has the empty value (VS-MATCH-23, VS-MATCH-24).
//
// In range: indexEither returns at most the length of its text, and at is compared with it.
func (r *Request) collectQuery(t *Table) {
	at := indexEither(r.Path, '?', '?') + 1
	if at > len(r.Path) {
		return
	}
	for rest := r.Path[at:]; rest != ""; {
		end := indexEither(rest, '&', '&')
		param := rest[:end]
		rest = rest[min(end+1, len(rest)):]
		equals := indexEither(param, '=', '=')
		r.machine.work.key()
		if subject := t.names.find(param[:equals], true); subject >= 0 && r.first(subject) < 0 {
			r.add(subject, param[min(equals+1, len(param)):])
		}
	}
}

// pathOnly returns the part of a :path that rules are compared with: everything before the first "?" or "#"
// (VS-MATCH-09).
//
// In range: indexEither returns at most the length of its text.
func pathOnly(path string) string { return path[:indexEither(path, '?', '#')] }

// indexEither returns the index of the first byte a or b in s, or the length of s. It scans eight bytes at a time.
//
// In range: i is compared with the length before a byte is read.
func indexEither(s string, a, b byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i, p := 0, unsafe.StringData(s)
	for ; i+8 <= len(s); i += 8 {
		w := load64(p, i)
		x, y := w^ones*uint64(a), w^ones*uint64(b)
		if found := ((x-ones)&^x | (y-ones)&^y) & tops; found != 0 {
			break
		}
	}
	if n := len(s); i < n && i+8 > n && n >= 8 { // the last eight bytes, some of them again
		w := load64(p, n-8)
		x, y := w^ones*uint64(a), w^ones*uint64(b)
		if ((x-ones)&^x|(y-ones)&^y)&tops == 0 {
			return n
		}
	}
	for ; i < len(s); i++ {
		if s[i] == a || s[i] == b {
			break
		}
	}
	return i
}
