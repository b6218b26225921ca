//go:build !wasm

package routing

// Part is a part of a rule that has conditions.
type Part uint8

// The parts of a rule. NeverPart is [Rule].Never, which no request meets.
const (
	PathPart Part = iota
	NeverPart
	HeaderPart
	QueryPart
)

// Unmet is a condition of a rule that a request does not meet. Index is its index in [Rule].Headers or [Rule].Query; 0
// for the other parts.
type Unmet struct {
	Part  Part
	Index int
}

// Trace compares a request with the rules of its virtual host one after the other, up to the first that matches, and
// calls visit with each rule and the conditions that the request does not meet, in the order of the parts. A rule
// without any matches. It ends early if visit returns false, which must not keep the list. Of a rule that never matches,
// only the path is compared.
//
// It is for explanations, and is not compiled into the filter. [Table.Decide] finds the same rule by an index, and the
// tests compare the two; only here there is no limit [MaxWork]. So where Decide gives up, Trace may find a rule.
func (t *Table) Trace(r *Request, visit func(rule int, unmet []Unmet) bool) {
	if !r.HasAuthority || !r.HasPath {
		return
	}
	host := r.host(t)
	if host < 0 {
		return
	}
	h := t.virtualHosts.at(host)
	r.begin(t)
	if h.headers {
		r.collectHeaders(t)
	}
	if h.query {
		r.collectQuery(t)
	}
	r.path = pathOnly(r.Path)
	r.machine.unbounded = true
	defer func() { r.machine.unbounded = false }()
	var unmet []Unmet
	for i := range h.count {
		unmet = t.rules.at(h.first+i).unmet(t, r, unmet[:0])
		if !visit(int(i), unmet) || len(unmet) == 0 {
			return
		}
	}
}

// unmet appends the conditions that a request does not meet to a list.
func (ru *rule) unmet(t *Table, r *Request, list []Unmet) []Unmet {
	if !ru.path.matches(t, r.path, &r.machine) {
		list = append(list, Unmet{Part: PathPart})
	}
	if ru.to == unmet {
		return append(list, Unmet{Part: NeverPart})
	}
	var index [QueryPart + 1]int // of the next condition, by part
	for i := ru.from; i < ru.to; i++ {
		c := t.conditions.at(i)
		part := HeaderPart
		if t.names.names.at(c.subject).query {
			part = QueryPart
		}
		if !c.matches(t, r) {
			list = append(list, Unmet{part, index[part]})
		}
		index[part]++
	}
	return list
}
