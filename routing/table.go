package routing

// Table is a listener's compiled rules: immutable, safe for concurrent use, built once by [Compile].
type Table struct {
	// The fields that every decision reads come first, so that they are side by side in memory.
	texts        texts
	rules        rows[rule] // of all virtual hosts, one after the other
	virtualHosts rows[virtualHost]
	index        index
	extras       rows[extra]
	names        names
	conditions   rows[condition] // of all rules
	expressions  rows[expression]
	programs     rows[program]
	sets         []expressionSet
	large        []largeProgram
	shares       rows[share] // of all splits
	hosts        hostIndex
	ruleNames    rows[span]
	name         string
	joined       bool // repeated headers are compared joined by commas
}

type virtualHost struct {
	name           span
	first, count   int32 // its rules
	root           int32 // the bucket in which the search for its rules begins
	headers, query bool  // some rule compares headers, or query parameters
}

// rule is the compiled form of [Rule]. Like all types with thousands of values, it has no pointers, so that the garbage
// collector, which stops the worker while it runs, need not scan them.
//
// A rule takes 32 bytes, which is within one line of the processor's cache: with ten thousand rules, the one that a
// request reaches is rarely in the cache already.
type rule struct {
	path     comparison
	outcome  span  // empty for a rule with a split
	from, to int32 // Table.conditions[from:to] are its conditions; to is unmet for a rule that no request meets
	extra    int32 // index into Table.extras (split, fault), or -1
}

// unmet is the value of rule.to for a rule that no request meets; see [Rule].Never.
const unmet = -1

// extra is the split and the fault of a rule.
type extra struct {
	split split
	fault fault
}

// rows is a list that grows without being copied: linear memory never shrinks, so the old copies of a growing list
// would stay in it for ever.
type rows[T any] struct {
	chunks [][]T
	count  int32
}

const rowsPerChunk = 256

// at returns a row, which can be changed.
//
// In range: i is less than count; it comes from the compiler or the indexer, which added the row.
func (r *rows[T]) at(i int32) *T { return &r.chunks[uint32(i)/rowsPerChunk][uint32(i)%rowsPerChunk] }

func (r *rows[T]) add(row T) {
	chunk := int(r.count) / rowsPerChunk
	if chunk == len(r.chunks) {
		// The first chunk grows, since most tables are small.
		if chunk > 0 {
			r.chunks = append(r.chunks, make([]T, 0, rowsPerChunk))
		} else {
			r.chunks = append(r.chunks, nil)
		}
	}
	last := &r.chunks[chunk]
	*last = append((*last)[:r.count%rowsPerChunk], row)
	r.count++
}

// reset empties the list and keeps its memory.
func (r *rows[T]) reset() { r.count = 0 }

// Name is the name of the route configuration, for logs.
func (t *Table) Name() string { return t.name }

// Rules is the number of rules of all virtual hosts.
func (t *Table) Rules() int { return int(t.rules.count) }

// HeaderLengths has bit n set if some rule compares a header whose name has n bytes, modulo 64. A header with a name of
// another length need not be added to a [Request]. Pseudo-headers must be, whatever their length.
func (t *Table) HeaderLengths() uint64 { return t.names.lengths }

// UsesDice reports whether some rule has a split or a fault. Otherwise, [Table.Decide] ignores the dice.
func (t *Table) UsesDice() bool { return t.extras.count > 0 }

// RuleName is the name of the decision's rule, such as default/reviews.http[0].match[1]; "" when no rule matched.
func (t *Table) RuleName(d Decision) string {
	if d.Rule < 0 {
		return ""
	}
	return t.texts.of(*t.ruleNames.at(t.virtualHosts.at(int32(d.VirtualHost)).first + int32(d.Rule)))
}
