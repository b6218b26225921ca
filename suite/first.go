package suite

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// First writes a first file of tests in Waymark's format: for each rule a request that it takes, and where the request goes
// now. witness returns such a request; rules without one have a comment. The tests pass until the rules change, so they
// show a change that was not meant.
func (s *Rules) First(witness func(*plan.Rule) (verdict.Request, bool)) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# For each rule a request that it takes, and what becomes of it. Change what is not meant.\ntests:\n")
	known := map[string]bool{}
	for r := range s.Plan.Rules() {
		if !isCounted(r) || known[r.String()] {
			continue
		}
		known[r.String()] = true
		q, ok := witness(r)
		if !ok {
			fmt.Fprintf(&b, "# no request is known that %s takes\n", r.String())
			continue
		}
		a := s.witnessed(&q, r)
		if a == nil {
			fmt.Fprintf(&b, "# no request is known that %s takes\n", r.String())
			continue
		}
		entry := firstTest{Name: nameOf(r, a), Request: requestOf(q), Expect: expectOf(a)}
		text, err := yaml.Dump([]firstTest{entry}, yaml.WithIndent(2), yaml.WithLineWidth(-1))
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	return b.Bytes(), nil
}

// witnessed is the answer to a request that a rule takes; nil if another one does. The port is left out of the request where
// all listeners agree without it.
func (s *Rules) witnessed(q *verdict.Request, r *plan.Rule) *answer {
	anywhere := *q
	anywhere.GatewayPort = 0
	for _, asked := range []verdict.Request{anywhere, *q} {
		if a := s.answer(Request{Request: asked}); a.rule() == r.String() {
			*q = asked
			return a
		}
	}
	return nil
}

// firstTest is a test as it is written.
type firstTest struct {
	Name    string       `yaml:"name"`
	Request firstRequest `yaml:"request"`
	Expect  firstExpect  `yaml:"expect"`
}

type firstRequest struct {
	Authority string         `yaml:"authority"`
	Method    string         `yaml:"method,omitempty"`
	Path      string         `yaml:"path"`
	Headers   map[string]any `yaml:"headers,omitempty"`
	Port      uint32         `yaml:"port,omitempty"`
	TLS       bool           `yaml:"tls,omitempty"`
	SNI       string         `yaml:"sni,omitempty"`
	Scheme    string         `yaml:"scheme,omitempty"`
	Protocol  string         `yaml:"protocol,omitempty"`
}

type firstExpect struct {
	Rule        string             `yaml:"rule"`
	Destination *firstDestination  `yaml:"destination,omitempty"`
	Shares      []firstDestination `yaml:"shares,omitempty"`
	Redirect    string             `yaml:"redirect,omitempty"`
	Status      int                `yaml:"status,omitempty"`
}

type firstDestination struct {
	Host   string `yaml:"host"`
	Subset string `yaml:"subset,omitempty"`
	Port   uint32 `yaml:"port,omitempty"`
	Weight uint32 `yaml:"weight,omitempty"`
}

// nameOf names a test after its rule and what becomes of the request.
func nameOf(r *plan.Rule, a *answer) string {
	what := a.outcome()
	if all := a.destinations(); len(all) > 0 {
		hosts := make([]string, len(all))
		for i, d := range all {
			hosts[i] = d.String()
		}
		what = strings.Join(hosts, " and ")
	}
	return r.RouteName() + " -> " + what
}

func requestOf(q verdict.Request) firstRequest {
	out := firstRequest{Authority: q.Authority, Path: q.Path, Port: q.GatewayPort, TLS: q.TLS, SNI: q.SNI, Scheme: q.Scheme, Protocol: q.Protocol}
	if q.Method != "GET" {
		out.Method = q.Method
	}
	for name, values := range q.Headers {
		if out.Headers == nil {
			out.Headers = map[string]any{}
		}
		if out.Headers[name] = []string(values); len(values) == 1 {
			out.Headers[name] = values[0]
		}
	}
	return out
}

func expectOf(a *answer) firstExpect {
	out := firstExpect{Rule: a.rule(), Status: a.status()}
	all := a.destinations()
	// A cluster that stands for no service cannot be written as a destination.
	isService := !slices.ContainsFunc(all, func(d Destination) bool { return d.Cluster != "" })
	switch {
	case a.isRedirected():
		out.Redirect = a.verdict.Location
	case len(all) == 1 && isService:
		d := first(all[0])
		out.Destination = &d
	case isService:
		for _, d := range all {
			out.Shares = append(out.Shares, first(d))
		}
	}
	return out
}

func first(d Destination) firstDestination {
	return firstDestination{d.Host, d.Subset, d.Port, d.Weight}
}
