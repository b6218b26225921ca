package routing_test

import (
	"regexp"
	"strings"

	"waymark.dev/waymark/routing"
)

// oracle decides as the fields of routing.Config say, in the plainest way: one rule after the other, each condition on
// its own, expressions by Go's regexp. It shares no code with the engine.
type oracle struct {
	config  *routing.Config
	regexes []*regexp.Regexp
}

func newOracle(c *routing.Config) *oracle {
	o := &oracle{config: c}
	for _, r := range c.Regexes {
		o.regexes = append(o.regexes, regexp.MustCompile(`\A(?:`+r.Pattern+`)\z`))
	}
	return o
}

// decide returns the indexes of the virtual host and of the rule, or -1.
func (o *oracle) decide(r *routing.Request) (host, rule int) {
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

func (o *oracle) host(authority string) int {
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

func (o *oracle) matches(u *routing.Rule, r *routing.Request) bool {
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

func (o *oracle) path(p *routing.PathMatch, path string) bool {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
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
		return o.regexes[*p.Regex].MatchString(path)
	}
}

// compare is true for a condition on presence.
func (o *oracle) compare(c routing.StringMatch, value string) bool {
	switch {
	case c.Exact != nil:
		return value == *c.Exact
	case c.Prefix != nil:
		return strings.HasPrefix(value, *c.Prefix)
	case c.Regex != nil:
		return o.regexes[*c.Regex].MatchString(value)
	default:
		return true
	}
}

func (o *oracle) header(h *routing.HeaderMatch, r *routing.Request) bool {
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

func (o *oracle) query(q routing.QueryMatch, path string) bool {
	_, text, _ := strings.Cut(path, "?")
	for _, param := range strings.Split(text, "&") {
		name, value, _ := strings.Cut(param, "=")
		if param != "" && name == q.Name {
			return o.compare(q.StringMatch, value)
		}
	}
	return false
}
