package xds

import (
	"slices"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"waymark.dev/waymark/envoy"
)

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

// pending: something that the proxy has is not what it is to have, although there is nothing to send.
func (s *subscription) pending(want *collection) bool {
	for name, v := range s.over {
		if e := want.get(name); e == nil && v != absent || e != nil && v != e.version {
			return true
		}
	}
	return false
}
