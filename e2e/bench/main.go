// Command bench measures what a decision costs, for 10, 1,000 and 10,000 rules side by side in one run: natively, under
// wazero, and in a real Envoy beside no filter, the least filter there is, and a list of native routes.
//
//	make bench                                    a mixture, in the library, under wazero and in Envoy
//	make bench BENCHFLAGS="-shapes all -no-envoy"  every shape, without Envoy
//	make bench-envoy                              every shape in Envoy, and which way --matching auto takes
//
// Times are of this machine and this hour; compare the columns, not two runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// options are the flags.
type options struct {
	sizes           []int
	module, floor   string
	rounds          int
	round           time.Duration
	skipEnvoy       bool
	skipLibrary     bool
	shapes          []*shape
	waymark, lowest []byte // the two modules
}

func main() {
	var o options
	sizes := flag.String("rules", "10,1000,10000", "numbers of rules")
	flag.StringVar(&o.module, "module", "bin/waymark.wasm", "the filter's module")
	flag.StringVar(&o.floor, "floor", ".cache/bench/floor.wasm", "the module of e2e/bench/floor")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds in a real Envoy")
	flag.DurationVar(&o.round, "round", 700*time.Millisecond, "length of a round")
	names := flag.String("shapes", "mixed", "kinds of rules, separated by commas, or all")
	flag.BoolVar(&o.skipEnvoy, "no-envoy", false, "leave the real Envoy out")
	flag.BoolVar(&o.skipLibrary, "no-library", false, "measure in a real Envoy alone")
	flag.Parse()
	if err := run(&o, *sizes, *names); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run(o *options, sizes, names string) error {
	for _, text := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-rules: %q is no number of rules", text)
		}
		o.sizes = append(o.sizes, n)
	}
	for i := range shapes {
		if names == "all" {
			o.shapes = append(o.shapes, &shapes[i])
		}
	}
	for _, name := range strings.Split(names, ",") {
		if names == "all" {
			break
		}
		s, err := shapeNamed(name)
		if err != nil {
			return err
		}
		o.shapes = append(o.shapes, s)
	}
	var err error
	if o.waymark, err = os.ReadFile(o.module); err != nil {
		return err
	}
	if o.lowest, err = os.ReadFile(o.floor); err != nil {
		return err
	}
	fmt.Printf("module: %d bytes; the least filter: %d bytes\n\n", len(o.waymark), len(o.lowest))
	if !o.skipLibrary {
		if err := library(o); err != nil {
			return err
		}
	}
	if o.skipEnvoy {
		return nil
	}
	b, err := envoytest.Default()
	if err != nil {
		return err
	}
	fmt.Printf("\nEnvoy %s, one worker: CPU µs per request of the whole process; %d rounds of %s, in turns: median (quartiles)\n", b.Version, o.rounds, o.round)
	return inEnvoy(o, b)
}

// library measures decisions without a proxy.
func library(o *options) error {
	fmt.Println("One decision, hits all over the list: natively, and as a request through the module on wazero")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "shape\trules\tnative ns\tallocations\twazero ns\thost calls\tconfiguration bytes\tper rule\t") // a failure shows at Flush
	for _, s := range o.shapes {
		for _, n := range o.sizes {
			if err := libraryRow(o, w, s, n); err != nil {
				return fmt.Errorf("%s, %d rules: %w", s.name, n, err)
			}
		}
	}
	return w.Flush()
}

func libraryRow(o *options, w io.Writer, s *shape, n int) error {
	p, err := translate(s.rules(n))
	if err != nil {
		return err
	}
	config, err := p.Listeners[0].Chains[0].Routes.PluginConfig(plan.Since139)
	if err != nil {
		return err
	}
	native, err := natively(config, s.requests(n))
	if err != nil {
		return err
	}
	wasm, calls, err := underWazero(o.waymark, config, s.requests(n))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t%d\t\n", s.name, n, perOp(native), float64(native.AllocsPerOp()), perOp(wasm), calls, len(config), len(config)/n)
	return err
}

func perOp(r testing.BenchmarkResult) float64 { return float64(r.T.Nanoseconds()) / float64(r.N) }

func natively(config []byte, requests []vm.Headers) (testing.BenchmarkResult, error) {
	table, err := routing.Compile(config)
	if err != nil {
		return testing.BenchmarkResult{}, err
	}
	asked := make([]*routing.Request, 0, len(requests))
	for _, h := range requests {
		q := new(routing.Request)
		for _, line := range h {
			q.Set(line[0], line[1])
		}
		if table.Decide(q, routing.Dice{}).Outcome == "" {
			return testing.BenchmarkResult{}, fmt.Errorf("%v: no rule takes it", h)
		}
		asked = append(asked, q)
	}
	return testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			table.Decide(asked[i%len(asked)], routing.Dice{Split: uint32(i)})
		}
	}), nil
}

// underWazero also counts the host functions that a request calls.
func underWazero(module, config []byte, asked []vm.Headers) (r testing.BenchmarkResult, calls float64, err error) {
	ctx := context.Background()
	m, err := vm.Compile(ctx, module)
	if err != nil {
		return r, 0, err
	}
	defer func() { err = errors.Join(err, m.Close(ctx)) }()
	v, err := m.New(ctx, hostcalls.Error, nil)
	if err != nil {
		return r, 0, err
	}
	root, err := v.Configure(ctx, config)
	if err != nil {
		return r, 0, err
	}
	v.Calls()
	for _, h := range asked {
		h := append(vm.Headers{}, h...)
		if err := v.RequestHeaders(ctx, root, &h); err != nil {
			return r, 0, err
		}
		if id, _ := h.Get(routing.RouteHeader); id == "" {
			return r, 0, fmt.Errorf("%v: no rule takes it", h)
		}
	}
	for _, count := range v.Calls() {
		calls += float64(count)
	}
	calls /= float64(len(asked))
	scratch := make(vm.Headers, 0, 32)
	r = testing.Benchmark(func(b *testing.B) {
		for i := range b.N {
			scratch = append(scratch[:0], asked[i%len(asked)]...)
			if e := v.RequestHeaders(ctx, root, &scratch); e != nil {
				err = e
				b.FailNow()
			}
		}
	})
	return r, calls, err
}
