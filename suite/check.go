package suite

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/verdict"
)

// upstreamPath is the check of the path that destinations get.
func upstreamPath(field, want string) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		return a.each(func(c *verdict.Cluster) (any, bool) { return c.Upstream.Path, c.Upstream.Path == want })
	}}
}

// upstreamAuthority is the check of the authority that destinations get.
func upstreamAuthority(field, want string) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		return a.each(func(c *verdict.Cluster) (any, bool) { return c.Upstream.Authority, c.Upstream.Authority == want })
	}}
}

// upstreamHeader is the check of a header that destinations get; nil is that it is not there.
func upstreamHeader(field, name string, want []string) Check {
	return Check{Field: field, Want: oneOrMore(want), look: func(a *answer) (any, bool) {
		return a.each(func(c *verdict.Cluster) (any, bool) {
			got := c.Upstream.Headers[name]
			return oneOrMore(got), slices.Equal(got, want)
		})
	}}
}

// sentHeader is the value of a header that the destination sent, where it is to be removed.
const sentHeader = "(from the destination)"

// responseHeader is the check of a header that the client gets: of a response without the header or, where it must not be
// there (nil), of one with it. Else a rule that does nothing would remove it.
func responseHeader(field, name string, want []string) Check {
	return Check{Field: field, Want: oneOrMore(want), look: func(a *answer) (any, bool) {
		headers := effect.Headers{}
		if want == nil {
			headers[name] = []string{sentHeader}
		}
		if d := a.verdict; d.Kind == verdict.Route {
			i := -1
			return a.each(func(*verdict.Cluster) (any, bool) {
				i++
				got := a.response(i, headers)[name]
				return oneOrMore(got), slices.Equal(got, want)
			})
		}
		if a.taken.Rule == nil || a.verdict.Status == 0 {
			return a.outcome(), false
		}
		headers = effect.Headers{} // the proxy answers: there is no destination that could send the header
		if d := a.taken.Rule.DirectResponse; d != nil {
			headers = ownHeaders(d)
		}
		got := a.response(-1, headers)[name]
		if name == "location" && a.verdict.Location != "" {
			got = []string{a.verdict.Location}
		}
		return oneOrMore(got), slices.Equal(got, want)
	}}
}

// oneOrMore is the lines of a header as they are written in tests: null, a text or a list.
func oneOrMore(values []string) any {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	default:
		return values
	}
}

// timesOut is the check of the timeout of requests; 0 is none.
func timesOut(field string, want time.Duration) Check {
	return Check{Field: field, Want: want.String(), look: func(a *answer) (any, bool) {
		got, ok := a.timeout()
		if !ok {
			return a.outcome(), false
		}
		return got.String(), got == want
	}}
}

// retriesAre is the check of retries. Parts of want that are nil are not compared; On is compared as a set.
func retriesAre(field string, want retries) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		if a.verdict.Kind != verdict.Route {
			return a.outcome(), false
		}
		got := retriesOf(a.taken.Rule)
		is := got.Attempts == want.Attempts
		if want.PerTryTimeout != nil {
			is = is && got.PerTryTimeout != nil && *got.PerTryTimeout == *want.PerTryTimeout
		}
		if want.On != nil {
			is = is && got.On != nil && slices.Equal(conditions(*got.On), conditions(*want.On))
		}
		return got, is
	}}
}

// conditions are the conditions of a retry policy, which are separated by commas, sorted. A status code among them has the
// condition retriable-status-codes beside it, which Istio adds (VS-RETRY-04).
func conditions(list string) (out []string) {
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		out = append(out, word)
		if _, err := strconv.Atoi(word); err == nil {
			out = append(out, "retriable-status-codes")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// faultIs is the check of the fault of a rule; the zero value is none.
func faultIs(field string, want faultOf) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		if a.taken.Rule == nil {
			return a.outcome(), false
		}
		got := a.fault()
		return got, reflect.DeepEqual(got, want)
	}}
}
