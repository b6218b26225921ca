package routingtest

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// Source makes choices by bytes, so that a fuzzer chooses rules and requests. When no bytes are left, it chooses the
// first of all alternatives.
type Source struct{ data []byte }

// NewSource makes a Source that reads data and does not change it.
func NewSource(data []byte) *Source { return &Source{data} }

// Noise returns n bytes for a Source, the same for the same dice.
func Noise(dice *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(dice.Uint32())
	}
	return b
}

func (s *Source) below(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	c := int(s.data[0])
	s.data = s.data[1:]
	return c % n
}

func (s *Source) of(texts ...string) string { return texts[s.below(len(texts))] }

func (s *Source) oneIn(n int) bool { return s.below(n) == n-1 }

// word chooses one of a few similar words, so that rules match requests, share prefixes, and differ by one byte or only
// by case. Some words are longer than the eight bytes that the engine compares at once.
func (s *Source) word() string {
	return s.of("a", "b", "A", "ab", "", "abc", "team-1", "team-12", "TEAM-1", "a-long-common-beginning", "a-long-common-beginning-1", "a-Long-common-beginning-1", "\u00e9", "x1y", "items")
}

func (s *Source) path() string {
	p := ""
	for range 1 + s.below(4) {
		p += "/" + s.word()
	}
	return p
}

func (s *Source) name() string { return s.of("x-a", "x-b", "x-c", "x-a-long-name") }

var patterns = []string{`/team-1/.*`, `/team-12/[a-z]+`, `/[a-z]+/items`, `.*`, `(?i)/team-1.*`, `/a(b|c)*`, `.*team-1.*`, `^(.*?;)?(user=a)(;.*)?$`,
	`[ab]+`, `a*`, `/(a|ab)(c|bc)?`, `\d+`, `team-\d`, `/team-1/a$`, `.*\bitems\b.*`, `(?s).*x1y`, `[^/]+`, `(/[a-z0-9-]+){2}`, `/a/.{0,3}`, `a-long-common-beginning-\d?`,
	`(a|b)*a(a|b){20}`, `.*-common-.*`, `/[a-z-]+1/.*`}

// book is the expressions of a configuration, in one encoding.
type book struct {
	config   *routing.Config
	encoding regex.Encoding
}

// books returns four books for each encoding, the first with all patterns and the others with fewer and fewer. How many
// patterns there are decides whether the index finds a pattern by its prefix, by a text or by a set. Automata take long
// to make, so the books are made once.
var books = sync.OnceValue(func() (all []book) {
	for _, encoding := range []regex.Encoding{regex.UTF8, regex.Latin1} {
		for step := 1; step <= 7; step += 2 {
			c := &routing.Config{}
			regexes := regex.NewCollection(encoding)
			for i := 0; i < len(patterns); i += step {
				if _, err := regexes.Add(patterns[i], "place"); err != nil {
					panic(err)
				}
			}
			regexes.Write(c)
			all = append(all, book{c, encoding})
		}
	}
	return all
})

// Rules makes the configuration of a listener, and a [Plain] of it. It has one to three virtual hosts with up to 39
// rules each; each rule has an outcome of its own.
func (s *Source) Rules() (*routing.Config, *Plain) {
	book := books()[s.below(8)]
	c := &routing.Config{Version: routing.Version, Programs: book.config.Programs, Regexes: book.config.Regexes, Sets: book.config.Sets}
	if s.oneIn(4) {
		c.RepeatedHeaders = routing.RepeatedHeadersJoined
	}
	domains := []string{"a.test", "*.test", "*.b.test", "*", "*-c.test", "a.b.test"}
	for i := range 1 + s.below(3) {
		h := routing.VirtualHost{Name: "h", Domains: domains[2*i : 2*i+2], Rules: []routing.Rule{}}
		for n := range s.below(40) {
			u := s.rule(len(c.Regexes))
			u.Outcome = fmt.Sprintf("k%d-%d", i, n)
			h.Rules = append(h.Rules, u)
		}
		c.VirtualHosts = append(c.VirtualHosts, h)
	}
	return c, NewPlain(c, book.encoding)
}

func (s *Source) comparison(regexes int) routing.StringMatch {
	text := s.word()
	switch s.below(4) {
	case 0:
		return routing.StringMatch{Exact: &text}
	case 1:
		return routing.StringMatch{Prefix: &text}
	case 2:
		i := s.below(regexes)
		return routing.StringMatch{Regex: &i}
	default:
		return routing.StringMatch{}
	}
}

func (s *Source) rule(regexes int) routing.Rule {
	u := routing.Rule{Never: s.oneIn(16)}
	text := s.path()
	switch s.below(6) {
	case 0:
		u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Exact: &text}, IgnoreCase: s.oneIn(3)}
	case 1:
		u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Prefix: &text}, IgnoreCase: s.oneIn(3)}
	case 2:
		u.Path = &routing.PathMatch{Separated: &text, IgnoreCase: s.oneIn(3)}
	case 3, 4:
		i := s.below(regexes)
		u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Regex: &i}}
	}
	for range s.below(4) {
		h := routing.HeaderMatch{Name: s.name()}
		if s.oneIn(4) {
			h.Name = s.of(":method", ":scheme", ":authority", ":path", "host")
		}
		h.StringMatch = s.comparison(regexes)
		h.Invert = s.oneIn(4)
		h.MissingAsEmpty = h.StringMatch != routing.StringMatch{} && s.oneIn(4)
		u.Headers = append(u.Headers, h)
	}
	for range s.below(3) / 2 {
		u.Query = append(u.Query, routing.QueryMatch{Name: s.of("q", "r", "a-long-common-beginning"), StringMatch: s.comparison(regexes)})
	}
	return u
}

// Request makes a request for the rules of [Source.Rules]. Most of its values consist of the same words.
func (s *Source) Request() *routing.Request {
	r := &routing.Request{}
	if !s.oneIn(30) {
		r.Set(":authority", s.of("a.test", "x.test", "A.b.TEST:80", "b.test", "y-c.test", "other", "[::1]:80", "..", ""))
	}
	path := s.path()
	if s.oneIn(8) {
		path += "#x"
	}
	for i := range s.below(4) {
		path += []string{"?", "&", "&"}[i] + s.of("q", "r", "a-long-common-beginning", "") + s.of("=", "") + s.word()
	}
	if !s.oneIn(30) {
		r.Set(":path", path)
	}
	r.Set(":method", s.of("GET", "a", "POST"))
	if s.oneIn(2) {
		r.Set(":scheme", s.of("http", "a"))
	}
	for range s.below(6) {
		r.Set(s.name(), s.of(s.word(), s.path(), "id=1;user=a;x", "", "ab"))
	}
	return r
}
