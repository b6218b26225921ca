package bruteforce

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Part is one part of requests, with the values that stand for all: one for each combination of answers that the conditions
// on the part give, and three where what a rule does depends on the value.
type Part struct {
	Subject string // path, method, authority, "header x-a", "query q"
	Values  []Value
}

// Value is the value of a part: nil is that it is absent.
type Value []string

// condition is a condition on one part.
type condition struct {
	subject string
	holds   func(Value) bool
}

// conditionsOf are the conditions of a match.
func conditionsOf(m *plan.Match) []condition {
	p := m.Path
	out := []condition{{"path", func(v Value) bool { return compare(p.Kind, p.Value, v[0], p.IgnoreCase) }}}
	for _, h := range m.Headers {
		subject := "header " + strings.ToLower(h.Name)
		if name, ok := strings.CutPrefix(h.Name, ":"); ok {
			subject = name
		}
		out = append(out, condition{subject, func(v Value) bool {
			switch {
			case h.Kind == plan.Present:
				return (v != nil) != h.Invert
			case v == nil:
				return h.Invert && !compare(h.Kind, h.Value, "", false)
			default:
				return slices.ContainsFunc(v, func(text string) bool { return compare(h.Kind, h.Value, text, false) }) != h.Invert
			}
		}})
	}
	for _, q := range m.Query {
		out = append(out, condition{"query " + q.Name, func(v Value) bool { return v != nil && compare(q.Kind, q.Value, v[0], false) }})
	}
	return out
}

func compare(kind plan.MatchKind, want, got string, ignoreCase bool) bool {
	if ignoreCase && kind != plan.Regex {
		want, got = strings.ToLower(want), strings.ToLower(got)
	}
	switch kind {
	case plan.Exact:
		return got == want
	case plan.Prefix:
		return strings.HasPrefix(got, want)
	case plan.Regex:
		return regexp.MustCompile(`\A(?:` + want + `)\z`).MatchString(got)
	default:
		return true
	}
}

// words are all texts over some letters up to a length.
func words(letters string, most int) []string {
	out := []string{""}
	for from := 0; most > 0; most-- {
		end := len(out)
		for _, w := range out[from:end] {
			for _, c := range letters {
				out = append(out, w+string(c))
			}
		}
		from = end
	}
	return out
}

// every are all values that are tried for a part of requests to a domain. reaches reports whether an authority reaches it.
func every(subject, domain string, reaches func(string) bool) (out []Value) {
	one := func(texts ...string) {
		for _, t := range texts {
			out = append(out, Value{t})
		}
	}
	switch kind, _, _ := strings.Cut(subject, " "); kind {
	case "path":
		for _, w := range words("/abzAB", 4) {
			one("/" + w)
		}
	case "method":
		one("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
	case "authority":
		for _, label := range []string{"zz", "azz", "a", "b"} {
			host := strings.Replace(domain, "*", label, 1)
			if reaches(host) {
				for _, port := range []string{"", ":80", ":8080"} {
					one(host+port, strings.ToUpper(host)+port)
				}
			}
		}
	default:
		out = append(out, nil)
		texts := words("uvz", 3)
		one(texts...)
		if kind == "header" {
			for _, a := range words("uvz", 2) {
				for _, b := range words("uvz", 2) {
					if a < b {
						out = append(out, Value{a, b})
					}
					for _, c := range words("uvz", 1) {
						if a < b && b < c {
							out = append(out, Value{a, b, c})
						}
					}
				}
			}
		}
	}
	return out
}

// Requests are all requests to a domain that can make a difference to lists of rules.
type Requests struct {
	Domain string
	Port   uint32
	Parts  []Part
}

// Make finds the requests to a domain for lists of rules; members is how many values there are for each combination of
// answers. reaches reports whether an authority reaches the domain.
func Make(port uint32, domain string, reaches func(string) bool, members int, lists ...[]*plan.Rule) *Requests {
	bySubject := map[string][]condition{"path": nil, "method": nil, "authority": nil}
	order := []string{"path", "method", "authority"}
	for _, list := range lists {
		for _, r := range list {
			for _, c := range conditionsOf(&r.Match) {
				if _, known := bySubject[c.subject]; !known {
					order = append(order, c.subject)
				}
				bySubject[c.subject] = append(bySubject[c.subject], c)
			}
		}
	}
	out := &Requests{Domain: domain, Port: port}
	for _, subject := range order {
		p := Part{Subject: subject}
		most := 1
		if subject == "path" {
			most = members
		}
		seen := map[string]int{}
		for _, v := range every(subject, domain, reaches) {
			answers := make([]byte, len(bySubject[subject]))
			for i, c := range bySubject[subject] {
				if c.holds(v) {
					answers[i] = 1
				}
			}
			if seen[string(answers)]++; seen[string(answers)] <= most {
				p.Values = append(p.Values, v)
			}
		}
		out.Parts = append(out.Parts, p)
	}
	return out
}

// Count is how many requests there are.
func (q *Requests) Count() int {
	n := 1
	for _, p := range q.Parts {
		n *= len(p.Values)
	}
	return n
}

// Request is one of the requests, by its values.
type Request struct {
	of     *Requests
	values []int
}

// Each visits all requests.
func (q *Requests) Each(visit func(Request)) {
	values := make([]int, len(q.Parts))
	for {
		visit(Request{q, values})
		i := 0
		for ; i < len(values); i++ {
			if values[i]++; values[i] < len(q.Parts[i].Values) {
				break
			}
			values[i] = 0
		}
		if i == len(values) {
			return
		}
	}
}

// List answers for a list of rules which of them a request matches.
type List struct {
	rules [][]check
}

// check is a condition with its answer for each value of a part.
type check struct {
	part    int
	answers []bool
}

// List prepares a list of rules.
func (q *Requests) List(rules []*plan.Rule) *List {
	out := &List{}
	for _, r := range rules {
		var checks []check
		for _, c := range conditionsOf(&r.Match) {
			i := slices.IndexFunc(q.Parts, func(p Part) bool { return p.Subject == c.subject })
			answers := make([]bool, len(q.Parts[i].Values))
			for k, v := range q.Parts[i].Values {
				answers[k] = c.holds(v)
			}
			checks = append(checks, check{i, answers})
		}
		out.rules = append(out.rules, checks)
	}
	return out
}

// Matches reports whether a request matches a rule of the list.
func (l *List) Matches(i int, r Request) bool {
	for _, c := range l.rules[i] {
		if !c.answers[r.values[c.part]] {
			return false
		}
	}
	return true
}

// First is the first rule of the list that a request matches, or -1; rules for which skip is true are passed over.
func (l *List) First(r Request, skip func(int) bool) int {
	for i := range l.rules {
		if (skip == nil || !skip(i)) && l.Matches(i, r) {
			return i
		}
	}
	return -1
}

// Verdict is the request in the form that package verdict decides.
func (r Request) Verdict() verdict.Request {
	out := verdict.Request{GatewayPort: r.of.Port, Method: "GET", Headers: map[string]verdict.Values{}}
	for i, p := range r.of.Parts {
		v := p.Values[r.values[i]]
		kind, name, _ := strings.Cut(p.Subject, " ")
		switch {
		case v == nil:
		case kind == "path":
			out.Path = v[0]
		case kind == "method":
			out.Method = v[0]
		case kind == "authority":
			out.Authority = v[0]
		case kind == "header":
			out.Headers[name] = verdict.Values(v)
		case kind == "query":
			out.Path += "?" + name + "=" + v[0]
		}
	}
	return out
}

// String is the request on one line.
func (r Request) String() string { return fmt.Sprint(r.Verdict()) }

// Idle are the fields of a rule's conditions that are met whenever its other conditions on the same part are.
func (q *Requests) Idle(r *plan.Rule) (out []string) {
	all := conditionsOf(&r.Match)
	fields := []string{"uri"}
	for _, h := range r.Match.Headers {
		fields = append(fields, h.Field())
	}
	for _, p := range r.Match.Query {
		fields = append(fields, "queryParams."+p.Name)
	}
	for i, c := range all {
		p := r.Match.Path
		if i == 0 && (p.Kind == plan.Present || p.Kind == plan.Prefix && (p.Value == "/" || p.Value == "")) {
			continue
		}
		part := q.Parts[slices.IndexFunc(q.Parts, func(p Part) bool { return p.Subject == c.subject })]
		if !slices.ContainsFunc(part.Values, func(v Value) bool {
			for k, o := range all {
				if k != i && o.subject == c.subject && !o.holds(v) {
					return false
				}
			}
			return !c.holds(v)
		}) {
			out = append(out, fields[i])
		}
	}
	return out
}

// Random is one of the requests.
func (q *Requests) Random(r *rand.Rand) Request {
	values := make([]int, len(q.Parts))
	for i, p := range q.Parts {
		values[i] = r.IntN(len(p.Values))
	}
	return Request{q, values}
}
