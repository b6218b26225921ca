package plain

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// The engine as it is compiled to Wasm is held against the plain list, and against the same engine natively, which
// routing's own tests hold against it, too: hashes, words and automata must not depend on the machine.

// worker is a VM that configurations come to and leave again.
type worker struct {
	module *vm.Module
	vm     *vm.VM
	lines  []string // at error level: a panic is one
}

// maxWorker is the memory at which a worker gets a new VM. None of these configurations needs a tenth of it: it keeps
// hours of fuzzing from filling the machine, whatever they find.
const maxWorker = 128 << 20

// renew sees to it that there is a VM, and not too big a one.
func (w *worker) renew(t testing.TB) {
	if w.vm != nil && w.vm.MemorySize() <= maxWorker {
		return
	}
	ctx := context.Background()
	if w.vm != nil {
		require.NoError(t, w.vm.Close(ctx))
	}
	var err error
	w.vm, err = w.module.New(ctx, hostcalls.Error, func(_ hostcalls.Level, line string) { w.lines = append(w.lines, line) })
	require.NoError(t, err)
}

// linesOf are the headers of a request as Envoy hands them to the module.
func linesOf(r *routing.Request) (h vm.Headers) {
	for _, p := range []struct {
		name, value string
		has         bool
	}{
		{":authority", r.Authority, r.HasAuthority}, {":path", r.Path, r.HasPath}, {":method", r.Method, r.HasMethod}, {":scheme", r.Scheme, r.HasScheme},
	} {
		if p.has {
			h = append(h, [2]string{p.name, p.value})
		}
	}
	for _, line := range r.Headers {
		h = append(h, [2]string{line.Name, line.Value})
	}
	return h
}

// compare makes rules and requests of data. The module must write the outcome that the plain list says, or none, and leave
// all other headers as they are; every second request brings an outcome of its own along, which must go.
func (w *worker) compare(t testing.TB, data []byte, requests int) (hits int) {
	w.renew(t)
	ctx := context.Background()
	s := routingtest.NewSource(data)
	c, plain := s.Rules()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	table, err := routing.Compile(text)
	require.NoError(t, err)
	root, err := w.vm.Configure(ctx, text)
	require.NoError(t, err)
	for i := range requests {
		r := s.Request()
		outcome := plain.Outcome(r)
		require.Equal(t, outcome, table.Decide(r, routing.Dice{}).Outcome, "natively: %s\n%+v", text, r)
		got := linesOf(r)
		if i%2 == 1 {
			forged := [2]string{routing.RouteHeader, "k0-0"}
			got = append(append(vm.Headers{forged}, got...), forged, [2]string{routing.AbortHeader, "503"})
		}
		want := slices.Clone(got)
		want.Remove(routing.AbortHeader)
		if want.Remove(routing.RouteHeader); outcome != "" {
			want = append(want, [2]string{routing.RouteHeader, outcome})
		}
		require.NoError(t, w.vm.RequestHeaders(ctx, root, &got))
		if i%2 == 1 && outcome != "" { // it is overwritten where it stands
			require.Equal(t, routing.RouteHeader, got[0][0])
			got = append(got[1:], got[0])
		}
		if !slices.Equal(want, got) {
			require.Equal(t, want, got, "%s\n%+v", text, r)
		}
		if outcome != "" {
			hits++
		}
	}
	require.NoError(t, w.vm.Delete(ctx, root))
	require.Empty(t, w.lines, "%s", text)
	return hits
}

// FuzzDecide has the engine in this process decide the same: what the fuzzer sees of the module's way through its code is
// its twin's. testdata/fuzz/FuzzDecide leads to the folder of routing's FuzzDecide, so that what one of them found is asked
// of both.
func FuzzDecide(f *testing.F) {
	seeds, err := os.ReadDir(filepath.Join("testdata", "fuzz", "FuzzDecide"))
	require.NoError(f, err)
	require.NotEmpty(f, seeds)
	var workers []*worker
	for _, m := range program.Modules(f) {
		workers = append(workers, &worker{module: compile(f, m)})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, w := range workers {
			w.compare(t, data, 8)
		}
	})
}

func TestTheModuleDecidesAsAPlainList(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		w := &worker{module: m}
		dice := rand.New(rand.NewPCG(5, 6))
		const tables, requests = 300, 40
		hits := 0
		for range tables {
			hits += w.compare(t, routingtest.Noise(dice, 3000), requests)
		}
		assert.Greater(t, hits, tables*requests/3, "most requests must meet a rule, or nothing is compared")
		t.Logf("%d of %d requests met a rule; %d MiB of memory", hits, tables*requests, w.vm.MemorySize()>>20)
	})
}
