package verdict

import (
	"slices"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// Walk is how a listener came to its verdict on a request.
type Walk struct {
	Verdict  *Verdict
	Listener *plan.Listener
	// Chain is the filter chain that takes the connection, and Host the virtual host that has the request's host; nil
	// where there is none.
	Chain *plan.FilterChain
	Host  *plan.VirtualHost
	// Sent is the request as the client sends it, Received as the rules see it.
	Sent, Received effect.Request
	// Joined means that the values of a repeated header are compared as one, joined by commas.
	Joined bool
	// Exhausted means that the proxy gives up comparing, because expressions would take too many steps.
	Exhausted bool
	// Steps are the rules that the request was compared with, in order. There is none if the proxy answers before it
	// compares any, or gives up comparing.
	Steps []Step

	compared bool // rules decided
}

// Step is one comparison of the request with a rule. Unmet are the conditions that the request does not meet; without
// any, the rule takes the request.
type Step struct {
	Rule  *plan.Rule
	Unmet []routing.Unmet
}

// Rule is the rule that takes the request, or nil.
func (w *Walk) Rule() *plan.Rule { return w.Verdict.rule }

// TCP is what forwards the connection, if its bytes are not looked at; else nil.
func (w *Walk) TCP() *plan.TCPProxy { return w.Verdict.tcp }

// Walk decides a request on one listener of the plan, as [Judge.On] does, and records each step.
func (j *Judge) Walk(l *plan.Listener, r Request) *Walk {
	w := j.walk(l, r)
	if !w.compared {
		return w
	}
	var request routing.Request
	w.Received.Routing(&request)
	j.tables[w.Chain.Routes].Trace(&request, func(rule int, unmet []routing.Unmet) bool {
		w.Steps = append(w.Steps, Step{w.Host.Rules[rule], slices.Clone(unmet)})
		return true
	})
	return w
}

// walk is [Judge.Walk] without the rules.
func (j *Judge) walk(l *plan.Listener, r Request) *Walk {
	v := &Verdict{Name: r.Name, listener: l}
	w := &Walk{Verdict: v, Listener: l, Joined: j.intake.Behaviour().RepeatedHeadersJoined}
	chain, kind := findChain(l, r)
	if chain == nil {
		v.Kind = kind
		return w
	}
	w.Chain = chain
	if chain.Routes == nil {
		v.forward(chain.TCP)
		v.named = len(chain.ServerNames) > 0
		return w
	}
	w.Sent = r.sent(chain)
	v.RouteConfig = chain.Routes.Name
	var refusal *effect.Refusal
	w.Received, refusal = j.intake.Receive(w.Sent)
	if refusal != nil {
		v.refuse(refusal)
		return w
	}
	v.NormalizedPath = w.Received.Path
	j.decideHTTP(w)
	if v.Status != 0 && w.Received.IsGRPC() {
		v.GRPCStatus = effect.GRPCStatus(v.Status)
	}
	return w
}
