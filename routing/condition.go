package routing

// matchKind is how a condition compares a value.
type matchKind uint8

const (
	matchAny   matchKind = iota // no condition; for headers and query parameters: presence
	matchExact                  // the whole value
	matchPrefix
	matchSeparated // a prefix that ends at a "/" or at the end of the path
	matchRegex     // the whole value
)

// comparison compares one value, byte by byte.
type comparison struct {
	value      span // for matchRegex, value.at is the index of the expression
	kind       matchKind
	ignoreCase bool // of ASCII letters; only for paths, and not with matchRegex
}

// expression is the index of the expression, for matchRegex.
func (c *comparison) expression() int32 { return int32(c.value.at) }

// matches compares a value. A path is compared without its query:
//
//	prefix "/foo"      takes /foo, /foo/bar and /foobar        (VS-MATCH-05)
//	separated "/foo"   takes /foo and /foo/bar                 (VS-MATCH-06)
//	exact "/foo"       takes /foo, not /foo/                   (VS-MATCH-04)
//	regex "/foo"       takes /foo, not /foo/bar                (VS-MATCH-08)
//
// In range: s was compared with the length n.
func (c *comparison) matches(t *Table, s string, m *Machine) bool {
	m.work.condition()
	switch c.kind {
	case matchAny:
		return true
	case matchRegex:
		return t.expressions.at(c.expression()).matches(t, s, m)
	}
	n := int(c.value.size)
	if len(s) < n || c.kind == matchExact && len(s) > n || c.kind == matchSeparated && len(s) > n && s[n] != '/' {
		return false
	}
	m.work.readBytes(n)
	value := t.texts.of(c.value)
	if c.ignoreCase {
		return equalFold(s[:n], value)
	}
	return s[:n] == value
}

// condition compares a header, with Envoy's rules for absent and repeated headers, or the first query parameter of a
// name. Conditions on query parameters are never inverted. The table shows whether a condition on a header is met:
//
//	                                  absent     present, matches   present, differs
//	value                             no         yes                no
//	value, invert                     no         no                 yes
//	value, invert, missing as empty   as for ""  no                 yes               (VS-MATCH-19)
//	presence                          no         yes                yes
//	presence, invert                  yes        no                 no
type condition struct {
	comparison
	subject        int32 // the header or query parameter that is compared; see names
	invert         bool
	missingAsEmpty bool
}

// narrows reports whether the condition is met only by requests that have a value which its comparison matches. Only
// such conditions can be keys of the index.
func (c *condition) narrows() bool { return !c.invert && !c.missingAsEmpty }

// In range: next is the index of a field, or -1.
func (c *condition) matches(t *Table, r *Request) bool {
	i := r.first(c.subject)
	if i < 0 {
		if c.kind == matchAny || !c.missingAsEmpty {
			return c.kind == matchAny && c.invert
		}
		return c.comparison.matches(t, "", &r.machine) != c.invert
	}
	for ; i >= 0; i = r.fields[i].next {
		if c.comparison.matches(t, r.fields[i].value, &r.machine) {
			return !c.invert
		}
	}
	return c.invert
}
