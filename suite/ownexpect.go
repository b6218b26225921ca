package suite

import (
	"math"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v4"
)

// expectation reads the value of a key of expect.
type expectation func(r *reader, n *yaml.Node, what string) []Check

// one is a reader of a single check; ok is false if the value is wrong.
func one(read func(r *reader, n *yaml.Node, what string) (Check, bool)) expectation {
	return func(r *reader, n *yaml.Node, what string) []Check {
		if c, ok := read(r, n, what); ok {
			return []Check{c}
		}
		return nil
	}
}

// expectations are the keys of expect; "not" has the same ones but itself.
var (
	expectationKeys = []string{
		"destination", "shares", "redirect", "status", "body", "rule", "upstream", "response", "timeout", "retries", "mirror", "fault",
	}
	expectations = map[string]expectation{
		"destination": one((*reader).ownDestination),
		"shares":      one((*reader).ownShares),
		"redirect":    (*reader).ownRedirect,
		"status":      one((*reader).ownStatus),
		"body":        one((*reader).ownBody),
		"rule":        one((*reader).ownRule),
		"upstream":    (*reader).ownUpstream,
		"response":    (*reader).ownResponse,
		"timeout":     one((*reader).ownTimeout),
		"retries":     one((*reader).ownRetries),
		"mirror":      one((*reader).ownMirror),
		"fault":       one((*reader).ownFault),
	}
)

// expect reads what a test expects. isNot reverses every check.
func (r *reader) expect(n *yaml.Node, what string, isNot bool) (out []Check) {
	known := expectationKeys
	if !isNot {
		known = append([]string{"not"}, known...)
	}
	m := r.strict(n, what, known...)
	if m == nil {
		return nil
	}
	for _, key := range m.keys {
		value, field := m.at(key.Value), what+"."+key.Value
		if key.Value == "not" && !isNot {
			out = append(out, r.expect(value, field, true)...)
		} else if read, ok := expectations[key.Value]; ok {
			out = append(out, read(r, value, field)...)
		}
	}
	if len(m.keys) == 0 {
		r.fail(m.node, "%s: expects nothing, so the test would pass whatever happens", what)
	}
	for i := range out {
		out[i].Not = out[i].Not || isNot
	}
	return out
}

// destinationKeys are the keys of a destination that is an object.
var destinationKeys = []string{"host", "subset", "port"}

// destination reads a destination: a host, the name of a cluster, or an object.
func (r *reader) destination(n *yaml.Node, what string, more ...string) (d Destination, m *mapping, ok bool) {
	if n.Kind == yaml.ScalarNode {
		text, ok := r.text(n, what)
		if strings.Contains(text, "|") {
			return ofCluster(text), nil, ok
		}
		return Destination{Host: text}, nil, ok
	}
	before := len(r.findings)
	if m = r.strict(n, what, append(destinationKeys, more...)...); m == nil {
		return d, nil, false
	}
	if v := m.at("host"); v != nil {
		d.Host, _ = r.text(v, what+".host")
	} else {
		r.fail(m.node, "%s: host is missing", what)
	}
	if v := m.at("subset"); v != nil {
		d.Subset, _ = r.text(v, what+".subset")
	}
	if v := m.at("port"); v != nil {
		port, _ := r.number(v, what+".port", 1, math.MaxUint16)
		d.Port = uint32(port)
	}
	return d, m, len(r.findings) == before
}

func (r *reader) ownDestination(n *yaml.Node, what string) (Check, bool) {
	d, _, ok := r.destination(n, what)
	return goesTo(what, []Destination{d}), ok
}

func (r *reader) ownShares(n *yaml.Node, what string) (Check, bool) {
	var want []Destination
	entries := list(n)
	valid := true
	for _, entry := range entries {
		d, m, ok := r.destination(entry, what, "weight")
		valid = valid && ok
		if m == nil || !m.has("weight") {
			r.fail(entry, "%s: every share needs a host and a weight", what)
			return Check{}, false
		}
		weight, ok := r.number(m.at("weight"), what+".weight", 1, math.MaxUint32)
		d.Weight = uint32(weight)
		want = append(want, d)
		valid = valid && ok
	}
	if len(entries) < 2 {
		r.fail(n, "%s: shares are two or more; for one, write destination", what)
		return Check{}, false
	}
	return goesTo(what, want), valid
}

// redirectPart is a part of a redirect's address.
func redirectPart(field, want string, part func(*url.URL) string) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		if !a.isRedirected() {
			return a.outcome(), false
		}
		u, err := url.Parse(a.verdict.Location)
		if err != nil {
			return a.verdict.Location, false
		}
		got := part(u)
		return got, got == want
	}}
}

// redirectsTo is the check of the whole address of a redirect.
func redirectsTo(field, want string) Check {
	return Check{Field: field, Want: want, look: func(a *answer) (any, bool) {
		if !a.isRedirected() {
			return a.outcome(), false
		}
		return a.verdict.Location, a.verdict.Location == want
	}}
}

// redirectParts are the keys of a redirect for parts of its address.
var redirectParts = map[string]func(*url.URL) string{
	"scheme":    func(u *url.URL) string { return u.Scheme },
	"authority": func(u *url.URL) string { return u.Host },
	"path":      func(u *url.URL) string { return u.EscapedPath() },
	"query":     func(u *url.URL) string { return u.RawQuery },
}

// ownRedirect reads a redirect: its address, or an object with parts of it and the status.
func (r *reader) ownRedirect(n *yaml.Node, what string) (out []Check) {
	if n.Kind == yaml.ScalarNode {
		if text, ok := r.text(n, what); ok {
			out = append(out, redirectsTo(what, text))
		}
		return out
	}
	m := r.strict(n, what, "status", "location", "scheme", "authority", "path", "query")
	if m == nil {
		return nil
	}
	if len(m.keys) == 0 {
		r.fail(m.node, "%s: expects nothing; name the location, the status or a part", what)
	}
	for _, key := range m.keys {
		value, field := m.at(key.Value), what+"."+key.Value
		if key.Value == "status" {
			if c, ok := r.ownStatus(value, field); ok {
				out = append(out, c)
			}
			continue
		}
		text, ok := r.text(value, field)
		switch part := redirectParts[key.Value]; {
		case ok && key.Value == "location":
			out = append(out, redirectsTo(field, text))
		case ok && part != nil:
			out = append(out, redirectPart(field, text, part))
		}
	}
	return out
}

func (r *reader) ownStatus(n *yaml.Node, what string) (Check, bool) {
	want, ok := r.number(n, what, 200, 599)
	return Check{Field: what, Want: want, look: func(a *answer) (any, bool) {
		if got := a.status(); got != 0 {
			return got, uint64(got) == want
		}
		return orOutcome(a, a.destinations()), false
	}}, ok
}

func (r *reader) ownBody(n *yaml.Node, what string) (Check, bool) {
	want, ok := r.text(n, what)
	return Check{Field: what, Want: want, look: func(a *answer) (any, bool) {
		if a.verdict.Body == nil {
			return a.outcome(), false
		}
		return *a.verdict.Body, *a.verdict.Body == want
	}}, ok
}

// ownRule reads the name of a rule, such as default/shop.http[2].match[0]. Without the match, any match of the rule is
// meant; "none" is no rule.
func (r *reader) ownRule(n *yaml.Node, what string) (Check, bool) {
	want, ok := r.text(n, what)
	if want != noRule && !strings.Contains(want, ".http[") {
		r.fail(n, "%s: %q is neither none nor a rule, such as default/shop.http[2].match[0]", what, want)
		return Check{}, false
	}
	return Check{Field: what, Want: want, look: func(a *answer) (any, bool) {
		got := a.rule()
		return got, got == want || strings.HasPrefix(got, want+".match[")
	}}, ok
}

// ownUpstream reads what the destination gets: path, authority and headers.
func (r *reader) ownUpstream(n *yaml.Node, what string) (out []Check) {
	m := r.strict(n, what, "path", "authority", "headers")
	if m == nil {
		return nil
	}
	if len(m.keys) == 0 {
		r.fail(m.node, "%s: expects nothing; name path, authority or headers", what)
	}
	if v := m.at("path"); v != nil {
		if want, ok := r.text(v, what+".path"); ok {
			out = append(out, upstreamPath(what+".path", want))
		}
	}
	if v := m.at("authority"); v != nil {
		if want, ok := r.text(v, what+".authority"); ok {
			out = append(out, upstreamAuthority(what+".authority", want))
		}
	}
	if v := m.at("headers"); v != nil {
		headers := r.expectedHeaders(v, what+".headers")
		for _, name := range sortedKeys(headers) {
			out = append(out, upstreamHeader(what+".headers."+name, name, headers[name]))
		}
	}
	return out
}

// ownResponse reads the headers that the client gets.
func (r *reader) ownResponse(n *yaml.Node, what string) (out []Check) {
	m := r.strict(n, what, "headers")
	if m == nil {
		return nil
	}
	v := m.at("headers")
	if v == nil {
		r.fail(m.node, "%s: expects nothing; name headers", what)
		return nil
	}
	headers := r.expectedHeaders(v, what+".headers")
	for _, name := range sortedKeys(headers) {
		out = append(out, responseHeader(what+".headers."+name, name, headers[name]))
	}
	return out
}

func (r *reader) ownTimeout(n *yaml.Node, what string) (Check, bool) {
	want, ok := r.duration(n, what)
	return timesOut(what, want), ok
}

// ownRetries reads a number of retries, none, or an object.
func (r *reader) ownRetries(n *yaml.Node, what string) (Check, bool) {
	var want retries
	before := len(r.findings)
	if n.Kind == yaml.ScalarNode {
		if n.Value != noRule {
			attempts, _ := r.number(n, what, 0, math.MaxUint32)
			want.Attempts = uint32(attempts)
		}
	} else if m := r.strict(n, what, "attempts", "perTryTimeout", "on"); m != nil {
		if v := m.at("attempts"); v == nil {
			r.fail(m.node, "%s: attempts is missing", what)
		} else {
			attempts, _ := r.number(v, what+".attempts", 0, math.MaxUint32)
			want.Attempts = uint32(attempts)
		}
		if v := m.at("perTryTimeout"); v != nil {
			d, _ := r.duration(v, what+".perTryTimeout")
			text := d.String()
			want.PerTryTimeout = &text
		}
		if v := m.at("on"); v != nil {
			text, _ := r.text(v, what+".on")
			want.On = &text
		}
	}
	return retriesAre(what, want), len(r.findings) == before
}

// ownMirror reads destinations with a percentage, which is 100 if it is left out, or none.
func (r *reader) ownMirror(n *yaml.Node, what string) (Check, bool) {
	if n.Kind == yaml.ScalarNode && n.Value == noRule {
		return mirrorsTo(what, nil), true
	}
	var want []mirror
	before := len(r.findings)
	for _, entry := range list(n) {
		d, m, _ := r.destination(entry, what, "percent")
		w := mirror{d, 100}
		if m != nil && m.has("percent") {
			w.Percent = r.percent(m.at("percent"), what+".percent")
		}
		want = append(want, w)
	}
	return mirrorsTo(what, want), len(r.findings) == before
}

// ownFault reads an abort and a delay, or none. A percentage that is left out is 100.
func (r *reader) ownFault(n *yaml.Node, what string) (Check, bool) {
	var want faultOf
	if n.Kind == yaml.ScalarNode && n.Value == noRule {
		return faultIs(what, want), true
	}
	before := len(r.findings)
	m := r.strict(n, what, "abort", "delay")
	if m == nil {
		return Check{}, false
	}
	percentage := func(m *mapping, what string) float64 {
		if v := m.at("percent"); v != nil {
			return r.percent(v, what+".percent")
		}
		return 100
	}
	if v := m.at("abort"); v != nil {
		field := what + ".abort"
		if a := r.strict(v, field, "status", "grpcStatus", "percent"); a != nil {
			want.Abort = &abort{Percent: percentage(a, field)}
			switch http, grpc := a.at("status"), a.at("grpcStatus"); {
			case (http == nil) == (grpc == nil):
				r.fail(a.node, "%s: needs either status or grpcStatus", field)
			case http != nil:
				status, _ := r.number(http, field+".status", 200, 599)
				want.Abort.Status = uint32(status)
			default:
				status, _ := r.number(grpc, field+".grpcStatus", 0, 16)
				code := uint32(status)
				want.Abort.GRPCStatus = &code
			}
		}
	}
	if v := m.at("delay"); v != nil {
		field := what + ".delay"
		if d := r.strict(v, field, "duration", "percent"); d != nil {
			want.Delay = &delay{Percent: percentage(d, field)}
			if v := d.at("duration"); v == nil {
				r.fail(d.node, "%s: duration is missing", field)
			} else {
				time, _ := r.duration(v, field+".duration")
				want.Delay.Duration = time.String()
			}
		}
	}
	if len(m.keys) == 0 {
		r.fail(m.node, "%s: needs abort, delay or both; none is written as none", what)
	}
	return faultIs(what, want), len(r.findings) == before
}

// expectedHeaders reads expected headers: a text, a list for one that is repeated, or null for one that is not there.
func (r *reader) expectedHeaders(n *yaml.Node, what string) map[string][]string {
	m := r.object(n, what)
	if m == nil {
		return nil
	}
	out := map[string][]string{}
	for _, key := range m.keys {
		value := m.at(key.Value)
		name := strings.ToLower(key.Value)
		if isNull(value) {
			out[name] = nil
			continue
		}
		out[name] = r.texts(value, what+"."+key.Value)
	}
	if len(m.keys) == 0 {
		r.fail(m.node, "%s: expects nothing", what)
	}
	return out
}
