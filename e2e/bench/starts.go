package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"waymark.dev/waymark/e2e/internal/envoytest"
)

// startShape is the shape of rules with which starts are measured.
const startShape = "mixed"

// startWays are the ways of which starts are measured.
var startWays = []string{wayNone, wayList, wayTree, wayAuto, wayFilter, waySmall, wayLeast}

// starts measures what Envoys take until they are live, and how much memory they use then and after some requests.
func starts(o *options, b envoytest.Binary) (*startTable, error) {
	s, err := shapeNamed(startShape)
	if err != nil {
		return nil, err
	}
	rounds := max(1, o.rounds/10)
	out := &startTable{Envoy: b.Version, Shape: s.name, Rounds: rounds}
	fmt.Printf("\nEnvoy %s, one worker, rules of shape %s: bytes of the bootstrap; ms to live, and ms of CPU; MiB when live, and after %s of requests; medians of %d starts, in turns\n", b.Version, s.name, loaded, rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "rules\tway\tbytes\tms\tCPU ms\tMiB\tMiB after\t") // a failure shows at Flush
	for _, n := range o.sizes {
		row := &startRow{Rules: n, Ways: map[string]start{}}
		var subjects []*subject
		for _, way := range startWays {
			next, err := newSubject(o, b, s, n, way)
			if err != nil {
				return nil, fmt.Errorf("%s, %d rules: %w", way, n, err)
			}
			if next != nil {
				subjects = append(subjects, next)
			}
		}
		measured := map[string][]start{}
		for range rounds {
			for _, s := range subjects {
				one, err := s.startOnce(b)
				if err != nil {
					return nil, fmt.Errorf("%s, %d rules: %w", s.name, n, err)
				}
				measured[s.name] = append(measured[s.name], *one)
			}
		}
		for _, s := range subjects {
			way, m := s.name, medianStart(measured[s.name])
			row.Ways[way] = m
			_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%.0f\t%.0f\t%.1f\t%.1f\t\n", n, way, m.Bytes, m.Live, m.CPU, m.Memory, m.Loaded)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, w.Flush()
}

// loaded is how long requests are sent before the memory is measured again.
const loaded = time.Second

// startOnce starts an Envoy, sends it requests, and stops it.
func (s *subject) startOnce(b envoytest.Binary) (_ *start, err error) {
	out, begin := &start{Bytes: len(s.bootstrap)}, time.Now()
	if err := s.start(b); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.process.Stop()) }()
	out.Live = millis(time.Since(begin))
	cpu, err := s.process.CPUTime()
	if err != nil {
		return nil, err
	}
	out.CPU = millis(cpu)
	if out.Memory, err = memory(s.process.PID()); err != nil {
		return nil, err
	}
	if _, err := load(s.address(), s.asked, loaded); err != nil {
		return nil, err
	}
	out.Loaded, err = memory(s.process.PID())
	return out, err
}

func millis(d time.Duration) float64 { return float64(d.Round(time.Millisecond).Milliseconds()) }

// memory is the resident memory of a process, in MiB.
func memory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return tenths(kib / 1024), err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// medianStart has the median of each number.
func medianStart(all []start) start {
	of := func(value func(start) float64) float64 {
		var values []float64
		for _, s := range all {
			values = append(values, value(s))
		}
		slices.Sort(values)
		return tenths(median(values))
	}
	return start{
		Bytes: all[0].Bytes, Live: of(func(s start) float64 { return s.Live }), CPU: of(func(s start) float64 { return s.CPU }),
		Memory: of(func(s start) float64 { return s.Memory }), Loaded: of(func(s start) float64 { return s.Loaded }),
	}
}
