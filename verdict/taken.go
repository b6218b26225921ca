package verdict

import (
	"net/http"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/routing"
)

// Taken is which rule takes a request, without what the rule does with it.
type Taken struct {
	// Received is the request as rules see it.
	Received effect.Request
	// Refused is set if the request is answered before any rule is tried.
	Refused bool
	// Host is the virtual host of the request, nil if there is none; Rule is the index of the rule in it, or -1.
	Host *plan.VirtualHost
	Rule int
}

// Take finds the rule that takes a request on a chain that speaks HTTP. It is [Judge.On] for those who ask about many
// requests.
func (j *Judge) Take(c *plan.FilterChain, r Request) Taken {
	in, refusal := j.intake.Receive(r.sent(c))
	if refusal != nil {
		return Taken{Received: in, Refused: true, Rule: -1}
	}
	host, d := j.find(c.Routes, in)
	if host != nil && untried(host, in) != tried {
		return Taken{in, true, host, -1}
	}
	return Taken{in, false, host, d.Rule}
}

// Intake is what the proxy does with a request before any rule is tried.
func (j *Judge) Intake() effect.Intake { return j.intake }

// Plan is the plan on which requests are decided.
func (j *Judge) Plan() *plan.Plan { return j.plan }

// find returns the virtual host of a received request, or nil, and the decision about it.
func (j *Judge) find(rc *plan.RouteConfig, in effect.Request) (*plan.VirtualHost, routing.Decision) {
	var request routing.Request
	in.Routing(&request)
	d := j.tables[rc].Decide(&request, routing.Dice{})
	if d.VirtualHost < 0 {
		return nil, d
	}
	host := rc.VirtualHosts[d.VirtualHost]
	if d.Exhausted && pluginconfig.TooCostly(host, j.intake.Behaviour()) != "" {
		d = j.tables[rc].DecideUnbounded(&request, routing.Dice{}) // Envoy's own list of routes decides, without a limit
	}
	return host, d
}

// reason is why rules are not tried for a request that has a virtual host.
type reason int

const (
	tried   reason = iota
	noPath         // CONNECT, which no rule matches
	upgrade        // to another protocol than WebSocket
	plain          // the virtual host redirects to https
)

func untried(host *plan.VirtualHost, in effect.Request) reason {
	switch {
	case in.Method == http.MethodConnect:
		return noPath
	case in.Upgrades() && !in.IsWebsocket() && len(host.Rules) > 0:
		return upgrade
	case host.RequireTLS && !in.Secure():
		return plain
	default:
		return tried
	}
}

// TCPRule is the rule in tcp[] or tls[] that forwards a connection; "" if none does.
func (v *Verdict) TCPRule() string {
	if v.tcp == nil {
		return ""
	}
	return v.tcp.Origin.String()
}

// Ref is the rule that took the request, as [plan.Rule.String] names it; "" if no rule did.
func (v *Verdict) Ref() string {
	if v.rule == nil {
		return ""
	}
	return v.rule.String()
}
