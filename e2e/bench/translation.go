package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
)

// translationShapes are the shapes of rules that are translated: a mixture, and expressions of their own.
var translationShapes = []string{"mixed", "regex", "regex inside", "regex of classes", "cookie"}

// program is a program of Waymark that is measured.
type program struct {
	path         string
	millis, mebi []float64 // of processor time, and of memory at the peak, in each round
}

// translations measures what programs of Waymark take to make a bootstrap of YAML, in turns; all but the first also in
// proportion to the first. The results are of the last one.
func translations(o *options) (*translationTable, error) {
	rounds := max(1, o.rounds/10)
	out := &translationTable{Rounds: rounds}
	fmt.Printf("\nwaymark translate, from YAML to bootstrap: ms of CPU and MiB at the peak, medians of %d rounds, in turns\n", rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "shape\trules\t") // a failure shows at Flush
	for i, path := range o.programs {
		_, _ = fmt.Fprintf(w, "%s, ms\tMiB\t", path)
		if i > 0 {
			_, _ = fmt.Fprint(w, "of the first\t")
		}
	}
	_, _ = fmt.Fprintln(w)
	dir, err := os.MkdirTemp("", "waymark-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	for _, name := range translationShapes {
		s, err := shapeNamed(name)
		if err != nil {
			return nil, err
		}
		for _, n := range o.sizes {
			file := filepath.Join(dir, "rules.yaml")
			if err := os.WriteFile(file, []byte(s.rules(n)), 0o600); err != nil {
				return nil, err
			}
			all := make([]*program, len(o.programs))
			for i, path := range o.programs {
				all[i] = &program{path: path}
			}
			if err := inTurn(all, file, rounds); err != nil {
				return nil, fmt.Errorf("%s, %d rules: %w", name, n, err)
			}
			_, _ = fmt.Fprintf(w, "%s\t%d\t", name, n)
			for i, p := range all {
				_, _ = fmt.Fprintf(w, "%.0f\t%.0f\t", median(p.millis), median(p.mebi))
				if i > 0 {
					_, _ = fmt.Fprintf(w, "%.3f\t", quotient(p.millis, all[0].millis))
				}
			}
			_, _ = fmt.Fprintln(w)
			last := all[len(all)-1]
			out.Rows = append(out.Rows, &translationRow{Shape: name, Rules: n, CPU: tenths(median(last.millis)), Memory: tenths(median(last.mebi))})
		}
	}
	return out, w.Flush()
}

// inTurn lets each program translate a file once in every round, every other round backwards, after one that does not
// count.
func inTurn(all []*program, file string, rounds int) error {
	order := slices.Clone(all)
	for round := range rounds + 1 {
		for _, p := range order {
			c := exec.Command(p.path, "translate", "-f", file, "--module", "waymark.wasm") //nolint:gosec // named by the user
			c.Stdout, c.Stderr = io.Discard, io.Discard
			if err := c.Run(); err != nil {
				return fmt.Errorf("%s: %w", p.path, err)
			}
			usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
			if !ok {
				return errors.New("the memory of a program that has ended is not known on this system")
			}
			if round > 0 {
				cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
				p.millis = append(p.millis, float64(cpu.Microseconds())/1e3)
				p.mebi = append(p.mebi, float64(usage.Maxrss)/1024)
			}
		}
		slices.Reverse(order)
	}
	return nil
}
