package suite

import (
	"iter"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// answer is what happens to a request of a test.
type answer struct {
	rules   *Rules
	request verdict.Request // that was decided
	verdict *verdict.Verdict
	taken   taken
}

// taken is what took a request: the virtual host and the rule, which are nil where there are none, and the request as the
// rules saw it.
type taken struct {
	Host    *plan.VirtualHost
	Rule    *plan.Rule
	Request effect.Request
}

// answer decides a request.
func (s *Rules) answer(q Request) *answer {
	a := &answer{rules: s}
	a.request, a.verdict = s.decide(q)
	if a.verdict.Kind != verdict.Differs {
		for w := range a.walks() {
			a.taken = taken{w.Host, w.Rule(), w.Received}
		}
	}
	return a
}

// walks are the ways to the verdict: one, or one for each of the listeners that differ; none where no listener has the host.
func (a *answer) walks() iter.Seq[*verdict.Walk] {
	return func(yield func(*verdict.Walk) bool) {
		all := []*verdict.Verdict{a.verdict}
		if a.verdict.Kind == verdict.Differs {
			all = a.verdict.Listeners
		}
		for _, v := range all {
			if l := v.Listener(); l != nil && !yield(a.rules.Judge.Walk(l, a.request)) {
				return
			}
		}
	}
}

// outcome says in a few words what happens to the request.
func (a *answer) outcome() string {
	v := a.verdict
	switch v.Kind {
	case verdict.Redirect, verdict.TLSRedirect, verdict.PathRedirect:
		return "redirect " + strconv.Itoa(v.Status) + " " + v.Location
	case verdict.DirectResponse:
		return "direct response " + strconv.Itoa(v.Status)
	case verdict.NoRoute:
		return "no rule (404)"
	default:
		return strings.ReplaceAll(string(v.Kind), "_", " ")
	}
}

// rule is the rule of a VirtualService that took the request, or "none".
func (a *answer) rule() string {
	if r := a.written(); r != nil {
		return r.String()
	}
	return noRule
}

// written is the rule that took the request; nil if none did, or one that Istio generates for services and unknown hosts.
func (a *answer) written() *plan.Rule {
	if r := a.taken.Rule; r != nil && isCounted(r) {
		return r
	}
	return nil
}

// noRule is the expected rule of a request that no rule takes.
const noRule = "none"

// status is the status with which the proxy itself answers; 0 if the destination answers.
func (a *answer) status() int {
	if r := a.taken.Rule; r != nil && r.Fault != nil && r.Fault.Abort != nil && !r.Fault.Abort.IsGRPC && r.Fault.Abort.Percentage.PerMillion() == 1_000_000 {
		return int(r.Fault.Abort.HTTPStatus)
	}
	return a.verdict.Status
}

// isRedirected reports whether the answer is a redirect.
func (a *answer) isRedirected() bool {
	switch a.verdict.Kind {
	case verdict.Redirect, verdict.TLSRedirect, verdict.PathRedirect:
		return true
	}
	return false
}

// each looks at the request that each destination gets: got is the first value that is not the expected one, else the
// value that all have.
func (a *answer) each(look func(*verdict.Cluster) (got any, is bool)) (got any, is bool) {
	if a.verdict.Kind != verdict.Route || len(a.verdict.Clusters) == 0 {
		return a.outcome(), false
	}
	for i := range a.verdict.Clusters {
		if got, is = look(&a.verdict.Clusters[i]); !is {
			return got, false
		}
	}
	return got, true
}

// response returns the headers that a client gets of a response with some headers, for each destination; -1 stands for an
// answer of the proxy.
func (a *answer) response(destination int, headers effect.Headers) effect.Headers {
	r := effect.Of(a.taken.Rule)
	request := a.taken.Request
	if destination >= 0 {
		request = r.Upstream(destination, request)
	}
	return r.Response(destination, request, headers)
}

// timeout is the timeout of the request; ok is false where it has no destination.
func (a *answer) timeout() (d time.Duration, ok bool) {
	if r := a.taken.Rule; r != nil && r.Route != nil {
		return r.Route.Timeout, true
	}
	return 0, false
}

// retries are the retries of a request.
type retries struct {
	Attempts      uint32  `json:"attempts"`
	PerTryTimeout *string `json:"perTryTimeout,omitempty"`
	On            *string `json:"on,omitempty"`
}

// retriesOf are those of a rule. A policy of a rule that does not send requests to a destination is none.
func retriesOf(r *plan.Rule) retries {
	if r == nil || r.Route == nil || r.Route.Retry == nil {
		return retries{}
	}
	p := r.Route.Retry
	try := p.PerTryTimeout.String()
	on := p.On
	for _, code := range p.StatusCodes {
		on += "," + strconv.Itoa(int(code))
	}
	return retries{p.Attempts, &try, &on}
}

// faultOf is the fault of a rule, in the words of the tests.
type faultOf struct {
	Abort *abort `json:"abort,omitempty"`
	Delay *delay `json:"delay,omitempty"`
}

type abort struct {
	Status     uint32  `json:"status,omitempty"`
	GRPCStatus *uint32 `json:"grpcStatus,omitempty"`
	Percent    float64 `json:"percent"`
}

type delay struct {
	Duration string  `json:"duration"`
	Percent  float64 `json:"percent"`
}

// fault is the fault of the rule that took the request; empty where there is none.
func (a *answer) fault() (out faultOf) {
	if a.taken.Rule == nil || a.taken.Rule.Fault == nil {
		return out
	}
	if f := a.taken.Rule.Fault.Abort; f != nil {
		out.Abort = &abort{Status: f.HTTPStatus, Percent: percentOf(f.Percentage)}
		if f.IsGRPC {
			out.Abort = &abort{GRPCStatus: &f.GRPCStatus, Percent: percentOf(f.Percentage)}
		}
	}
	if f := a.taken.Rule.Fault.Delay; f != nil {
		out.Delay = &delay{f.Duration.String(), percentOf(f.Percentage)}
	}
	return out
}

// ownHeaders are the headers of a direct response before the operations of its rule.
func ownHeaders(d *plan.DirectResponse) effect.Headers {
	if len(d.Body) == 0 {
		return effect.Headers{}
	}
	return effect.Headers{
		"content-type": {"text/plain"}, "content-length": {strconv.Itoa(len(d.Body))},
	}
}
