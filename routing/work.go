//go:build !wasm

package routing

// work counts what a decision does, so that tests can hold the cost of ten thousand rules against that of twenty by
// counts, which are the same on every machine. The filter counts nothing: see work_wasm.go.
type work struct {
	keys       int // looked up in the index
	probes     int // slots of hash tables that were looked at
	buckets    int // searched
	rules      int // tried
	conditions int // evaluated, the path's among them
	bytes      int // of values, read by keys, comparisons and expressions
}

func (w *work) key()            { w.keys++ }
func (w *work) probe()          { w.probes++ }
func (w *work) bucket()         { w.buckets++ }
func (w *work) rule()           { w.rules++ }
func (w *work) condition()      { w.conditions++ }
func (w *work) readBytes(n int) { w.bytes += n }
func (w *work) reset()          { *w = work{} }
