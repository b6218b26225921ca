package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waymark.dev/waymark/envoy"
)

// patience is how long proxies may take, in seconds: longer than the slowest server needs on a busy machine.
const patience = 300

// rest is how long a server may work on after all proxies have everything.
const rest = 500 * time.Millisecond

// served is a server and its proxies.
type served struct {
	server, proxies *child
	kind            string
	count           float64
	row             *fleetRow
	phases          []phase // changes
}

func measure(o *options) error {
	var r results
	for _, part := range o.parts {
		var err error
		switch part {
		case fleetsPart:
			r.Fleets, err = fleets(o)
		case endpointsPart:
			r.Endpoints, err = endpoints(o)
		case memoryPart:
			r.Memory, err = memory(o)
		default:
			err = fmt.Errorf("-parts: there is no part %q", part)
		}
		if err != nil {
			return err
		}
	}
	if o.results == "" {
		return nil
	}
	return r.write(o.results)
}

func newMachine() machine {
	m := machine{Cores: runtime.NumCPU()}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _ = strconv.ParseFloat(strings.Fields(string(text))[0], 64) // its first field is a number
	}
	return m
}

// launch starts a server and its proxies, which are told what they are to have and do not connect yet.
func launch(o *options, kind, matching string, first sums) (_ *served, err error) {
	f := &served{kind: kind, count: float64(o.proxies), row: &fleetRow{Server: kind, Matching: matching}}
	defer func() {
		if err != nil {
			_ = f.end() // the other error counts
		}
	}()
	if f.server, err = start("server", "-kind", kind, "-matching", matching, "-rules", strconv.Itoa(o.rules), "-hosts", strconv.Itoa(o.hosts)); err != nil {
		return f, err
	}
	r, err := f.server.ask(command{Op: "start"})
	if err != nil {
		return f, err
	}
	if f.proxies, err = start("proxies", "-address", r.Address, "-proxies", strconv.Itoa(o.proxies)); err != nil {
		return f, err
	}
	return f, f.expect(first)
}

func (f *served) end() (err error) {
	for _, c := range []*child{f.proxies, f.server} {
		if c != nil {
			err = errors.Join(err, c.end())
		}
	}
	return err
}

// expect tells the proxies what they are to have.
func (f *served) expect(s sums) error {
	all := make([]expected, 0, len(s))
	for key, sum := range s {
		all = append(all, expected{key.Type, key.Name, sum})
	}
	file, err := os.CreateTemp("", "waymark-fleetbench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // a temporary file
	if err := errors.Join(json.NewEncoder(file).Encode(all), file.Close()); err != nil {
		return err
	}
	_, err = f.proxies.ask(command{Op: "expect", File: file.Name()})
	return err
}

// during measures the server while something happens, until all proxies have what they are to have. begin returns when it
// began, in nanoseconds.
func (f *served) during(begin func() (int64, error)) (p phase, messages map[string]int64, err error) {
	if _, err := f.proxies.ask(command{Op: "count"}); err != nil {
		return p, nil, err
	}
	if err := f.server.forgetPeak(); err != nil {
		return p, nil, err
	}
	before, err := f.server.cpu()
	if err != nil {
		return p, nil, err
	}
	from, err := begin()
	if err != nil {
		return p, nil, err
	}
	taken, err := f.proxies.ask(command{Op: "await", Seconds: patience})
	if err != nil {
		return p, nil, err
	}
	known, err := f.server.ask(command{Op: "synced", Number: int(f.count)})
	if err != nil {
		return p, nil, err
	}
	to := taken.At
	if known.Count >= 0 {
		to = max(to, known.At)
	}
	time.Sleep(rest)
	after, err := f.server.cpu()
	if err != nil {
		return p, nil, err
	}
	if _, p.Peak, err = f.server.memory(); err != nil {
		return p, nil, err
	}
	counted, err := f.proxies.ask(command{Op: "count"})
	if err != nil {
		return p, nil, err
	}
	p.Seconds, p.CPU = time.Duration(to-from).Seconds(), after-before
	p.Bytes, p.Wire = float64(counted.Bytes)/f.count, float64(counted.Wire)/f.count
	return p, counted.Messages, nil
}

// connect lets all proxies connect.
func (f *served) connect() (int64, error) {
	r, err := f.proxies.ask(command{Op: "connect"})
	if err != nil {
		return 0, err
	}
	return r.At, nil
}

// change changes a rule.
func (f *served) change(number int) (int64, error) {
	r, err := f.server.ask(command{Op: "change", Number: number})
	if err != nil {
		return 0, err
	}
	return r.At, nil
}

// comeBack lets all proxies come back.
func (f *served) comeBack() (p phase, err error) {
	if _, err := f.proxies.ask(command{Op: "disconnect"}); err != nil {
		return p, err
	}
	if _, err := f.server.ask(command{Op: "synced", Number: map[bool]int{true: 0, false: -1}[f.kind == waymark]}); err != nil {
		return p, err
	}
	p, _, err = f.during(func() (int64, error) {
		at, err := f.connect()
		time.Sleep(3 * rest) // proxies have everything already: what is sent all the same must have come
		return at, err
	})
	return p, err
}

// profiled writes a profile of what the server does meanwhile.
func (f *served) profiled(o *options, name string, do func() error) error {
	if o.profile == "" || f.kind != o.servers[0] {
		return do()
	}
	file := filepath.Join(o.profile, f.row.Matching+"-"+name)
	if _, err := f.server.ask(command{Op: "profile", File: file + ".cpu"}); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if _, err := f.server.ask(command{Op: "profile"}); err != nil {
		return err
	}
	_, err := f.server.ask(command{Op: "heap", File: file + ".heap"})
	return err
}

// fleets measures all servers, for each way to match.
func fleets(o *options) (*fleetTable, error) {
	t := &fleetTable{machine: newMachine(), Proxies: o.proxies, Rules: o.rules, Hosts: o.hosts, Rounds: o.rounds}
	for _, matching := range o.matchings {
		rows, err := fleetsOf(o, matching)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", matching, err)
		}
		t.Rows = append(t.Rows, rows...)
	}
	t.goals()
	for _, line := range t.Missed {
		fmt.Println("missed: " + line)
	}
	return t, nil
}

// fleetsOf measures one server after the other: two fleets at a time would need the memory of many machines.
func fleetsOf(o *options, matching string) (rows []*fleetRow, err error) {
	book, err := newRulebook(o.rules, o.hosts)
	if err != nil {
		return nil, err
	}
	_, first, err := build(book.input(), envoy.Matching(matching))
	if err != nil {
		return nil, err
	}
	states := []*envoy.Resources{first} // before and after each change
	var translations []float64
	for number := 1; number <= o.rounds; number++ {
		next, took, err := changed(book, number, matching)
		if err != nil {
			return nil, err
		}
		states, translations = append(states, next), append(translations, took)
	}
	for _, kind := range o.servers {
		row, err := fleetOf(o, kind, matching, states)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		row.Translation = rounded(median(translations))
		fmt.Printf("%+v\n", *row)
		rows = append(rows, row)
	}
	return rows, nil
}

func fleetOf(o *options, kind, matching string, states []*envoy.Resources) (_ *fleetRow, err error) {
	first, err := sumsOf(states[0])
	if err != nil {
		return nil, err
	}
	f, err := launch(o, kind, matching, first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.end()) }()
	var p phase
	if err := f.profiled(o, "first", func() error { p, _, err = f.during(f.connect); return err }); err != nil {
		return nil, err
	}
	f.row.First = medians([]phase{p})
	if err := f.profiled(o, "change", func() error {
		for number := 1; number < len(states); number++ {
			if err := f.changeTo(states[number-1], states[number], number); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	f.row.Change = medians(f.phases)
	if err := f.profiled(o, "return", func() error { p, err = f.comeBack(); return err }); err != nil {
		return nil, err
	}
	f.row.Return = medians([]phase{p})
	f.row.Memory, f.row.Heap, err = f.kept()
	return f.row, err
}

// changed changes a rule of the book, and says how much processor time making the resources took.
func changed(book *rulebook, number int, matching string) (*envoy.Resources, float64, error) {
	if err := book.change(number%len(book.moved), number); err != nil {
		return nil, 0, err
	}
	before := own()
	_, next, err := build(book.input(), envoy.Matching(matching))
	return next, own() - before, err
}

// own is the processor time of this process, in seconds.
func own() float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0 // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// changeTo changes a rule and measures until all proxies have it.
func (f *served) changeTo(now, next *envoy.Resources, number int) error {
	want, err := sumsOf(next)
	if f.kind == waymark {
		want, err = keptBy(now, next)
	}
	if err != nil {
		return err
	}
	if err := f.expect(want); err != nil {
		return err
	}
	p, messages, err := f.during(func() (int64, error) { return f.change(number) })
	if err != nil {
		return err
	}
	if messages[envoy.HostType.Short()] == 0 {
		return errors.New("a rule was changed, and no virtual host was sent")
	}
	f.phases = append(f.phases, p)
	return nil
}

// kept is the memory of the server, and what is alive in it, in MiB.
func (f *served) kept() (memory, heap float64, err error) {
	r, err := f.server.ask(command{Op: "heap"})
	if err != nil {
		return 0, 0, err
	}
	memory, _, err = f.server.memory()
	return rounded(memory), rounded(float64(r.Heap) / (1 << 20)), err
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// medians are those of each figure.
func medians(all []phase) (out phase) {
	for _, of := range []func(*phase) *float64{
		func(p *phase) *float64 { return &p.Seconds }, func(p *phase) *float64 { return &p.CPU }, func(p *phase) *float64 { return &p.Bytes },
		func(p *phase) *float64 { return &p.Wire }, func(p *phase) *float64 { return &p.Peak },
	} {
		var values []float64
		for i := range all {
			values = append(values, *of(&all[i]))
		}
		*of(&out) = rounded(median(values))
	}
	return out
}

// endpointChanges come in a minute, evenly.
const (
	endpointChanges = 10000
	endpointSeconds = 60
)

// endpoints changes endpoints for a minute, of one server after the other.
func endpoints(o *options) (*endpointTable, error) {
	t := &endpointTable{machine: newMachine(), Proxies: o.proxies, Changes: endpointChanges, Duration: endpointSeconds}
	for _, kind := range o.servers {
		row, err := endpointsOf(o, kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		fmt.Printf("%+v\n", *row)
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

func endpointsOf(o *options, kind string) (row *endpointRow, err error) {
	matching := o.matchings[0]
	book, err := newRulebook(o.rules, o.hosts)
	if err != nil {
		return nil, err
	}
	want := func() (sums, error) {
		_, r, err := build(book.input(), envoy.Matching(matching))
		if err != nil {
			return nil, err
		}
		return sumsOf(r)
	}
	first, err := want()
	if err != nil {
		return nil, err
	}
	f, err := launch(o, kind, matching, first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.end()) }()
	if _, _, err := f.during(f.connect); err != nil {
		return nil, err
	}
	for i := range endpointChanges {
		if err := book.move(i % o.hosts); err != nil {
			return nil, err
		}
	}
	last, err := want()
	if err != nil {
		return nil, err
	}
	if err := f.expect(last); err != nil {
		return nil, err
	}
	var p phase
	var messages map[string]int64
	err = f.profiled(o, "endpoints", func() error {
		p, messages, err = f.during(func() (int64, error) {
			_, err := f.server.ask(command{Op: "endpoints", Number: endpointChanges, Seconds: endpointSeconds})
			return time.Now().UnixNano(), err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	row = &endpointRow{Server: kind, Lag: rounded(max(p.Seconds, 0)), CPU: rounded(p.CPU), Bytes: rounded(p.Bytes), Peak: rounded(p.Peak), Messages: map[string]float64{}}
	for t, n := range messages {
		if t != envoy.EndpointType.Short() && n > 0 {
			return nil, fmt.Errorf("endpoints were changed, and %d responses of %s were sent", n, t)
		}
		row.Messages[t] = rounded(float64(n) / f.count)
	}
	return row, nil
}

// The fleet whose memory is watched is small, so that a thousand changes are done in minutes: what leaks, leaks there, too.
const (
	memoryProxies = 100
	memoryRules   = 1000
	memoryHosts   = 100
	memoryLaps    = 100
	memoryChanges = 10 // in a lap, after which all proxies come back once
)

// memory watches that of Waymark through a thousand changes and ten thousand reconnections.
func memory(o *options) (t *memoryTable, err error) {
	small := *o
	small.proxies, small.rules, small.hosts = memoryProxies, memoryRules, memoryHosts
	t = &memoryTable{machine: newMachine(), Proxies: memoryProxies, Rules: memoryRules}
	matching := envoy.Matching(o.matchings[0])
	book, err := newRulebook(memoryRules, memoryHosts)
	if err != nil {
		return nil, err
	}
	_, now, err := build(book.input(), matching)
	if err != nil {
		return nil, err
	}
	first, err := sumsOf(now)
	if err != nil {
		return nil, err
	}
	f, err := launch(&small, waymark, string(matching), first)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.end()) }()
	if _, _, err := f.during(f.connect); err != nil {
		return nil, err
	}
	number := 0
	for lap := 1; lap <= memoryLaps; lap++ {
		for range memoryChanges - 1 { // the last one of a lap is waited for
			number++
			if now, _, err = changed(book, number, string(matching)); err != nil {
				return nil, err
			}
			if _, err = f.change(number); err != nil {
				return nil, err
			}
		}
		if _, err := f.server.ask(command{Op: "synced", Number: memoryProxies}); err != nil {
			return nil, err
		}
		number++
		next, _, err := changed(book, number, string(matching))
		if err != nil {
			return nil, err
		}
		if err := f.changeTo(now, next, number); err != nil {
			return nil, err
		}
		now = next
		if _, err := f.comeBack(); err != nil {
			return nil, err
		}
		if lap == memoryLaps/10 || lap == memoryLaps/2 || lap == memoryLaps {
			row := &memoryRow{Changes: number, Returns: lap * memoryProxies}
			if row.Memory, row.Heap, err = f.kept(); err != nil {
				return nil, err
			}
			fmt.Printf("%+v\n", *row)
			t.Rows = append(t.Rows, row)
		}
	}
	return t, nil
}
