package xds

import (
	"maps"
	"slices"
	"strconv"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

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

// subscription is what a proxy has asked for of one type, and what it has.
type subscription struct {
	active bool
	all    bool
	names  *nameSet
	// base is what the proxy has, of what it has subscribed to, but for the names in over.
	base *collection
	over map[string]string // versions; "" is not known, absent is nothing
	// offer is what a new subscription is answered from: what stages have come to.
	offer       *collection
	outstanding []*message
	single      bool // each resource goes by itself, to find the one that is refused
}

// absent is the version of a resource that a proxy has not.
const absent = "-"

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

// refusal is a response that a proxy refused.
type refusal struct {
	message *message
	text    string
	at      time.Time
}

// request is what an Envoy sends, in either protocol.
type request struct {
	kind        int
	subscribe   []string
	unsubscribe []string
	whole       bool              // subscribe is all that is subscribed to
	initial     map[string]string // versions that the proxy has, at the beginning of a stream
	version     string            // of the collection that it has, where the protocol has only that
	nonce       string            // of the response that is acknowledged or refused; "" for none
	refused     string            // why; "" is acknowledged
}

// wildcard in a subscription is everything.
const wildcard = "*"

// has is the version that a proxy has; absent for none.
func (s *subscription) has(name string) string {
	if v, ok := s.over[name]; ok {
		return v
	}
	if e := s.base.get(name); e != nil {
		return e.version
	}
	return absent
}

func (s *subscription) put(name, version string) {
	if s.over == nil {
		s.over = map[string]string{}
	}
	s.over[name] = version
}

// receive takes a request.
func (p *proxy) receive(r *request) {
	s := &p.subs[r.kind]
	if r.nonce != "" {
		p.answered(r)
	}
	first := !s.active
	if first {
		s.active = true
		s.all = len(r.subscribe) == 0 && (r.kind == clusters || r.kind == listeners || r.kind == hosts)
		p.report(r)
	}
	var added []string
	if r.whole {
		for _, name := range r.subscribe {
			if !s.names.has(name) {
				added = append(added, name)
			}
		}
		s.names = p.group.pool.set(nil, r.subscribe, nil)
	} else {
		added = r.subscribe
		s.names = p.group.pool.set(s.names, r.subscribe, r.unsubscribe)
	}
	if s.names.has(wildcard) {
		s.all = true
	} else if slices.Contains(r.unsubscribe, wildcard) {
		s.all = false
	}
	for _, name := range r.unsubscribe {
		delete(s.over, name)
	}
	if p.begun {
		p.subscribed(r, added, first)
	}
	p.retarget()
}

// report notes what a proxy has at the beginning of a stream.
func (p *proxy) report(r *request) {
	s := &p.subs[r.kind]
	switch {
	case p.delta && len(r.initial) > 0:
		var known bool
		if s.base, known = p.group.closest(r.kind, r.initial); !known {
			p.group.recall()
			s.base, _ = p.group.closest(r.kind, r.initial)
		}
		for name, version := range r.initial {
			if s.has(name) != version {
				s.put(name, version)
			}
		}
		if s.base != nil {
			for _, e := range s.base.order {
				if _, ok := r.initial[e.name]; !ok && (s.all || slices.Contains(r.subscribe, e.name)) {
					s.put(e.name, absent)
				}
			}
		}
	case !p.delta && r.version != "":
		if s.base = p.group.byVersion(r.kind, r.version); s.base == nil && r.kind != endpoints {
			p.group.recall()
			s.base = p.group.byVersion(r.kind, r.version)
		}
		if s.base == nil && r.kind == clusters { // it has some of them: none goes before the last step
			s.base = p.group.everyCluster()
			for _, e := range s.base.order {
				s.put(e.name, "")
			}
		}
	default:
		return
	}
	p.fresh = false
	s.offer = s.base
}

// subscribed answers names that are new in a subscription with what stages have come to. What they have not come to yet is
// sent with its stage.
func (p *proxy) subscribed(r *request, added []string, first bool) {
	s := &p.subs[r.kind]
	reported := first && (len(r.initial) > 0 || r.version != "")
	switch {
	case reported: // late: what it has may be old
		if i := stageOf(r.kind); i >= 0 && i < p.at {
			p.replan()
		}
		return
	case s.offer == nil || first && s.all && r.kind != endpoints && p.at <= stageOf(r.kind):
		return
	}
	if first && s.all {
		p.sendAll(r.kind)
		return
	}
	m := &message{kind: r.kind}
	unknown := false
	for _, name := range added {
		if e := s.offer.get(name); e != nil {
			m.set = append(m.set, e)
		} else if name != wildcard && r.kind == endpoints { // a cluster of before a restart: it waits for its endpoints
			m.set, unknown = append(m.set, noEndpoints(name)), true
		}
	}
	if r.kind == routes {
		p.newRoutes = append(p.newRoutes, added...)
	}
	if s.lacksOnly(added) {
		m.to = s.offer
	}
	if p.delta && r.kind != hosts && !unknown {
		p.share(m, false, p.namesIn(s.names, added))
	}
	if len(m.set) > 0 {
		p.send(m)
	}
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

// lacksOnly: with these names, the proxy has all that is offered of what it has subscribed to.
func (s *subscription) lacksOnly(names []string) bool {
	return len(s.outstanding) == 0 && !slices.ContainsFunc(s.names.list(), func(name string) bool {
		e := s.offer.get(name)
		return e != nil && s.has(name) != e.version && !slices.Contains(names, name)
	})
}

func noEndpoints(cluster string) *entry {
	none := &endpointv3.ClusterLoadAssignment{ClusterName: cluster}
	e, err := newEntry(envoy.Resource{Key: envoy.KeyOf(none), Message: none})
	if err != nil {
		panic("xds: " + err.Error()) // a message without any content
	}
	return e
}

// sendAll sends all that a wildcard stands for, of what stages have come to.
func (p *proxy) sendAll(kind int) {
	s := &p.subs[kind]
	m := &message{kind: kind}
	if p.delta {
		p.share(m, true, p.namesOf(kind))
	} else {
		m.set = slices.DeleteFunc(slices.Clone(s.offer.order), func(e *entry) bool { return !p.wants(kind, e.name) })
	}
	if len(s.outstanding) == 0 {
		m.to = s.offer
	}
	if kind == hosts {
		p.newRoutes = nil
	}
	p.send(m)
}

// sendHosts sends the virtual hosts of route configurations that were new, once the proxy has these: before, it does not
// know what to do with them, and it asks for virtual hosts only once.
func (p *proxy) sendHosts(have []*entry) {
	s := &p.subs[hosts]
	m := &message{kind: hosts}
	for _, rc := range have {
		i := slices.Index(p.newRoutes, rc.name)
		if i < 0 {
			continue
		}
		p.newRoutes = slices.Delete(p.newRoutes, i, i+1)
		if !s.active || s.offer == nil {
			continue
		}
		for _, e := range s.offer.order {
			if envoy.RoutesOfHost(e.name) == rc.name {
				m.set = append(m.set, e)
			}
		}
	}
	if len(m.set) > 0 {
		p.send(m)
	}
}

// wants: the proxy has subscribed to a resource. Virtual hosts go with their route configurations.
func (p *proxy) wants(kind int, name string) bool {
	s := &p.subs[kind]
	return s.active && wanted(kind, s.all, p.namesOf(kind), name)
}

func wanted(kind int, all bool, names *nameSet, name string) bool {
	if kind == hosts {
		return names.has(envoy.RoutesOfHost(name))
	}
	return all || names.has(name)
}

// namesOf are the names that a subscription is filtered by.
func (p *proxy) namesOf(kind int) *nameSet {
	if kind == hosts {
		kind = routes
	}
	return p.subs[kind].names
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

// come notes that the proxy has a collection now, and what it had more that was not removed.
func (s *subscription) come(m *message) {
	var over map[string]string
	if m.kind != endpoints { // those of clusters that are gone go with them
		more := func(name, version string) {
			if m.to.get(name) != nil || version == absent || slices.Contains(m.removed, name) {
				return
			}
			if over == nil {
				over = map[string]string{}
			}
			over[name] = version
		}
		for name, version := range s.over {
			more(name, version)
		}
		if s.base != nil {
			for _, e := range s.base.order {
				if _, known := s.over[e.name]; !known {
					more(e.name, e.version)
				}
			}
		}
	}
	s.base, s.over = m.to, over
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

// pending: something that the proxy has is not what it is to have, although there is nothing to send.
func (s *subscription) pending(want *collection) bool {
	for name, v := range s.over {
		if e := want.get(name); e == nil && v != absent || e != nil && v != e.version {
			return true
		}
	}
	return false
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
