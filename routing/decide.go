package routing

// Dice are the random numbers that one decision may use, each uniform over 32 bits and independent of the others. The
// caller draws them, once per request.
type Dice struct{ Split, Delay, Abort uint32 }

// Decision is the answer for one request: a plain value.
type Decision struct {
	// VirtualHost is an index into the configuration, or -1 when no virtual host has a domain that matches the
	// authority. Rule is an index into the rules of the virtual host, or -1 when none of them matched.
	VirtualHost, Rule int
	// Exhausted is set when matching was given up, because expressions would have taken more than [MaxWork] steps for
	// this request. No rule is chosen then: a rule that was not tried could match and come before those that were.
	Exhausted bool
	// Share is the index of the destination in the rule's split; 0 for a rule without a split.
	Share int
	// Outcome is the id of the outcome, or "" when no rule matched: the request has no route and gets a 404.
	Outcome string
	// Delay is how long the request is held back, in milliseconds; 0 is no delay.
	Delay uint32
	// AbortHTTP is the HTTP status that answers the request instead of the destination; 0 is no abort.
	AbortHTTP uint32
	// AbortGRPC is the gRPC status that answers the request instead of the destination, if HasAbortGRPC is set.
	AbortGRPC    uint32
	HasAbortGRPC bool
}

// Decide finds the first rule that matches, applies the dice to its split and its fault, and returns the decision. It
// allocates nothing.
//
// It fails closed: there is no outcome for a request without authority or path, for one that no virtual host or no rule
// matches, and for one for which expressions would take too many steps.
func (t *Table) Decide(r *Request, dice Dice) (d Decision) {
	d.VirtualHost, d.Rule = -1, -1
	t.DecideInto(&d, r, dice)
	return d
}

// DecideUnbounded is [Table.Decide] without the limit [MaxWork]: expressions may take any number of steps. It is for
// offline decisions, never for the filter.
func (t *Table) DecideUnbounded(r *Request, dice Dice) Decision {
	r.machine.unbounded = true
	defer func() { r.machine.unbounded = false }()
	return t.Decide(r, dice)
}

// DecideInto is [Table.Decide] with the decision as an argument: compiled to Wasm, returning a struct of this size
// costs as much as finding the rule. d must be zero but for VirtualHost and Rule, which must be -1; fields that do not
// apply keep their values.
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
