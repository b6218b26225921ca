// Command bench measures what a decision costs, for 10, 1,000 and 10,000 rules side by side in one run: natively, under
// wazero beside the least filter there is and a naive one, and in a real Envoy beside these, no filter, a list of native
// routes and Lua.
//
//	make bench                                    a mixture, in the library, under wazero and in Envoy
//	make bench BENCHFLAGS="-shapes all -no-envoy"  every shape, without Envoy
//	make bench-envoy                              every shape in Envoy, and which way --matching auto takes
//
// Times are of this machine and this hour; compare the columns, not two runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/e2e/internal/envoytest"
)

// options are the flags.
type options struct {
	sizes           []int
	module, modules string
	rounds          int
	round           time.Duration
	skipEnvoy       bool
	skipLibrary     bool
	print           bool
	shapes          []*shape
}

func main() {
	var o options
	sizes := flag.String("rules", "10,1000,10000", "numbers of rules")
	flag.StringVar(&o.module, "module", "bin/waymark.wasm", "the filter's module")
	flag.StringVar(&o.modules, "modules", ".cache/bench", "folder with the modules to compare it with: floor.wasm and naive.wasm")
	flag.IntVar(&o.rounds, "rounds", 60, "rounds in a real Envoy")
	flag.DurationVar(&o.round, "round", 25*time.Millisecond, "length of a round")
	names := flag.String("shapes", "mixed", "kinds of rules, separated by commas, or all")
	flag.BoolVar(&o.skipEnvoy, "no-envoy", false, "leave the real Envoy out")
	flag.BoolVar(&o.skipLibrary, "no-library", false, "measure in a real Envoy alone")
	flag.BoolVar(&o.print, "print", false, "print the YAML of the first shape and number of rules, and measure nothing")
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
	if o.print {
		fmt.Print(o.shapes[0].rules(o.sizes[0]))
		return nil
	}
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
