package xds

import (
	"slices"
	"time"

	"waymark.dev/waymark/envoy"
)

// proxy is one Envoy on one stream: what it has, what it was sent, and what it gets next. It has no locks and no clock, and
// it sends nothing itself: [proxy.out] is what is to be sent.
//
// Its position among the stages of the target only ever moves on when everything that was sent for a stage has been
// acknowledged. A resource that it refuses ends the change for it; it stays where it is, which is a state that works.
type proxy struct {
	id    string
	group *group
	delta bool
	now   func() time.Time

	subs [len(types)]subscription
	// basis are the routes and virtual hosts for which the plugin configurations in force were made: a worker may choose
	// any outcome of them.
	basis [2]*collection
	// chosenFor are the plugin configurations that were acknowledged since the plan was made, while others were not.
	chosenFor []string

	target *target
	stages []stage
	at     int
	// Workers have what was acknowledged: plugin configurations at chosen, these and routes and listeners at settled.
	chosen, settled time.Time

	newRoutes []string // subscribed to, and not acknowledged yet

	begun    bool // it knows what the proxy has
	fresh    bool // the proxy had nothing
	refusals []*refusal
	nonces   uint64
	out      []*message
}

// refusal is a response that a proxy refused.
type refusal struct {
	message *message
	text    string
	at      time.Time
}

// share makes a message the answer to a subscription, which is encoded once for all proxies that subscribe to the same.
func (p *proxy) share(m *message, all bool, names *nameSet) {
	b := bodyTo(nil, p.subs[m.kind].offer, all, names, false)
	m.set, m.body = b.set, b.bytes
}

// namesIn is the set of some names of a subscription.
func (p *proxy) namesIn(subscribed *nameSet, names []string) *nameSet {
	if len(subscribed.list()) == len(names) {
		return subscribed // all of it are new
	}
	return p.group.pool.set(nil, names, nil)
}

// answered takes the acknowledgement or the refusal of a response.
func (p *proxy) answered(r *request) {
	s := &p.subs[r.kind]
	i := slices.IndexFunc(s.outstanding, func(m *message) bool { return m.nonce == r.nonce })
	if i < 0 {
		return
	}
	m := s.outstanding[i]
	s.outstanding = slices.Delete(s.outstanding, i, i+1)
	p.group.answered(m, p.now(), r.refused != "")
	if r.refused != "" {
		for _, e := range m.set {
			s.put(e.name, "")
		}
		for _, name := range m.removed {
			s.put(name, "")
		}
		if alone(m.kind) && len(m.set) > 1 && !s.single {
			s.single = true // one of them is wrong, and the others need not wait for it
			return
		}
		if refused := (&refusal{m, r.refused, p.now()}); m.target == p.target || p.repeats(refused) { // else there is a newer target
			p.refusals = append(p.refusals, refused)
		}
		return
	}
	if m.kind == plugins {
		p.chosen = p.now().Add(settling)
		for _, e := range m.set {
			p.chosenFor = append(p.chosenFor, e.name)
		}
	}
	if m.kind != endpoints && m.kind != secrets && m.kind != clusters {
		p.settled = p.now().Add(settling)
	}
	if m.kind == routes {
		defer p.sendHosts(m.set)
	}
	if m.to != nil {
		s.come(m)
		return
	}
	for _, e := range m.set {
		if s.base.get(e.name) == e {
			delete(s.over, e.name)
		} else {
			s.put(e.name, e.version)
		}
	}
	for _, name := range m.removed {
		if s.base.get(name) == nil {
			delete(s.over, name)
		} else {
			s.put(name, absent)
		}
	}
}

// begin ends the time in which a proxy says what it has.
func (p *proxy) begin() {
	if p.begun {
		return
	}
	p.begun = true
	p.retarget()
}

// retarget looks what the group is to have now.
func (p *proxy) retarget() {
	if !p.begun {
		return
	}
	if t := p.group.targetOf(p); t != p.target && !p.inDoubt() {
		if p.target != nil { // some filters may choose by it, if others have refused it
			p.basis = p.group.compose(p.basis, p.target.view.routing(), p.chosenFor)
		}
		p.chosenFor = nil
		p.target = t
		p.replan()
	}
	p.advance()
}

// inDoubt: a plugin configuration was sent, and it is not known whether all workers have it. The next change waits until it
// is: else the routes would have to keep the outcomes of ever more changes.
func (p *proxy) inDoubt() bool {
	return len(p.subs[plugins].outstanding) > 0 && p.target != nil || p.now().Before(p.chosen)
}

// replan begins with what the proxy has.
func (p *proxy) replan() {
	if p.target == nil {
		return
	}
	p.at = 0
	for kind := range p.subs {
		p.subs[kind].single = false
	}
	p.refusals = slices.DeleteFunc(p.refusals, func(r *refusal) bool { return !p.repeats(r) || p.forgoes(r) })
	if p.basis == [2]*collection{} {
		p.basis = p.group.basisOf(p)
	}
	var begin view
	for kind := range begin {
		begin[kind] = p.subs[kind].base
	}
	if p.basis != p.target.view.routing() {
		begin[routes], begin[hosts] = p.basis[0], p.basis[1]
	}
	stages, err := p.target.from(begin, p.group.pool)
	if err != nil {
		p.group.failed(err)
		return
	}
	p.stages = stages
}

// repeats: the proxy is still to have everything that was refused.
func (p *proxy) repeats(r *refusal) bool {
	kind := r.message.kind
	c := p.target.view[kind]
	if kind == endpoints {
		c = p.group.latestEndpoints()
	}
	return len(r.message.set) > 0 && !slices.ContainsFunc(r.message.set, func(e *entry) bool {
		now := c.get(e.name)
		return now == nil || now.version != e.version
	})
}

// forgoes drops the refusals of endpoints whose clusters the target has not: they are not sent again, and hold up nothing.
func (p *proxy) forgoes(r *refusal) bool {
	if r.message.kind != endpoints || slices.ContainsFunc(r.message.set, func(e *entry) bool { return p.target.view[clusters].get(e.name) != nil }) {
		return false
	}
	for _, e := range r.message.set {
		p.subs[endpoints].put(e.name, e.version)
	}
	return true
}

// advance sends what the proxy may have next.
func (p *proxy) advance() {
	if !p.begun {
		return
	}
	p.advanceEndpoints()
	for ; p.target != nil && p.at < len(p.stages); p.at++ {
		s := &p.stages[p.at]
		if s.deferred {
			continue
		}
		if s.kind == envoy.Cleanup && len(p.refusals) == 0 && p.subs[listeners].active && p.listens() {
			p.group.took(p.target) // what is left only goes
		}
		if s.kind == envoy.Cleanup && p.differs(s) && (s.types[0] == listeners && !p.listens() || p.now().Before(p.settled)) {
			return
		}
		waiting := false
		for _, kind := range s.types {
			waiting = p.bring(kind, s) || waiting
		}
		if waiting {
			return
		}
		if s.kind == envoy.Plugins {
			if p.now().Before(p.chosen) {
				return
			}
			p.basis, p.chosenFor = p.target.view.routing(), nil
		}
	}
	if !p.complete() {
		return
	}
	p.fresh = false
	p.group.took(p.target)
	if p.group.targetOf(p) != p.target && !p.inDoubt() { // what had proven itself came first
		p.retarget()
	}
}

// complete: the proxy has acknowledged everything, and has subscribed to all that its listeners need. It acknowledges
// a listener before it asks for the routes of it.
func (p *proxy) complete() bool {
	if p.target == nil || p.at < len(p.stages) || len(p.refusals) > 0 || !p.subs[listeners].active {
		return false
	}
	for kind := range p.subs {
		if len(p.subs[kind].outstanding) > 0 {
			return false
		}
	}
	return p.listens()
}

// listens: the listeners of the target have what they need, so they are open, or about to be.
func (p *proxy) listens() bool {
	if len(p.newRoutes) > 0 || len(p.subs[routes].outstanding)+len(p.subs[hosts].outstanding)+len(p.subs[plugins].outstanding) > 0 {
		return false
	}
	for _, kind := range []int{routes, plugins} {
		if c := p.target.view[kind]; c != nil && slices.ContainsFunc(c.order, func(e *entry) bool { return !p.wants(kind, e.name) }) {
			return false
		}
	}
	return p.target.view[hosts] == nil || len(p.target.view[hosts].order) == 0 || p.subs[hosts].active
}

// settling is how long workers may take for what the main thread has acknowledged: it hands it to them at once, but a busy
// one takes a moment to come to it.
const settling = 250 * time.Millisecond

func (p *proxy) differs(s *stage) bool {
	return slices.ContainsFunc(s.types, func(kind int) bool { return p.subs[kind].active && p.subs[kind].base != s.view[kind] })
}

// bring sends what a proxy lacks of one type, and reports whether it has to be waited for.
func (p *proxy) bring(kind int, s *stage) (waiting bool) {
	sub, want := &p.subs[kind], s.view[kind]
	if want == nil {
		want = p.group.nothing(kind)
	}
	if len(sub.outstanding) > 0 {
		return true
	}
	sub.offer = want
	if !sub.active {
		sub.base = want
		return false
	}
	if sub.base == want && len(sub.over) == 0 {
		return false
	}
	m := p.lacking(kind, want, (s.kind == envoy.Cleanup || kind == hosts) && kind != routes && kind != plugins)
	if m == nil {
		if !sub.pending(want) {
			sub.base, sub.over = want, nil
		}
		return len(p.refusalsOf(kind)) > 0
	}
	m.stage = s.kind
	p.send(m)
	if kind == clusters {
		p.rewarm(m)
	}
	return true
}

// advanceEndpoints sends endpoints that have changed. They wait for nothing.
func (p *proxy) advanceEndpoints() {
	s := &p.subs[endpoints]
	want := p.group.latestEndpoints()
	if !s.active || want == nil || len(s.outstanding) > 0 {
		return
	}
	s.offer = want
	if s.base == want && len(s.over) == 0 {
		return
	}
	p.refusals = slices.DeleteFunc(p.refusals, func(r *refusal) bool { return r.message.kind == endpoints && !p.repeats(r) })
	m := p.lacking(endpoints, want, false)
	if m != nil {
		p.send(m)
	} else if !s.pending(want) {
		s.base, s.over, s.single = want, nil, false
	}
}
