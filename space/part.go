package space

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/routing/regex"
	"waymark.dev/waymark/verdict"
)

// kindOfPart is which part of a request.
type kindOfPart uint8

const (
	path kindOfPart = iota // without the query
	method
	authority
	scheme
	header
	query
)

// subject is a part of a request; name is that of the header, in lower case, or of the query parameter.
type subject struct {
	part kindOfPart
	name string
}

// value is the value of a part of a request. Only a header can have several texts.
type value struct {
	absent bool
	texts  []string
}

func (v value) text() string {
	if len(v.texts) == 0 {
		return ""
	}
	return v.texts[0]
}

func (v value) equal(o value) bool { return v.absent == o.absent && slices.Equal(v.texts, o.texts) }

// part is a part of the requests of a [Space].
type part struct {
	number int
	subject
	within   language // the values that it can have
	standard value    // that it has if nothing is required
	likely   []string // values to try first
	// several is set if values of a repeated header are compared one by one.
	several bool
	// never are values that cannot be delivered, and withoutAbsent is set if the proxy always adds the header.
	never         []language
	withoutAbsent bool
	// isWritten is set if the value is always the one that the proxy writes, and isUnknown if only the proxy knows it.
	isWritten, isUnknown bool
	solved               map[string]solution
}

type solution struct {
	value
	found answer
}

// isOptional reports whether the part may be absent.
func (p *part) isOptional() bool { return p.part == header || p.part == query }

// rank orders the parts by how easily a condition on them is not met.
func (p *part) rank() int {
	switch {
	case p.isOptional():
		return 3
	case p.part == method:
		return 2
	case p.part == path:
		return 1
	default:
		return 0
	}
}

// Values that parts can have, as regular expressions over bytes.
const (
	fieldValues = "(?s:|[!-~\\x80-\\xff]([\\t -~\\x80-\\xff]*[!-~\\x80-\\xff])?)" // without white space around
	queryValues = "[!-\"$%'-~\\x80-\\xff]*"
	tokens      = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	authorities = "[A-Za-z0-9!$%&'()*+,\\-.:;=@\\[\\]_~]*"
)

// newPart makes a part of the space.
func (s *Space) newPart(of subject) *part {
	p := &part{number: len(s.parts), subject: of, solved: map[string]solution{}}
	switch of.part {
	case path:
		p.within, p.standard = s.shared("paths", func() language { return newPaths(s.intake.Paths) }), value{texts: []string{"/"}}
	case method:
		p.within, p.standard = s.bytes(tokens), value{texts: []string{http.MethodGet}}
		p.likely = []string{"POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"}
		p.never = []language{newLiteral(plan.Exact, http.MethodConnect, false)}
	case scheme:
		p.within, p.standard = s.bytes("https?"), value{texts: []string{"http"}}
		if s.isTLS {
			p.standard = value{texts: []string{"https"}}
		}
	case authority:
		p.within, p.standard = s.domain(s.Domain), value{texts: []string{sample(s.Domain)}}
		p.likely = append(others(s.Domain), strings.ToUpper(p.standard.texts[0]), p.standard.texts[0]+":"+strconv.Itoa(int(s.Port)), p.standard.texts[0]+":8080")
		p.never = s.otherDomains
	case header:
		p.within, p.standard = s.bytes(fieldValues), value{absent: true}
		p.likely = []string{"1"}
		p.several = !s.intake.Behaviour().RepeatedHeadersJoined && !effect.IsSingleHeader(of.name)
		s.restrict(p)
	case query:
		p.within, p.standard = s.bytes(queryValues), value{absent: true}
		p.likely = []string{"1"}
		if !has(s.bytes(queryValues), of.name) || strings.Contains(of.name, "=") {
			p.within = nothing
		}
	}
	return p
}

// restrict takes into account what the proxy does with some headers.
func (s *Space) restrict(p *part) {
	switch {
	case effect.IsRemoved(p.name):
		p.within = nothing
	case p.name == upgrade: // any other upgrade is refused
		p.within, p.likely = s.bytes("(?i:websocket)"), []string{"websocket"}
	case p.name == connection: // else it is removed
		p.within, p.likely = s.bytes("(?i:([!-+\\--~]+, *)*upgrade(, *[!-+\\--~]+)*)"), []string{"Upgrade"}
	case p.name == "te":
		p.within = newLiteral(plan.Exact, "trailers", false)
	case p.name == "content-length":
		p.within = s.bytes("[0-9]{1,19}")
	case p.name == "referer":
		p.likely = []string{"https://" + sample(s.Domain) + "/"}
	case p.name == forwardedFor:
		p.within, p.withoutAbsent = s.bytes("(?s:([!-~\\x80-\\xff]([\\t -~\\x80-\\xff]*[!-~\\x80-\\xff])?,)?)("+addresses+")"), true
		p.standard = value{texts: []string{"192.0.2.1"}}
	case p.name == forwardedProto && s.intake.TrustedHops > 0:
		p.standard, p.withoutAbsent = s.written(p.name), true
	case slices.Contains(effect.FromProxy, p.name):
		p.standard, p.isWritten = s.written(p.name), true
		p.withoutAbsent = !p.standard.absent
		if p.within = nothing; !p.standard.absent {
			p.within = newLiteral(plan.Exact, p.standard.text(), false)
			p.isUnknown = effect.IsUnknown(p.standard.text())
		}
	}
}

const (
	connection     = "connection"
	upgrade        = "upgrade"
	forwardedProto = "x-forwarded-proto"
	// forwardedFor ends with the address of the client, after what the client sent.
	forwardedFor = "x-forwarded-for"

	addresses = "((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])|" +
		"([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|([0-9a-f]{1,4}:){1,6}(:[0-9a-f]{1,4})|([0-9a-f]{1,4}:){1,5}(:[0-9a-f]{1,4}){2}|::[0-9a-f]{1,4}|::"
)

// written is the value of a header that the proxy writes into a request.
func (s *Space) written(name string) value {
	v := s.at
	r := verdict.Request{GatewayPort: s.Port, TLS: s.isTLS, SNI: s.serverName, Authority: sample(s.Domain), Path: "/"}
	texts := v.judge.Take(v.chain, r).Received.Headers[name]
	return value{absent: len(texts) == 0, texts: texts}
}

// nothing is the language without texts.
var nothing = newExpression("[^\\x00-\\xff]", regex.Latin1)

// bytes is the language of an expression of this package.
func (s *Space) bytes(pattern string) language {
	return s.shared("bytes "+pattern, func() language { return newExpression(pattern, regex.Latin1) })
}

// shared is a language that spaces share, made when it is asked for the first time.
func (s *Space) shared(key string, makeIt func() language) language {
	l := s.languages[key]
	if l == nil {
		l = makeIt()
		s.languages[key] = l
	}
	return l
}

// domain is the language of the authorities that a domain matches.
func (s *Space) domain(name string) language {
	if name == "*" {
		return s.bytes(authorities)
	}
	return newDomain(name)
}

// others are more authorities of a wildcard.
func others(domain string) []string {
	suffix, ok := strings.CutPrefix(domain, "*")
	switch {
	case !ok:
		return nil
	case suffix == "":
		suffix = ".example"
	}
	return []string{"some" + suffix, "other" + suffix}
}

// sample is an authority of a domain.
func sample(domain string) string {
	switch {
	case domain == "*":
		return "any.test"
	case strings.HasPrefix(domain, "*"):
		return "any" + domain[1:]
	default:
		return domain
	}
}

// languageOf is the language of the values of a condition; nil for an expression that Envoy refuses.
func (s *Space) languageOf(key conditionKey) language {
	if key.kind == plan.Regex {
		return s.shared("regex "+key.value, func() language { return newExpression(key.value, pluginconfig.Encoding(s.intake.Behaviour())) })
	}
	return newLiteral(key.kind, key.value, key.ignoreCase)
}

// solve finds a value of a part that meets all requirements on it. The standard value is preferred.
func (p *part) solve(required []requirement, b *budget) solution {
	key := p.key(required)
	if known, ok := p.solved[key]; ok {
		return known
	}
	v, found := p.find(required, b)
	out := solution{v, found}
	if found == no && slices.ContainsFunc(required, func(r requirement) bool { return r.wholePath }) {
		out.found = unknown // there may be a query with which it holds
	}
	if out.found != unknown {
		p.solved[key] = out
	}
	return out
}

// key identifies requirements and what is known to be impossible.
func (p *part) key(required []requirement) string {
	numbers := make([]int, len(required))
	for i, r := range required {
		if numbers[i] = r.number << 1; r.met {
			numbers[i]++
		}
	}
	slices.Sort(numbers)
	key := strconv.AppendInt(nil, int64(len(p.never)), 10)
	for _, n := range slices.Compact(numbers) {
		key = strconv.AppendInt(append(key, ' '), int64(n), 10)
	}
	if p.withoutAbsent {
		key = append(key, '!')
	}
	return string(key)
}

// isPossible reports whether the part can have a text.
func (p *part) isPossible(text string) bool {
	return has(p.within, text) && !slices.ContainsFunc(p.never, func(l language) bool { return has(l, text) })
}

func (p *part) find(required []requirement, b *budget) (value, answer) {
	fits := func(v value) bool {
		for _, r := range required {
			if !r.holds(&v) {
				return false
			}
		}
		return (v.absent && p.isOptional() && !p.withoutAbsent) || !v.absent && p.isPossible(v.text())
	}
	if fits(p.standard) {
		return p.standard, yes
	}
	if v := (value{absent: true}); fits(v) {
		return v, yes
	}
	needs, avoided := []language{}, slices.Clone(p.never)
	for _, r := range required {
		switch wantsMatch := r.met != r.invert; {
		case r.kind == plan.Present && !wantsMatch:
			return value{}, no // it would have to be absent
		case r.kind == plan.Present:
		case wantsMatch:
			needs = append(needs, r.language)
		default:
			avoided = append(avoided, r.language)
		}
	}
	for _, text := range p.candidates(required) {
		if v := (value{texts: []string{text}}); fits(v) {
			return v, yes
		}
	}
	several := p.several && len(needs) > 1
	own := b
	if several { // one value for all is nicer, but not worth much work
		own = &budget{min(b.left, 20_000)}
	}
	text, found := shortest(append([]language{p.within}, needs...), avoided, own)
	if !several || found == yes {
		return value{texts: []string{text}}, found
	}
	out := value{}
	for _, need := range needs {
		text, found := shortest([]language{p.within, need}, avoided, b)
		if found != yes {
			return value{}, found
		}
		if !slices.Contains(out.texts, text) {
			out.texts = append(out.texts, text)
		}
	}
	return out, yes
}

// candidates are texts that may meet the requirements, to be tried before automata are run.
func (p *part) candidates(required []requirement) []string {
	var out []string
	for _, r := range required {
		if r.kind != plan.Regex && r.kind != plan.Present && r.met != r.invert {
			out = append(out, r.value)
		}
	}
	return append(out, p.likely...)
}
