package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"waymark.dev/waymark/filter"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// library measures decisions without a proxy: what package routing takes for one, and a request through modules on wazero.
func library(o *options) error {
	fmt.Println(`A decision, natively, in ns: requests that meet the first rule, the last one, rules all over the list, none; none of them
allocates. Then a request, all over the list, in ns: the whole callback natively; on wazero through the least filter,
Waymark and a naive filter; Waymark in proportion to native, and the naive filter to Waymark. Then the configuration: bytes, for each rule too, ms to
read it on wazero, and the memory that it takes at its peak, in proportion to its bytes.`)
	ctx := context.Background()
	modules := map[string]*vm.Module{}
	for name, path := range map[string]string{"waymark": o.module, "floor": filepath.Join(o.modules, "floor.wasm"), "naive": filepath.Join(o.modules, "naive.wasm")} {
		wasm, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, err := vm.Compile(ctx, wasm)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		defer func() { _ = m.Close(ctx) }() // nothing is kept
		modules[name] = m
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "shape\trules\tfirst\tlast\tall\tnone\tcallback\tleast\tWaymark\tnaive\tWaymark/native\tnaive/Waymark\tbytes\tper rule\tread ms\tmemory\t") // a failure shows at Flush
	for _, s := range o.shapes {
		for _, n := range o.sizes {
			if err := libraryRow(ctx, w, modules, s, n); err != nil {
				return fmt.Errorf("%s, %d rules: %w", s.name, n, err)
			}
		}
	}
	return w.Flush()
}

func libraryRow(ctx context.Context, w io.Writer, modules map[string]*vm.Module, s *shape, n int) error {
	p, err := translate(s.rules(n))
	if err != nil {
		return err
	}
	config, err := p.Listeners[0].Chains[0].Routes.PluginConfig(plan.Since139)
	if err != nil {
		return err
	}
	table, err := routing.Compile(config)
	if err != nil {
		return err
	}
	var all []func() error
	for _, asked := range [][]vm.Headers{{s.request(s.first())}, {s.request(n - 1)}, s.requests(n), {s.request(n)}} {
		f, err := decisions(table, asked)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	native, err := callback(config, s.requests(n))
	if err != nil {
		return err
	}
	all = append(all, native)
	var ids []string
	for _, name := range []string{"floor", "waymark", "naive"} {
		f, decided, err := onWazero(ctx, modules[name], config, s.requests(n))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if name != "floor" && ids != nil && !slices.Equal(ids, decided) {
			return errors.New("the naive filter decides otherwise")
		}
		if name == "waymark" {
			ids = decided
		}
		all = append(all, f)
	}
	ns, err := inTurns(all)
	if err != nil {
		return err
	}
	read, memory, err := configuring(ctx, modules["waymark"], config)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "%s\t%d\t", s.name, n)
	for _, x := range ns {
		_, _ = fmt.Fprintf(w, "%.0f\t", x)
	}
	_, err = fmt.Fprintf(w, "%.1f\t%.1f\t%d\t%d\t%.1f\t%.1f\t\n", ns[6]/ns[4], ns[7]/ns[6], len(config), len(config)/n, float64(read.Microseconds())/1e3, memory)
	return err
}

// configuring is what it takes to read a configuration in a new VM: the median time, and how far linear memory grows in
// proportion to the configuration.
func configuring(ctx context.Context, m *vm.Module, config []byte) (read time.Duration, memory float64, err error) {
	var times []float64
	for range 3 {
		v, err := m.New(ctx, hostcalls.Error, nil)
		if err != nil {
			return 0, 0, err
		}
		before, start := v.MemorySize(), time.Now()
		if _, err := v.Configure(ctx, config); err != nil {
			return 0, 0, err
		}
		times = append(times, float64(time.Since(start)))
		memory = float64(v.MemorySize()-before) / float64(len(config))
		if err := v.Close(ctx); err != nil {
			return 0, 0, err
		}
	}
	return time.Duration(median(times)), memory, nil
}

// inTurns measures functions, in turns, and returns the median of each in ns. They are called as often as it takes to see
// them on a clock.
func inTurns(all []func() error) (medians []float64, err error) {
	const rounds, atLeast = 31, 100 * time.Microsecond
	calls, times := make([]int, len(all)), make([][]float64, len(all))
	for round := -1; round < rounds; round++ {
		for i, f := range all {
			start, n := time.Now(), 0
			for n == 0 || n < calls[i] || round < 0 && time.Since(start) < atLeast {
				if err := f(); err != nil {
					return nil, err
				}
				n++
			}
			if round < 0 {
				calls[i] = n
				continue
			}
			times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/float64(n))
		}
	}
	for _, t := range times {
		medians = append(medians, median(t))
	}
	return medians, nil
}

// decisions decides one request after the other. It fails if that allocates.
func decisions(table *routing.Table, asked []vm.Headers) (func() error, error) {
	requests := make([]routing.Request, len(asked))
	for i, h := range asked {
		for _, line := range h {
			requests[i].Set(line[0], line[1])
		}
	}
	var q routing.Request // one for all, as the filter has it
	i := 0
	f := func() {
		of := &requests[i%len(requests)]
		q.Method, q.Scheme, q.Authority, q.Path, q.Headers = of.Method, of.Scheme, of.Authority, of.Path, of.Headers
		q.HasMethod, q.HasScheme, q.HasAuthority, q.HasPath = true, true, true, true
		table.Decide(&q, routing.Dice{Split: uint32(i)})
		i++
	}
	for range requests {
		f() // grows the scratch
	}
	if n := testing.AllocsPerRun(len(requests), f); n > 0 {
		return nil, fmt.Errorf("a decision allocates %v times", n)
	}
	return func() error {
		f()
		return nil
	}, nil
}

// goHost is a host of Go for the plugin: it has its headers and configuration ready.
type goHost struct {
	pairs, config []byte
	id            string
}

func (h *goHost) GetHeaderMapPairs(hostcalls.Map) ([]byte, hostcalls.Status) {
	return h.pairs, hostcalls.OK
}
func (h *goHost) ReplaceHeaderMapValue(_ hostcalls.Map, _, value string) hostcalls.Status {
	h.id = value
	return hostcalls.OK
}
func (h *goHost) RemoveHeaderMapValue(hostcalls.Map, string) hostcalls.Status { return hostcalls.OK }
func (h *goHost) GetBufferBytes(hostcalls.Buffer, uint32, uint32) ([]byte, hostcalls.Status) {
	return h.config, hostcalls.OK
}
func (h *goHost) Log(hostcalls.Level, string) hostcalls.Status { return hostcalls.OK }
func (h *goHost) GetLogLevel() (hostcalls.Level, hostcalls.Status) {
	return hostcalls.Error, hostcalls.OK
}

// callback is what the module does for a request, natively: a stream is made, its headers are read, one is written.
func callback(config []byte, asked []vm.Headers) (func() error, error) {
	h := &goHost{config: config}
	hostcalls.Use(h)
	p := filter.New([2]uint64{1, 2})
	const root = 1
	p.CreateContext(root, 0)
	if !p.Configure(root, uint32(len(config))) {
		return nil, errors.New("the configuration is refused")
	}
	i, stream := 0, uint32(root)
	headers := make(vm.Headers, 0, 32)
	return func() error {
		headers = append(headers[:0], asked[i%len(asked)]...)
		h.pairs = hostcalls.AppendPairs(h.pairs[:0], headers)
		i++
		stream++
		p.CreateContext(stream, root)
		p.RequestHeaders(stream)
		p.DeleteContext(stream)
		headers.Set(routing.RouteHeader, h.id)
		return nil
	}, nil
}

// onWazero sends one request after the other through a module, and says which outcomes it decided for each.
func onWazero(ctx context.Context, m *vm.Module, config []byte, asked []vm.Headers) (f func() error, decided []string, err error) {
	v, err := m.New(ctx, hostcalls.Error, nil)
	if err != nil {
		return nil, nil, err
	}
	root, err := v.Configure(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	i := 0
	headers := make(vm.Headers, 0, 32)
	f = func() error {
		headers = append(headers[:0], asked[i%len(asked)]...)
		i++
		return v.RequestHeaders(ctx, root, &headers)
	}
	for range asked {
		if err := f(); err != nil {
			return nil, nil, err
		}
		id, _ := headers.Get(routing.RouteHeader)
		if id == "" {
			return nil, nil, fmt.Errorf("%v: no rule takes it", headers)
		}
		decided = append(decided, id)
	}
	return f, decided, nil
}
