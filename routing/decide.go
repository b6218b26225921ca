package routing

// Dice are the random numbers that one decision may use, each uniform over the 32 bits and independent of the others.
// The caller throws them, once per request.
type Dice struct{ Split, Delay, Abort uint32 }

// Decision is the answer for one request: a plain value.
type Decision struct {
	// VirtualHost and Rule are indexes into the configuration, or -1: no virtual host has the request's domain, or none
	// of the virtual host's rules matched.
	VirtualHost, Rule int
	// Exhausted says that matching was given up, since expressions would have taken more than [MaxWork] steps for this
	// request. No rule is taken then: one that stands before those that were looked at could match.
	Exhausted bool
	// Share is the index of the destination in the rule's split; 0 for a rule without one.
	Share int
	// Outcome is the id of the outcome, or "" when no rule matched: the request has no route and gets a 404.
	Outcome string
	// Delay in milliseconds before the request goes on; 0 is none.
	Delay uint32
	// AbortHTTP is the status to answer with instead of the destination; 0 is none.
	AbortHTTP uint32
	// AbortGRPC is the gRPC status to answer with, when HasAbortGRPC.
	AbortGRPC    uint32
	HasAbortGRPC bool
}

// Decide finds the first rule that matches, throws the dice and returns what was decided. It allocates nothing.
//
// It fails closed: a request without authority, or whose host or path no rule takes, or for which expressions would take
// too many steps, has no outcome.
func (t *Table) Decide(r *Request, dice Dice) (d Decision) {
	d.VirtualHost, d.Rule = -1, -1
	t.DecideInto(&d, r, dice)
	return d
}

// DecideUnbounded is [Table.Decide] for what decides without the filter: expressions may take any number of steps.
func (t *Table) DecideUnbounded(r *Request, dice Dice) Decision {
	r.machine.unbounded = true
	defer func() { r.machine.unbounded = false }()
	return t.Decide(r, dice)
}

// DecideInto is [Table.Decide] into a decision for no virtual host and no rule, which is what it stays when there is none:
// compiled to Wasm, handing a struct of this size over costs as much as finding the rule.
func (t *Table) DecideInto(d *Decision, r *Request, dice Dice) {
	if !r.HasAuthority {
		return
	}
	d.VirtualHost = int(r.host(t))
	if d.VirtualHost < 0 || !r.HasPath {
		return
	}
	h := t.virtualHosts.at(int32(d.VirtualHost))
	r.begin(t)
	if h.headers {
		r.collectHeaders(t)
	}
	if h.query {
		r.collectQuery(t)
	}
	none := h.first + h.count
	r.path, r.best = pathOnly(r.Path), none
	r.machine.spent = 0
	t.search(r, h.root)
	if r.machine.isExhausted() {
		d.Exhausted = true
		return
	}
	if r.best == none {
		return
	}
	u := t.rules.at(r.best)
	d.Rule, d.Outcome = int(r.best-h.first), t.texts.of(u.outcome)
	if u.extra >= 0 {
		x := t.extras.at(u.extra)
		if x.split.from < x.split.to {
			number, id := x.split.pick(&t.shares, dice.Split)
			d.Share, d.Outcome = number, t.texts.of(id)
		}
		x.fault.strike(d, dice)
	}
}
