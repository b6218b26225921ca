package space

import (
	"slices"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Place is where rules stand: one domain of a virtual host, on one chain of a listener.
type Place struct {
	Listener *plan.Listener
	Chain    *plan.FilterChain
	Host     *plan.VirtualHost
	Domain   string
}

// Port is the port of the listener.
func (p Place) Port() uint32 { return p.Listener.Port }

// serverName is the server name of a request to a domain on the place's chain: that of the domain, if the chain has it; ""
// without TLS.
func (p Place) serverName(domain string) string {
	names := p.Chain.ServerNames
	switch {
	case p.Chain.TLS == nil || len(names) == 0:
		return ""
	case slices.Contains(names, domain):
		return sample(domain)
	default:
		return sample(names[0])
	}
}

// AllPlaces are all places of a plan that speak HTTP, in order. Of a service of the mesh, only the full name is a place: its
// other domains have the same rules.
func AllPlaces(p *plan.Plan) (out []Place) {
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			if c.Routes == nil {
				continue
			}
			for _, h := range c.Routes.VirtualHosts {
				domains := h.Domains
				if len(c.Gateways) == 0 {
					domains = domains[:min(1, len(domains))]
				}
				for _, d := range domains {
					out = append(out, Place{l, c, h, d})
				}
			}
		}
	}
	return out
}

// Places are the places where rules are tried. Those that redirect to https are left out, unless a proxy in front may say
// that a request came by TLS.
func Places(p *plan.Plan, intake effect.Intake) []Place {
	return slices.DeleteFunc(AllPlaces(p), func(at Place) bool {
		return at.Host.RequireTLS && at.Chain.TLS == nil && intake.TrustedHops == 0
	})
}

// Budget is the work that a question may take, in states of automata that are looked at. It is less than a second.
const Budget = 2_000_000

// Languages are the automata of expressions, which the spaces of one intake share.
type Languages map[string]language

// view is the rules of one plan for the domain of a space.
type view struct {
	judge *verdict.Judge
	Place
	rules     []*rule // none if the plan does not have the domain
	uncertain []int   // the rules that compare what only the proxy knows
}

// Space is the requests that reach one domain. It has the rules of one plan, or those of two that are compared.
type Space struct {
	Domain string
	Port   uint32

	at           asked
	intake       effect.Intake
	isTLS        bool
	serverName   string
	views        []*view
	languages    Languages
	parts        []*part
	bySubject    map[subject]*part
	conditions   map[conditionKey]*condition
	otherDomains []language // authorities that do not reach the domain
	spent        int        // the work of all questions so far
}

// allowance is the work that the next question may take: less once many questions have taken much.
func (s *Space) allowance() int {
	if s.spent > 50*Budget {
		return Budget / 50
	}
	return Budget
}

// asked is the chain on which the proxy is asked what it writes into requests.
type asked struct {
	judge *verdict.Judge
	chain *plan.FilterChain
}

// New makes the space of a place.
func New(j *verdict.Judge, at Place, languages Languages) *Space {
	s := newSpace(at.Domain, nil, j, at, languages)
	s.addView(j, at)
	return s
}

// NewPair makes the space of a domain on two plans. The place of one of them may be the zero value: it does not have the
// domain. domain is the more specific one of those of the two places; moreSpecific are domains of either side that take
// some of its requests.
func NewPair(old, now *verdict.Judge, before, after Place, domain string, moreSpecific []string, languages Languages) *Space {
	at, j := before, old
	if at.Chain == nil {
		at, j = after, now
	}
	s := newSpace(domain, moreSpecific, j, at, languages)
	s.addView(old, before)
	s.addView(now, after)
	return s
}

func newSpace(domain string, moreSpecific []string, j *verdict.Judge, at Place, languages Languages) *Space {
	s := &Space{
		Domain: domain, Port: at.Port(), at: asked{j, at.Chain}, intake: j.Intake(), isTLS: at.Chain.TLS != nil, languages: languages,
		bySubject: map[subject]*part{}, conditions: map[conditionKey]*condition{},
	}
	s.serverName = at.serverName(domain)
	for _, d := range moreSpecific {
		s.otherDomains = append(s.otherDomains, s.domain(d))
	}
	for _, k := range []kindOfPart{path, method, authority, scheme} {
		s.part(subject{part: k})
	}
	return s
}

func (s *Space) addView(j *verdict.Judge, at Place) {
	v := &view{judge: j, Place: at}
	s.views = append(s.views, v)
	if at.Host == nil {
		return
	}
	for i, r := range at.Host.Rules {
		v.rules = append(v.rules, s.compile(r))
		if v.rules[i].uncertain != "" {
			v.uncertain = append(v.uncertain, i)
		}
	}
}

// part is the part of a subject, made when it is asked for the first time.
func (s *Space) part(of subject) *part {
	p := s.bySubject[of]
	if p == nil {
		p = s.newPart(of)
		s.bySubject[of] = p
		s.parts = append(s.parts, p)
	}
	return p
}

// condition is the condition of a key, made when it is asked for the first time.
func (s *Space) condition(key conditionKey) *condition {
	c := s.conditions[key]
	if c == nil {
		c = &condition{number: len(s.conditions), part: s.part(key.subject), conditionKey: key, language: s.languageOf(key)}
		if key.part == path && !key.wholePath {
			c.begin = beginOf(c.language, key.kind, key.value, key.ignoreCase)
		}
		s.conditions[key] = c
	}
	return c
}

// Request is a request with these values. Parts beyond the list have their standard value.
func (s *Space) request(values []value) verdict.Request {
	r := verdict.Request{GatewayPort: s.Port, TLS: s.isTLS, SNI: s.serverName, Method: "GET", Headers: map[string]verdict.Values{}}
	var parameters []string
	for i, v := range values {
		switch p := s.parts[i]; p.part {
		case path:
			r.Path = s.sent(v.text())
		case method:
			r.Method = v.text()
		case authority:
			r.Authority = v.text()
		case scheme:
			if v.text() != s.impliedScheme(values) {
				r.Scheme = v.text()
			}
		case header:
			switch {
			case p.name == forwardedFor:
				at := strings.LastIndexByte(v.text(), ',')
				if r.Client = v.text()[at+1:]; at >= 0 {
					r.Headers[p.name] = verdict.Values{v.text()[:at]}
				}
			case !v.absent && !p.isWritten:
				r.Headers[p.name] = v.texts
			}
		case query:
			if !v.absent {
				parameters = append(parameters, p.name+"="+v.text())
			}
		}
	}
	if len(parameters) > 0 {
		r.Path += "?" + strings.Join(parameters, "&")
	}
	if r.Headers[upgrade] != nil && r.Headers[connection] == nil {
		r.Headers[connection] = verdict.Values{"Upgrade"}
	}
	if r.Headers[connection] != nil && r.Headers[upgrade] == nil {
		r.Headers[upgrade] = verdict.Values{"websocket"}
	}
	if r.Method == "QUERY" && r.Headers["content-type"] == nil {
		r.Headers["content-type"] = verdict.Values{"text/plain"}
	}
	if !effect.IsMethod(r.Method, s.intake.Behaviour()) || strings.ContainsFunc(r.Path, func(c rune) bool { return c >= 0x7f }) || r.Scheme != "" {
		r.Protocol = verdict.HTTP2
	}
	if len(r.Headers) == 0 {
		r.Headers = nil
	}
	return r
}

// impliedScheme is the scheme of a request that does not say it.
func (s *Space) impliedScheme(values []value) string {
	if p := s.bySubject[subject{header, forwardedProto}]; p != nil && !p.isWritten && p.number < len(values) {
		if text := values[p.number].text(); text == "http" || text == "https" {
			return text
		}
	}
	return s.bySubject[subject{part: scheme}].standard.text()
}

// sent is the path that a client sends so that it is read as a normalised path. Only dot segments with parameters are sent
// otherwise.
func (s *Space) sent(path string) string {
	if normal, action := s.intake.Paths.Normalize(path, s.intake.Behaviour()); normal == path && action == effect.PathTaken {
		return path
	}
	return strings.NewReplacer("/..;", "/%2e%2e;", "/.;", "/%2e;").Replace(path)
}

// arrived are the values of the parts in a request that was received, for the parts that are in the list.
func (s *Space) arrived(in effect.Request, n int) []value {
	out := make([]value, n)
	plainPath, rest, _ := strings.Cut(in.Path, "?")
	parameters := map[string]string{}
	for p := range strings.SplitSeq(rest, "&") {
		name, text, _ := strings.Cut(p, "=")
		if _, known := parameters[name]; !known && p != "" {
			parameters[name] = text
		}
	}
	for i, p := range s.parts[:n] {
		switch p.part {
		case path:
			out[i] = value{texts: []string{plainPath}}
		case method:
			out[i] = value{texts: []string{in.Method}}
		case authority:
			out[i] = value{texts: []string{in.Authority}}
		case scheme:
			out[i] = value{texts: []string{in.Scheme}}
		case header:
			out[i] = value{absent: len(in.Headers[p.name]) == 0, texts: in.Headers[p.name]}
		case query:
			text, ok := parameters[p.name]
			out[i] = value{absent: !ok}
			if ok {
				out[i].texts = []string{text}
			}
		}
	}
	return out
}

// exclude takes the authorities of a domain out of the space: they reach another virtual host.
func (s *Space) exclude(domain string) {
	p := s.part(subject{part: authority})
	p.never = append(p.never, s.domain(domain))
}

// Rule is a rule of a view.
func (s *Space) Rule(view, i int) *plan.Rule { return s.views[view].rules[i].Rule }

// HasAuthority reports whether a rule of the space has a condition on the authority, so that its domains differ.
func HasAuthority(h *plan.VirtualHost) bool {
	return slices.ContainsFunc(h.Rules, func(r *plan.Rule) bool {
		return slices.ContainsFunc(r.Match.Headers, func(m plan.HeaderMatch) bool {
			return strings.EqualFold(m.Name, ":authority") || strings.EqualFold(m.Name, "host")
		})
	})
}
