package verdict

import (
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// Taken is what took a request, for a caller that asks more than a [Verdict] answers.
type Taken struct {
	// Host is the virtual host that has the request's host; nil where none has, or the request did not get so far.
	Host *plan.VirtualHost
	// Rule is the rule of it that took the request; nil where none did.
	Rule *plan.Rule
	// Request is the request as the rules saw it: after [effect.Intake.Receive]. It is set if Host is.
	Request effect.Request
}

// Taken returns what took the request. It is the zero value of a verdict whose Kind is Differs.
func (v *Verdict) Taken() Taken { return Taken{v.host, v.rule, v.received} }
