package xds

import (
	"maps"
	"slices"
	"strconv"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"waymark.dev/waymark/envoy"
)

// message is a response and what it is about.
type message struct {
	kind  int
	nonce string
	body  []byte
	set   []*entry
	// to is what the proxy has when it acknowledges; nil: only what is in set and removed.
	to      *collection
	removed []string
	sent    time.Time
	stage   envoy.StepKind
	target  *target // of the proxy, then
}

func (p *proxy) refusalsOf(kind int) []*refusal {
	return slices.DeleteFunc(slices.Clone(p.refusals), func(r *refusal) bool { return r.message.kind != kind })
}

// lacking is what a proxy lacks of a collection, or nil. What it has refused is not sent again. Unless it may remove, what
// it has more stays.
func (p *proxy) lacking(kind int, want *collection, remove bool) *message {
	sub := &p.subs[kind]
	shared := bodyTo(sub.base, want, sub.all, p.namesOf(kind), !p.delta)
	c := shared.change
	private := len(sub.over) > 0
	if private {
		c = p.changeWithout(sub, want, c)
	}
	if !remove && len(c.removed) > 0 {
		c.removed, private = nil, true
	}
	if kind == hosts && slices.ContainsFunc(c.removed, p.drains) {
		c.removed, private = slices.DeleteFunc(slices.Clone(c.removed), p.drains), true
	}
	refused := p.refusalsOf(kind)
	for _, r := range refused {
		again := func(e *entry) bool { return slices.ContainsFunc(r.message.set, e.equal) }
		if alone(kind) {
			c.set, private = slices.DeleteFunc(slices.Clone(c.set), again), true
		} else if slices.ContainsFunc(c.set, again) {
			return nil
		}
	}
	if c.empty() && (sub.base != nil || len(sub.over) > 0 || !sub.all) { // one that waits for everything is told that this is nothing
		return nil
	}
	m := &message{kind: kind, set: c.set, removed: c.removed, to: want, body: shared.bytes}
	if sub.single || kind == plugins && len(c.set) > 1 {
		m.set, m.removed = p.one(kind, c)
		m.to, private = nil, true
	} else if len(refused) > 0 {
		m.to = nil
	}
	if private {
		m.body = nil
	}
	return m
}

// alone: of several resources of the type that are refused together, each is sent by itself, and those that are right are
// taken. Envoy takes those of other types by themselves (clusters, listeners), or gets one at a time.
func alone(kind int) bool { return kind == hosts || kind == endpoints }

// drains: a virtual host belongs to the routes of a listener that is gone, whose connections drain. Envoy unsubscribes when
// they have; route configurations and plugin configurations go with that, too, and are never removed.
func (p *proxy) drains(host string) bool {
	rc := envoy.RoutesOfHost(host)
	return p.target.view[routes].get(rc) == nil && p.subs[routes].names.has(rc)
}

func (e *entry) equal(other *entry) bool { return e.name == other.name && e.version == other.version }

// one is the part of a change that is sent by itself. A virtual host with other domains than before goes together with all
// such: a domain may stand in one virtual host only.
func (p *proxy) one(kind int, c change) ([]*entry, []string) {
	if kind != hosts {
		return c.set[:1], nil
	}
	var moved []*entry
	for _, e := range c.set {
		before := p.subs[kind].base.get(e.name)
		if before == nil || !slices.Equal(domains(before), domains(e)) {
			moved = append(moved, e)
		}
	}
	if len(moved)+len(c.removed) > 0 {
		return moved, c.removed
	}
	return c.set[:1], nil
}

func domains(e *entry) []string { return e.message.(*routev3.VirtualHost).Domains }

// changeWithout corrects a change between two collections by what the proxy has instead of the first.
func (p *proxy) changeWithout(sub *subscription, want *collection, c change) change {
	var out change
	for _, e := range c.set {
		if sub.has(e.name) != e.version {
			out.set = append(out.set, e)
		}
	}
	for _, name := range c.removed {
		if sub.has(name) != absent {
			out.removed = append(out.removed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sub.over)) {
		e, has := want.get(name), sub.over[name]
		switch {
		case e != nil && has != e.version && !slices.Contains(out.set, e):
			out.set = append(out.set, e)
		case e == nil && has != absent && !slices.Contains(out.removed, name):
			out.removed = append(out.removed, name)
		}
	}
	return out
}

// rewarm sends the endpoints of clusters that were sent: a cluster that changes waits for them again, though its name was
// subscribed to before.
func (p *proxy) rewarm(m *message) {
	s := &p.subs[endpoints]
	for _, e := range m.set {
		if p.wants(endpoints, e.name) {
			s.put(e.name, "")
		}
	}
	p.advanceEndpoints()
}

func (p *proxy) encode(m *message, c *collection) []byte {
	if p.delta {
		return encodeDelta(m.kind, m.set, m.removed)
	}
	set, version := m.set, c.version
	if allOrNothing(m.kind) {
		set = slices.DeleteFunc(slices.Clone(c.order), func(e *entry) bool { return !p.wants(m.kind, e.name) })
	} else if m.to == nil && p.subs[m.kind].base != c {
		version += "~" + m.nonce // a part of it; one that comes back with this version gets everything again
	}
	return encodeState(m.kind, version, set)
}

func (p *proxy) send(m *message) {
	p.nonces++
	m.target = p.target
	m.nonce, m.sent = strconv.FormatUint(p.nonces, 36), p.now()
	if m.body == nil {
		m.body = p.encode(m, p.subs[m.kind].offer)
	}
	p.subs[m.kind].outstanding = append(p.subs[m.kind].outstanding, m)
	p.out = append(p.out, m)
}
