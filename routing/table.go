package routing

// Table is a listener's compiled rules: immutable, safe for concurrent use, built once by [Compile].
type Table struct {
	// What every decision asks for comes first, and so is side by side.
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
	root           int32 // the bucket that holds them
	headers, query bool  // whether some rule asks for any
}

// rule is the compiled form of [Rule]. Like everything that there are thousands of, it holds no pointer: the garbage
// collector, which runs while a worker stands still, has nothing to look at.
//
// It takes 32 bytes, which lie in one line of a processor's cache: of ten thousand rules, one that is met is never there
// already.
type rule struct {
	path     comparison
	outcome  span  // empty for a split
	from, to int32 // its conditions, or unmet
	extra    int32 // what few rules have, or -1
}

// unmet stands for the conditions of a rule that no request meets.
const unmet = -1

// extra is the split and the fault of a rule.
type extra struct {
	split split
	fault fault
}

// rows is a list that grows without being copied: linear memory never shrinks, so what a growing list leaves behind
// would be there for ever.
type rows[T any] struct {
	chunks [][]T
	count  int32
}

const rowsPerChunk = 256

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

// Rules counts the rules of all virtual hosts.
func (t *Table) Rules() int { return int(t.rules.count) }

// HeaderLengths has bit n set if some rule asks for a header with a name of n bytes, n modulo 64. Pseudo-headers apart, a
// header with a name of another length need not be added to a [Request].
func (t *Table) HeaderLengths() uint64 { return t.names.lengths }

// UsesDice says that some rule has a split or a fault. Without, [Table.Decide] looks at no dice.
func (t *Table) UsesDice() bool { return t.extras.count > 0 }

// RuleName says where the decision's rule comes from, or "" when no rule matched.
func (t *Table) RuleName(d Decision) string {
	if d.Rule < 0 {
		return ""
	}
	return t.texts.of(*t.ruleNames.at(t.virtualHosts.at(int32(d.VirtualHost)).first + int32(d.Rule)))
}
