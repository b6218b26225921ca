// Command bench measures what a decision costs, for several numbers of rules side by side in one run: natively, under
// wazero beside the least filter there is and a naive one, and in a real Envoy beside these, no filter, Envoy's own list and
// tree of routes, and Lua; and what an Envoy takes to start with each.
//
//	make bench                                                    a mixture, in the library, under wazero and in Envoy
//	make bench BENCHFLAGS="-shapes all -tables library"           every shape, without Envoy
//	make bench-envoy                                              every shape in Envoy, and which way --matching auto takes
//	make bench BENCHFLAGS="-tables starts -rules 10,10000"        what Envoys take to start
//	.cache/bench/bench -print -shapes mixed -rules 10000          the rules, as YAML
//
// Times are of this machine and this hour; compare the columns, not two runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
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
	shapes          []*shape
	tables          []string
	results         string
	print           bool
}

// The tables.
const (
	libraryTable  = "library"
	requestsTable = "requests"
	startsTable   = "starts"
)

func main() {
	var o options
	sizes := flag.String("rules", "10,1000,10000", "numbers of rules")
	flag.StringVar(&o.module, "module", "bin/waymark.wasm", "the filter's module")
	flag.StringVar(&o.modules, "modules", ".cache/bench", "folder with the modules to compare it with: floor.wasm, naive.wasm and small.wasm")
	flag.IntVar(&o.rounds, "rounds", 60, "rounds in a real Envoy; a tenth as many starts")
	flag.DurationVar(&o.round, "round", 25*time.Millisecond, "length of a round")
	names := flag.String("shapes", "mixed", "kinds of rules, separated by commas, or all")
	tables := flag.String("tables", libraryTable+","+requestsTable, "what is measured: library (without Envoy), requests, starts (rules of shape "+startShape+")")
	flag.StringVar(&o.results, "o", "", "file for the tables of requests and starts, as JSON; tables that are not measured stay in it")
	flag.BoolVar(&o.print, "print", false, "print the YAML of the first shape and number of rules, and measure nothing")
	flag.Parse()
	o.tables = strings.Split(*tables, ",")
	if err := run(&o, *sizes, *names); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run(o *options, sizes, names string) error {
	if err := o.read(sizes, names); err != nil {
		return err
	}
	if o.print {
		fmt.Print(o.shapes[0].rules(o.sizes[0]))
		return nil
	}
	if slices.Contains(o.tables, libraryTable) {
		if err := library(o); err != nil {
			return err
		}
	}
	if len(o.tables) == 1 && o.tables[0] == libraryTable {
		return nil
	}
	b, err := envoytest.Default()
	if err != nil {
		return err
	}
	var measured results
	if slices.Contains(o.tables, requestsTable) {
		if measured.Requests, err = requests(o, b); err != nil {
			return err
		}
	}
	if slices.Contains(o.tables, startsTable) {
		if measured.Starts, err = starts(o, b); err != nil {
			return err
		}
	}
	if o.results == "" {
		return nil
	}
	return measured.write(o.results)
}

// read reads lists of numbers of rules, of shapes, and of tables.
func (o *options) read(sizes, names string) error {
	for text := range strings.SplitSeq(sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-rules: %q is not a number of rules", text)
		}
		o.sizes = append(o.sizes, n)
	}
	for _, table := range o.tables {
		if !slices.Contains([]string{libraryTable, requestsTable, startsTable}, table) {
			return fmt.Errorf("-tables: there is no table %q", table)
		}
	}
	if names == "all" {
		for i := range shapes {
			o.shapes = append(o.shapes, &shapes[i])
		}
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		s, err := shapeNamed(name)
		if err != nil {
			return err
		}
		o.shapes = append(o.shapes, s)
	}
	return nil
}
