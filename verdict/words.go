package verdict

import (
	"fmt"
	"strconv"
	"strings"

	"waymark.dev/waymark/plan"
)

// Note is one thing that a rule does with a request besides choosing its destination, in words for people.
type Note struct{ What, Text string }

// Notes are what the rule of the verdict does with the request: timeout, retries, mirrors, faults and CORS. Istio's
// default retries are among them, since they are in force where a rule names none.
func (v *Verdict) Notes() []Note {
	r := v.rule
	if r == nil {
		return nil
	}
	var out []Note
	add := func(what, format string, args ...any) { out = append(out, Note{what, fmt.Sprintf(format, args...)}) }
	if a := r.Route; a != nil {
		if a.Timeout > 0 {
			add("timeout", "%s", a.Timeout)
		}
		if p := a.Retry; p != nil {
			add("retries", "%s", retries(p))
		}
		for _, m := range a.Mirrors {
			share := plan.Percentage{Numerator: m.Numerator, Denominator: m.Denominator}
			add("mirror", "%s to %s", percent(share), m.Cluster)
		}
	}
	if r.Fault != nil {
		if d := r.Fault.Delay; d != nil {
			add("fault", "%s delayed by %s", percent(d.Percentage), d.Duration)
		}
		if a := r.Fault.Abort; a != nil {
			status := fmt.Sprint(a.HTTPStatus)
			if a.IsGRPC {
				status = fmt.Sprintf("gRPC status %d", a.GRPCStatus)
			}
			add("fault", "%s aborted with %s", percent(a.Percentage), status)
		}
	}
	if r.CORS != nil {
		add("CORS", "%s", v.cors())
	}
	return out
}

func retries(p *plan.RetryPolicy) string {
	text := fmt.Sprintf("%d on %s", p.Attempts, strings.TrimPrefix(p.On, ","))
	if len(p.StatusCodes) > 0 {
		text += " " + strings.Trim(fmt.Sprint(p.StatusCodes), "[]")
	}
	if p.PerTryTimeout > 0 {
		text += fmt.Sprintf(", each for %s at most", p.PerTryTimeout)
	}
	return text
}

func percent(p plan.Percentage) string {
	return strconv.FormatFloat(float64(p.PerMillion())/10_000, 'f', -1, 64) + " %"
}

func (v *Verdict) cors() string {
	switch e := v.CORSEffect; {
	case e == nil:
		return "there is a policy, which has no effect on a request without Origin"
	case e.Status != 0 && e.OriginAllowed:
		return fmt.Sprintf("the origin is allowed; the proxy answers the preflight itself, with %d", e.Status)
	case e.Status != 0:
		return fmt.Sprintf("the origin is not allowed; the proxy answers the preflight itself, with %d", e.Status)
	case e.OriginAllowed:
		return "the origin is allowed"
	default:
		return "the origin is not allowed"
	}
}

// Share is the part of the requests that a destination of the verdict gets, as a percentage.
func (v *Verdict) Share(destination int) string {
	var sum float64
	for _, c := range v.Clusters {
		sum += float64(c.Weight)
	}
	share := 100 * float64(v.Clusters[destination].Weight) / max(sum, 1)
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(share, 'f', 2, 64), "0"), ".") + " %"
}
