package xds

import (
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
)

// target is what the proxies of a group are to have: everything but endpoints, which have no order.
type target struct {
	number atomic.Uint64 // see [Status.Number]
	view   view

	mu     sync.Mutex
	stages map[view][]stage // by what a proxy begins with
}

// stage is one step of a change. A proxy comes to the next one when it has acknowledged this one.
type stage struct {
	kind  envoy.StepKind
	types []int
	// view is what a proxy has after it.
	view view
	// deferred: it waits for the next change, see [envoy.Step.Unreachable].
	deferred bool
}

// order is that of [envoy.Sequence], with the types that each of its steps changes.
var order = []stage{
	{kind: envoy.Certificates, types: []int{secrets}},
	{kind: envoy.Clusters, types: []int{clusters}},
	{kind: envoy.Routes, types: []int{routes, hosts}},
	{kind: envoy.Plugins, types: []int{plugins}},
	{kind: envoy.Listeners, types: []int{listeners}},
	{kind: envoy.Cleanup, types: []int{listeners}},
	{kind: envoy.Cleanup, types: []int{routes, hosts, plugins}},
	{kind: envoy.Cleanup, types: []int{clusters, secrets}},
}

// stageOf is the first stage that changes a type.
func stageOf(kind int) int {
	return slices.IndexFunc(order, func(s stage) bool { return slices.Contains(s.types, kind) })
}

// from are the stages by which a proxy comes from a view to the target. They are worked out once for all proxies that begin
// with the same.
func (t *target) from(begin view, p *pool) ([]stage, error) {
	begin[endpoints] = nil
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.stages[begin]; ok {
		return s, nil
	}
	steps := envoy.Sequence(begin.resources(), t.view.resources())
	out := slices.Clone(order)
	now := begin
	for i := range out {
		s := &out[i]
		if len(steps) > 0 && steps[0].Kind == s.kind && touches(&steps[0], s.types) {
			var err error
			if now, err = now.after(&steps[0], &t.view, p); err != nil {
				return nil, err
			}
			s.deferred = steps[0].Unreachable
			steps = steps[1:]
		}
		s.view = now
	}
	if t.stages == nil {
		t.stages = map[view][]stage{}
	}
	t.stages[begin] = out
	return out, nil
}

func touches(s *envoy.Step, kinds []int) bool {
	is := func(t envoy.Type) bool { return slices.Contains(kinds, indexOf(string(t))) }
	return slices.ContainsFunc(s.Set, func(r envoy.Resource) bool { return is(r.Type) }) ||
		slices.ContainsFunc(s.Remove, func(k envoy.Key) bool { return is(k.Type) })
}

func (v *view) resources() *envoy.Resources {
	out := &envoy.Resources{}
	for kind, c := range v {
		if kind == endpoints {
			continue
		}
		for _, r := range c.resources() {
			out.Set(r.Message)
		}
	}
	return out
}

// after is the view after a step. Entries of the view and of the target are used again where they have the step's messages.
func (v view) after(s *envoy.Step, target *view, p *pool) (view, error) {
	for kind, t := range types {
		set := map[string]proto.Message{}
		var all []*entry
		for _, r := range s.Set {
			if r.Type != t {
				continue
			}
			e, err := entryFor(r, v[kind].get(r.Name), target[kind].get(r.Name))
			if err != nil {
				return v, err
			}
			set[r.Name] = r.Message
			all = append(all, e)
		}
		removed := map[string]bool{}
		for _, k := range s.Remove {
			if k.Type == t {
				removed[k.Name] = true
			}
		}
		if len(set)+len(removed) == 0 {
			continue
		}
		if v[kind] != nil && (!allOrNothing(kind) || len(set) == 0) {
			for _, e := range v[kind].order {
				if set[e.name] == nil && !removed[e.name] {
					all = append(all, e)
				}
			}
		}
		v[kind] = p.collect(kind, all)
	}
	return v, nil
}

func entryFor(r envoy.Resource, known ...*entry) (*entry, error) {
	for _, e := range known {
		if e != nil && e.message == r.Message {
			return e, nil
		}
	}
	return newEntry(r)
}
