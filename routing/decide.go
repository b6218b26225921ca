package routing

// Dice are the random numbers that one decision may use, each uniform over the 32 bits and independent of the others.
// The caller throws them, once per request.
type Dice struct{ Split, Delay, Abort uint32 }

// Decision is the answer for one request: a plain value.
type Decision struct {
	// VirtualHost and Rule are indexes into the configuration, or -1: no virtual host has the request's domain, or none
	// of the virtual host's rules matched.
	VirtualHost, Rule int
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
// It fails closed: a request without authority, or whose host or path no rule takes, has no outcome.
func (t *Table) Decide(r *Request, dice Dice) Decision {
	d := Decision{VirtualHost: -1, Rule: -1}
	if !r.HasAuthority {
		return d
	}
	d.VirtualHost = t.hosts.find(r.Authority)
	if d.VirtualHost < 0 {
		return d
	}
	rules := t.virtualHosts[d.VirtualHost].rules
	path := pathOnly(r.Path)
	for i := range rules {
		if rules[i].matches(t, r, path) {
			d.Rule = i
			d.Share, d.Outcome = rules[i].outcomes.pick(dice.Split)
			rules[i].fault.strike(&d, dice)
			return d
		}
	}
	return d
}

func (u *rule) matches(t *Table, r *Request, path string) bool {
	if u.never || !r.HasPath || !u.path.matches(path, &r.machine) {
		return false
	}
	for i := range u.headers {
		if !u.headers[i].matches(r, t.joined) {
			return false
		}
	}
	for i := range u.query {
		if !u.query[i].matches(r.Path, &r.machine) {
			return false
		}
	}
	return true
}
