package bruteforce

import (
	"math/rand/v2"
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Texts are the values that conditions of a plan compare with.
func Texts(p *plan.Plan) (out []string) {
	for r := range p.Rules() {
		out = append(out, r.Match.Path.Value)
		for _, h := range r.Match.Headers {
			out = append(out, h.Value)
		}
		for _, q := range r.Match.Query {
			out = append(out, q.Value)
		}
	}
	return out
}

// Attack makes a random request to a domain, of values that conditions compare with, changed a little and combined.
func Attack(r *rand.Rand, port uint32, domain string, texts []string) verdict.Request {
	text := func() string {
		s := texts[r.IntN(len(texts))]
		if r.IntN(2) == 0 {
			s = strings.NewReplacer(".*", "x", ".+", "x", "(", "", ")", "", "|", "", "[ab]", "b").Replace(s)
		}
		switch r.IntN(6) {
		case 0:
			s += texts[r.IntN(len(texts))]
		case 1:
			s += string("uvabAB/.%;"[r.IntN(10)])
		case 2:
			s = strings.ToUpper(s)
		case 3:
			if s != "" {
				s = s[:r.IntN(len(s))]
			}
		}
		return s
	}
	out := verdict.Request{GatewayPort: port, Authority: strings.Replace(domain, "*", "any", 1), Headers: map[string]verdict.Values{}}
	out.Method = []string{"GET", "POST", "PUT", "PATCH", "HEAD", "PROPFIND"}[r.IntN(6)]
	if out.Path = text(); r.IntN(8) > 0 {
		out.Path = "/" + strings.TrimPrefix(out.Path, "/")
	}
	if r.IntN(3) == 0 {
		out.Path += "?q=" + text()
	}
	for _, name := range []string{"x-a", "x-b"} {
		for range r.IntN(4) {
			out.Headers[name] = append(out.Headers[name], text())
		}
	}
	switch r.IntN(4) {
	case 0:
		out.Authority = strings.ToUpper(out.Authority)
	case 1:
		out.Authority += ":8080"
	}
	return out
}
