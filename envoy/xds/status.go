package xds

import (
	"cmp"
	"slices"
	"time"

	"waymark.dev/waymark/envoy"
)

// Status is what is known of one proxy.
type Status struct {
	// ID and Cluster are those of its node.
	ID      string `json:"id"`
	Cluster string `json:"cluster,omitempty"`
	Group   Group  `json:"group"`
	// Connected is when its stream began.
	Connected time.Time `json:"connected"`
	// Number counts the configurations of the server; it is that which the proxy has, or comes to.
	Number uint64 `json:"number"`
	// InSync: the proxy has acknowledged all that it is to have; in a rollout, that is what was before for proxies that are not
	// in the wave yet.
	InSync bool `json:"inSync"`
	// Waiting is the step that the proxy has not acknowledged since Since; "" for none.
	Waiting envoy.StepKind `json:"waiting,omitempty"`
	Since   time.Time      `json:"since,omitzero"`
	// Refusals are what the proxy has refused and would refuse again. It serves what it had before.
	Refusals []Refusal `json:"refusals,omitempty"`
}

// Refusal is a response that an Envoy has refused.
type Refusal struct {
	Step envoy.StepKind `json:"step,omitempty"`
	Type envoy.Type     `json:"type"`
	// Names are the resources of the response; one of them is wrong, or more.
	Names []string  `json:"names"`
	At    time.Time `json:"at"`
	// Message is Envoy's.
	Message string `json:"message"`
}

// note makes the status of a proxy anew, and tells those who wait for a change.
func (s *session) note() {
	p := s.proxy
	now := Status{
		ID: s.proxy.id, Cluster: s.cluster, Group: p.group.Group, Connected: s.connected,
		InSync: p.inSync(),
	}
	if p.target != nil {
		now.Number = p.target.number.Load()
	}
	for _, sub := range p.subs {
		for _, m := range sub.outstanding {
			if now.Since.IsZero() || m.sent.Before(now.Since) {
				now.Waiting, now.Since = m.stage, m.sent
			}
		}
	}
	for _, r := range p.refusals {
		out := Refusal{Step: r.message.stage, Type: types[r.message.kind], At: r.at, Message: r.text}
		for _, e := range r.message.set {
			out.Names = append(out.Names, e.name)
		}
		now.Refusals = append(now.Refusals, out)
	}
	before := s.status.Swap(&now)
	if before == nil || before.InSync != now.InSync || before.Number != now.Number || len(before.Refusals) != len(now.Refusals) {
		p.group.server.broadcast()
	}
}

// inSync: the proxy has what it is to have.
func (p *proxy) inSync() bool { return p.complete() && p.group.targetOf(p) == p.target }

// Status is what is known of all proxies that are connected, in the order of their names.
func (s *Server) Status() []Status {
	var out []Status
	for _, g := range s.all() {
		g.mu.Lock()
		for p := range g.proxies {
			if st := p.status.Load(); st != nil {
				out = append(out, *st)
			}
		}
		g.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Or(cmp.Compare(a.ID, b.ID), a.Connected.Compare(b.Connected)) })
	return out
}

// Changed is closed at the next change of what [Server.Status] returns, but for endpoints.
func (s *Server) Changed() <-chan struct{} {
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *Server) broadcast() {
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
