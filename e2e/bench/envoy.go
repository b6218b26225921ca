package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"waymark.dev/waymark/e2e/internal/envoytest"
)

// requests measures what a request costs, for each shape and number of rules, and every way.
func requests(o *options, b envoytest.Binary) (*requestTable, error) {
	out := &requestTable{Envoy: b.Version, Rounds: o.rounds, Round: o.round.String()}
	fmt.Printf("\nEnvoy %s, one worker: CPU µs per request of the whole process; %d rounds of %s, in turns: median (quartiles)\n", b.Version, o.rounds, o.round)
	for _, shape := range o.shapes {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintf(w, "%s: rules\t%s\t%s\tauto is\t\n", shape.name, strings.Join(columns(), "\t"), strings.Join(quotients, "\t")) // a failure shows at Flush
		for _, n := range o.sizes {
			row, err := requestsOf(o, b, shape, n)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s, %d rules: %w", shape.name, n, err), w.Flush())
			}
			row.print(w)
			out.Rows, out.Missed = append(out.Rows, row), append(out.Missed, row.missed()...)
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
	}
	fmt.Printf("\nGoals of --matching auto that are not reached: %d\n", len(out.Missed))
	for _, text := range out.Missed {
		fmt.Println("  " + text)
	}
	return out, nil
}

// columns are the ways that have a column. The others are in quotients alone.
func columns() []string {
	return slices.DeleteFunc(slices.Clone(ways), func(way string) bool { return strings.HasSuffix(way, fewest) })
}

// requestsOf measures one line.
func requestsOf(o *options, b envoytest.Binary, s *shape, n int) (_ *requestRow, err error) {
	subjects := map[string]*subject{}
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.process.Stop())
		}
	}()
	for _, way := range ways {
		rules := n
		if strings.HasSuffix(way, fewest) {
			rules = o.sizes[0]
		}
		next, err := newSubject(o, b, s, rules, way)
		if err == nil && next != nil {
			err = next.start(b)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way, err)
		}
		if next != nil {
			subjects[way] = next
		}
	}
	if err := measure(o, subjects); err != nil {
		return nil, err
	}
	return newRequestRow(s.name, n, subjects), nil
}

// measure runs the rounds, each way once in every round and every other round backwards, after one that does not count.
func measure(o *options, subjects map[string]*subject) error {
	var order []*subject
	for _, name := range ways {
		if s := subjects[name]; s != nil {
			order = append(order, s)
		}
	}
	for round := range o.rounds + 1 {
		for _, s := range order {
			before, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			count, err := load(s.address(), s.asked, o.round)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			after, err := s.process.CPUTime()
			if err != nil {
				return err
			}
			if round > 0 {
				s.micros = append(s.micros, float64((after-before).Nanoseconds())/1e3/float64(count))
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// newRequestRow takes the medians and quotients of what was measured.
func newRequestRow(shape string, n int, subjects map[string]*subject) *requestRow {
	out := &requestRow{Shape: shape, Rules: n, Auto: subjects[wayAuto].strategy.Strategy, None: tenths(median(subjects[wayNone].micros)), Added: map[string]quartiles{}, Quotients: map[string]float64{}}
	_, out.hasTree = subjects[wayTree]
	for way, s := range subjects {
		if way != wayNone && !strings.HasSuffix(way, fewest) {
			out.Added[way] = added(s, subjects[wayNone])
		}
	}
	best := wayFilter
	for _, way := range []string{wayList, wayTree} {
		if q, ok := out.Added[way]; ok && q.median() < out.Added[best].median() {
			best = way
		}
	}
	out.aboveBest = out.Added[wayAuto].median() - out.Added[best].median()
	for name, pair := range map[string][2]string{
		"least/fewest": {wayLeast, wayLeast + fewest}, "filter/fewest": {wayFilter, wayFilter + fewest}, "auto/best": {wayAuto, best},
	} {
		out.Quotients[name] = thousandths(ratio(subjects[pair[0]], subjects[pair[1]]))
	}
	for name, pair := range map[string][2]string{
		"filter/least": {wayFilter, wayLeast}, "small/least": {waySmall, wayLeast}, "list/filter": {wayList, wayFilter}, "auto/filter": {wayAuto, wayFilter},
	} {
		dividend, ok := out.Added[pair[0]]
		if divisor := out.Added[pair[1]].median(); ok && divisor > 0 {
			out.Quotients[name] = thousandths(dividend.median() / divisor)
		}
	}
	return out
}

// quotients are the columns with proportions. Those to the fewest rules and to the best way are of all that a request costs,
// the others of what the ways add.
var quotients = []string{"filter/least", "small/least", "least/fewest", "filter/fewest", "list/filter", "auto/filter", "auto/best"}

// Goals of --matching auto: what it adds at most where there is a tree, in µs and in proportion to the filter, and what a
// request costs at most in proportion to the cheapest of list, tree and filter, or in µs above it.
const (
	mostAdded, mostOfFilter = 4, 0.3
	mostOfBest, mostAbove   = 1.03, 1
)

// missed are the goals that a line does not reach.
func (r *requestRow) missed() (all []string) {
	at := fmt.Sprintf("%s, %d rules: ", r.Shape, r.Rules)
	auto, filter := r.Added[wayAuto].median(), r.Added[wayFilter].median()
	if r.hasTree && auto > mostAdded {
		all = append(all, at+fmt.Sprintf("adds %.1f µs, and not %d at most", auto, mostAdded))
	}
	if r.hasTree && auto > mostOfFilter*filter {
		all = append(all, at+fmt.Sprintf("adds %.2f of what the filter adds, and not %.1f at most", auto/filter, mostOfFilter))
	}
	if best := r.Quotients["auto/best"]; best > mostOfBest && r.aboveBest > mostAbove {
		all = append(all, at+fmt.Sprintf("costs %.3f of the best way, %.1f µs more", best, r.aboveBest))
	}
	return all
}

// print writes a line of the table.
func (r *requestRow) print(w *tabwriter.Writer) {
	_, _ = fmt.Fprintf(w, "%d\t%.1f\t", r.Rules, r.None)
	for _, way := range columns()[1:] {
		if q, ok := r.Added[way]; ok {
			_, _ = fmt.Fprintf(w, "%.1f (%.1f–%.1f)\t", q[1], q[0], q[2])
		} else {
			_, _ = fmt.Fprint(w, "-\t")
		}
	}
	for _, name := range quotients {
		if q, ok := r.Quotients[name]; ok {
			_, _ = fmt.Fprintf(w, "%.3f\t", q)
		} else {
			_, _ = fmt.Fprint(w, "-\t")
		}
	}
	_, _ = fmt.Fprintf(w, "%s\t\n", r.Auto)
}

// added are the quartiles of what a way costs above another, taken in each round on its own: what slows the machine down
// for a while slows both.
func added(s, above *subject) quartiles {
	all := slices.Clone(s.micros)
	for i, bare := range above.micros {
		all[i] -= bare
	}
	return quartiles{tenths(quantile(all, 0.25)), tenths(median(all)), tenths(quantile(all, 0.75))}
}

// ratio is the median of what one way costs in proportion to another.
func ratio(s, other *subject) float64 {
	all := slices.Clone(s.micros)
	for i, x := range other.micros {
		all[i] /= x
	}
	return median(all)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which a share q of the values lie.
func quantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	x := q * float64(len(v)-1)
	i := int(x)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (x-float64(i))*(v[i+1]-v[i])
}
