package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// library measures decisions without a proxy: what package routing takes for one, and a request through modules on wazero.
func library(o *options) error {
	fmt.Printf(`A decision, natively, in ns: requests that meet the first rule, the last one, rules all over the list, none. Then a request,
all over the list, in ns: the whole callback natively; on wazero through the least filter, Waymark and a naive filter;
Waymark in proportion to native, and the naive filter to Waymark. Medians of %d rounds of %s, in turns.
Then the configuration: bytes, for each rule too, ms to read it on wazero, and the memory that it takes at its peak, in
proportion to its bytes.
`, shortRounds, shortRound)
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
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println(`Checked for every line: requests meet the rules that they are meant for, the naive filter decides the same, and natively
nothing allocates.`)
	return expressions()
}

// libraryRow measures one line, and fails where a request does not meet the rule that it is meant for, a filter decides
// otherwise than the engine, or something allocates natively.
func libraryRow(ctx context.Context, w io.Writer, modules map[string]*vm.Module, s *shape, n int) (err error) {
	config, err := pluginConfig(s, n)
	if err != nil {
		return err
	}
	table, err := routing.Compile(config)
	if err != nil {
		return err
	}
	var everything, all []question
	var compared []func() error
	count := s.count(n)
	for _, rules := range [][]int{{0}, {count - 1}, spread(count), {count}} {
		asked, err := questions(table, s, n, rules)
		if err != nil {
			return err
		}
		if len(rules) > 1 {
			all = asked
		}
		everything = append(everything, asked...)
		decide := decisions(table, asked)
		if err := mustNotAllocate(decide, len(asked)); err != nil {
			return fmt.Errorf("a decision: %w", err)
		}
		compared = append(compared, decide)
	}
	native, err := callback(config)
	if err != nil {
		return err
	}
	if err := native.check(everything); err != nil {
		return fmt.Errorf("natively: %w", err)
	}
	callbacks := native.repeated(all)
	if err := mustNotAllocate(callbacks, len(all)); err != nil {
		return fmt.Errorf("the callback: %w", err)
	}
	compared = append(compared, callbacks)
	for _, name := range []string{"floor", "waymark", "naive"} {
		v, f, e := onWazero(ctx, modules[name], config)
		if e != nil {
			return fmt.Errorf("%s: %w", name, e)
		}
		defer func() { err = errors.Join(err, v.Close(ctx)) }()
		if name != "floor" {
			if err := f.check(everything); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		compared = append(compared, f.repeated(all))
	}
	t, err := inTurns(compared)
	if err != nil {
		return err
	}
	read, memory, err := configuring(ctx, modules["waymark"], config)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "%s\t%d\t", s.name, n)
	for _, m := range t {
		_, _ = fmt.Fprintf(w, "%.0f\t", m.median())
	}
	natively, waymark, naive := t[4], t[6], t[7]
	_, err = fmt.Fprintf(w, "%.1f\t%.1f\t%d\t%d\t%.1f\t%.1f\t\n", waymark.times(natively), naive.times(waymark), len(config), len(config)/count, float64(read.Microseconds())/1e3, memory)
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

// pluginConfig is the filter's configuration for n rules of a shape.
func pluginConfig(s *shape, n int) ([]byte, error) {
	p, err := planOf(s.rules(n))
	if err != nil {
		return nil, err
	}
	return pluginconfig.Write(p.Listeners[0].Chains[0].Routes, version.Of(version.Default))
}

// told is the header by which a request names its outcome, for the least filter.
const told = "x-told"

// questions are the requests for some of n rules, each with what its rule says. Rule n is none.
func questions(table *routing.Table, s *shape, n int, rules []int) (all []question, err error) {
	for _, i := range rules {
		h := s.request(i)
		d := table.Decide(nativeRequest(h), routing.Dice{})
		if name := table.RuleName(d); name != s.ruleName(i, n) {
			return nil, fmt.Errorf("%v: meets the rule %q, not %q", h, name, s.ruleName(i, n))
		}
		h.Set(told, d.Outcome)
		all = append(all, question{h, d.Outcome})
	}
	return all, nil
}
