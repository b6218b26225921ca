// Package routingtest makes rules and requests for tests of the rule engine, natively and compiled to Wasm, and has a
// simple second implementation of decisions to compare with, [Plain].
//
// A [Source] makes rules and requests from bytes, so that a fuzzer chooses them; [Shapes] are rules for which decisions
// are measured; [Worsts] are expensive requests of an attacker. The hard case is that requests must match rules: both
// consist of the same few words, since otherwise nearly every request would match no rule, and a comparison would test
// nothing.
//
// Only tests and the benchmark use it.
package routingtest

import (
	"regexp"
	"strings"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// Plain decides as the fields of routing.Config are documented, in the simplest way: one rule after the other, each
// condition by itself, expressions by Go's regexp. It shares no code with the engine.
type Plain struct {
	// Steps counts what it did, in the measure of the engine: rules, names of headers, comparisons, and the bytes that
	// they read, those of an expression twice.
	Steps int
	// Encoding is how bytes of values are read as characters, which is not in the configuration.
	Encoding regex.Encoding

	config  *routing.Config
	regexes []*regexp.Regexp
}

// NewPlain makes a Plain of a configuration. Its patterns must be ASCII.
func NewPlain(c *routing.Config, encoding regex.Encoding) *Plain {
	o := &Plain{config: c, Encoding: encoding}
	for _, r := range c.Regexes {
		o.regexes = append(o.regexes, regexp.MustCompile(`\A(?:`+r.Pattern+`)\z`))
	}
	return o
}

// Outcome returns the id of the outcome of the first rule that matches, or "".
func (o *Plain) Outcome(r *routing.Request) string {
	host, rule := o.Decide(r)
	if rule < 0 {
		return ""
	}
	return o.config.VirtualHosts[host].Rules[rule].Outcome
}

// Decide returns the indexes of the virtual host and of the first rule that matches, each -1 if there is none.
func (o *Plain) Decide(r *routing.Request) (host, rule int) {
	if !r.HasAuthority {
		return -1, -1
	}
	host = o.host(r.Authority)
	if host < 0 || !r.HasPath {
		return host, -1
	}
	for i := range o.config.VirtualHosts[host].Rules {
		if o.matches(&o.config.VirtualHosts[host].Rules[i], r) {
			return host, i
		}
	}
	return host, -1
}

// Rules returns how many rules a request is compared with if none of its virtual host matches.
func (o *Plain) Rules(r *routing.Request, host int) int {
	if host < 0 || !r.HasPath {
		return 0
	}
	return len(o.config.VirtualHosts[host].Rules)
}

// Unmet returns the conditions of a rule that a request does not meet, as [routing.Table.Trace] lists them.
func (o *Plain) Unmet(r *routing.Request, host, rule int) []routing.Unmet {
	u := &o.config.VirtualHosts[host].Rules[rule]
	out := []routing.Unmet{}
	if u.Path != nil && !o.path(u.Path, r.Path) {
		out = append(out, routing.Unmet{Part: routing.PathPart})
	}
	if u.Never {
		return append(out, routing.Unmet{Part: routing.NeverPart})
	}
	for i := range u.Headers {
		if !o.header(&u.Headers[i], r) {
			out = append(out, routing.Unmet{Part: routing.HeaderPart, Index: i})
		}
	}
	for i, q := range u.Query {
		if !o.query(q, r.Path) {
			out = append(out, routing.Unmet{Part: routing.QueryPart, Index: i})
		}
	}
	return out
}

func (o *Plain) host(authority string) int {
	name := strings.ToLower(authority)
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "]") {
		name = name[:i]
	}
	best, length := -1, -1
	for i, h := range o.config.VirtualHosts {
		for _, d := range h.Domains {
			if d == name {
				return i
			}
			if suffix, ok := strings.CutPrefix(d, "*"); ok && (suffix == "" || len(name) > len(suffix)) && strings.HasSuffix(name, suffix) && len(suffix) > length {
				best, length = i, len(suffix)
			}
		}
	}
	return best
}

func (o *Plain) matches(u *routing.Rule, r *routing.Request) bool {
	o.Steps++
	if u.Never || u.Path != nil && !o.path(u.Path, r.Path) {
		return false
	}
	for i := range u.Headers {
		if !o.header(&u.Headers[i], r) {
			return false
		}
	}
	for _, q := range u.Query {
		if !o.query(q, r.Path) {
			return false
		}
	}
	return true
}

func (o *Plain) path(p *routing.PathMatch, path string) bool {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	o.Steps += 1 + min(len(path), longest(p.Exact, p.Prefix, p.Separated))
	fold := func(s string) string {
		if !p.IgnoreCase {
			return s
		}
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, s)
	}
	switch {
	case p.Exact != nil:
		return fold(path) == fold(*p.Exact)
	case p.Prefix != nil:
		return strings.HasPrefix(fold(path), fold(*p.Prefix))
	case p.Separated != nil:
		rest, ok := strings.CutPrefix(fold(path), fold(*p.Separated))
		return ok && (rest == "" || rest[0] == '/')
	default:
		return o.regex(*p.Regex, path)
	}
}

func (o *Plain) regex(i int, value string) bool {
	o.Steps += 2 * len(value)
	if o.Encoding == regex.Latin1 {
		characters := make([]rune, 0, len(value))
		for i := range len(value) {
			characters = append(characters, rune(value[i]))
		}
		value = string(characters)
	}
	return o.regexes[i].MatchString(value)
}

// longest is the length of the longest of some texts that may be nil.
func longest(texts ...*string) (n int) {
	for _, s := range texts {
		if s != nil {
			n = max(n, len(*s))
		}
	}
	return n
}

// compare reports whether a value meets a condition. A condition on presence is met by every value.
func (o *Plain) compare(c routing.StringMatch, value string) bool {
	o.Steps += 1 + min(len(value), longest(c.Exact, c.Prefix))
	switch {
	case c.Exact != nil:
		return value == *c.Exact
	case c.Prefix != nil:
		return strings.HasPrefix(value, *c.Prefix)
	case c.Regex != nil:
		return o.regex(*c.Regex, value)
	default:
		return true
	}
}

func (o *Plain) header(h *routing.HeaderMatch, r *routing.Request) bool {
	var values []string
	add := func(has bool, v string) {
		if has {
			values = append(values, v)
		}
	}
	switch strings.ToLower(h.Name) {
	case ":method":
		add(r.HasMethod, r.Method)
	case ":scheme":
		add(r.HasScheme, r.Scheme)
	case ":path":
		add(r.HasPath, r.Path)
	case ":authority", "host":
		add(r.HasAuthority, r.Authority)
	default:
		o.Steps += len(r.Headers)
		for _, line := range r.Headers {
			add(line.Name == strings.ToLower(h.Name), line.Value)
		}
	}
	isPresence := h.StringMatch == routing.StringMatch{}
	if isPresence {
		return (len(values) > 0) != h.Invert
	}
	if len(values) == 0 {
		return h.MissingAsEmpty && o.compare(h.StringMatch, "") != h.Invert
	}
	if o.config.RepeatedHeaders == routing.RepeatedHeadersJoined {
		values = []string{strings.Join(values, ",")}
	}
	for _, v := range values {
		if o.compare(h.StringMatch, v) {
			return !h.Invert
		}
	}
	return h.Invert
}

func (o *Plain) query(q routing.QueryMatch, path string) bool {
	_, text, _ := strings.Cut(path, "?")
	for _, param := range strings.Split(text, "&") {
		name, value, _ := strings.Cut(param, "=")
		if param != "" && name == q.Name {
			return o.compare(q.StringMatch, value)
		}
	}
	return false
}
