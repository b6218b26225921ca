package routing

// Work is what a decision did.
type Work struct{ Keys, Probes, Buckets, Rules, Conditions, Bytes int }

// Work is what the last decision with the request did.
func (r *Request) Work() Work {
	w := &r.machine.work
	return Work{w.keys, w.probes, w.buckets, w.rules, w.conditions, w.bytes}
}

// Steps are all of it in one number: everything costs about the same, and a byte never more than a key.
func (w Work) Steps() int { return w.Keys + w.Probes + w.Buckets + w.Rules + w.Conditions + w.Bytes }
