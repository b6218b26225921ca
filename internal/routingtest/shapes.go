package routingtest

import (
	"fmt"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// Shape is a kind of rules of a listener, by what distinguishes the rules from each other.
type Shape struct {
	Name string
	// Rule makes rule i of n. Request makes a request that matches rule i and no earlier rule, or no rule at all if i
	// is n.
	Rule    func(b *Rulebook, i int) routing.Rule
	Request func(i int) *routing.Request
	Hosts   bool // each rule has a virtual host of its own
}

// Shaped returns a shape by its name.
func Shaped(name string) *Shape {
	for i := range Shapes {
		if Shapes[i].Name == name {
			return &Shapes[i]
		}
	}
	panic("no shape " + name)
}

// Rulebook is the expressions of a configuration that is being made.
type Rulebook struct{ regexes *regex.Collection }

// Regex adds an expression, which is formatted as by fmt.Sprintf, and returns its index.
func (b *Rulebook) Regex(format string, args ...any) *int {
	i, err := b.regexes.Add(fmt.Sprintf(format, args...), "h")
	if err != nil {
		panic(err)
	}
	return &i
}

// Text returns a text that is formatted as by fmt.Sprintf.
func Text(format string, args ...any) *string {
	s := fmt.Sprintf(format, args...)
	return &s
}

// Ask returns a request with about as many headers as a browser sends. headers are further names and values, in turn.
func Ask(path string, headers ...string) *routing.Request {
	r := &routing.Request{}
	for _, h := range [][2]string{{":authority", "bench.test"}, {":path", path}, {":method", "GET"}, {":scheme", "http"},
		{"user-agent", "bench/1.0"}, {"accept", "application/json"}, {"accept-encoding", "gzip"}, {"accept-language", "en"},
		{"x-request-id", "6f1ed002-ab5c-4bd9-9a6c-1f0e5a0f7c3e"}, {"cookie", "session=0123456789abcdef"}} {
		r.Set(h[0], h[1])
	}
	for i := 0; i < len(headers); i += 2 {
		r.Set(headers[i], headers[i+1])
	}
	return r
}

// Path returns a rule with a condition only on the path.
func Path(m routing.StringMatch) routing.Rule {
	return routing.Rule{Path: &routing.PathMatch{StringMatch: m}}
}

// Header returns a condition on a header.
func Header(name string, m routing.StringMatch) routing.HeaderMatch {
	return routing.HeaderMatch{Name: name, StringMatch: m}
}

var methods = []string{"GET", "PUT", "POST", "PATCH", "DELETE"}

// Shapes are the shapes for which decisions are measured.
var Shapes = []Shape{
	{"exact", func(_ *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Exact: Text("/team-%d/orders", i)})
	},
		func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/orders", i)) }, false},
	{"prefix", func(_ *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Prefix: Text("/team-%d/items/", i)})
	},
		func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/items/17", i)) }, false},
	{"separated", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{Separated: Text("/team-%d", i)}}
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/items/17", i)) }, false},
	{"exact-ignoring-case", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{StringMatch: routing.StringMatch{Exact: Text("/Team-%d/orders", i)}, IgnoreCase: true}}
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/Orders", i)) }, false},
	{"prefix-ignoring-case", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{StringMatch: routing.StringMatch{Prefix: Text("/Team-%d/", i)}, IgnoreCase: true}}
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/Orders", i)) }, false},
	{"regex", func(b *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Regex: b.Regex("/team-%d/v[0-9]+/.*", i)})
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/team-%d/v2/list", i)) }, false},
	{"regex-alone", func(b *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Regex: b.Regex("/[a-z]+/item-%d(/.*)?", i)})
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/shared/item-%d/list", i)) }, false},
	{"regex-of-classes", func(b *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Regex: b.Regex("/[a-z]+/%s/.*", Digits(i, "[%c-%c]"))})
	}, func(i int) *routing.Request { return Ask("/shared/" + Digits(i, "%[2]c") + "/list") }, false},
	{"header", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{Header("x-tenant", routing.StringMatch{Exact: Text("tenant-%d", i)})}}
	}, func(i int) *routing.Request { return Ask("/", "x-tenant", fmt.Sprintf("tenant-%d", i)) }, false},
	{"header-prefix", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{Header("x-tenant", routing.StringMatch{Prefix: Text("tenant-%d-", i)})}}
	}, func(i int) *routing.Request { return Ask("/", "x-tenant", fmt.Sprintf("tenant-%d-x", i)) }, false},
	{"header-regex", func(b *Rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{Header("cookie", routing.StringMatch{Regex: b.Regex(`^(.*?;)?(user=jason%d)(;.*)?$`, i)})}}
	}, func(i int) *routing.Request { return Ask("/", "cookie", fmt.Sprintf("id=17;user=jason%d;x", i)) }, false},
	{"same-path-header-value", func(_ *Rulebook, i int) routing.Rule {
		u := Path(routing.StringMatch{Exact: Text("/api")})
		u.Headers = []routing.HeaderMatch{Header("x-tenant", routing.StringMatch{Exact: Text("tenant-%d", i)})}
		return u
	}, func(i int) *routing.Request { return Ask("/api", "x-tenant", fmt.Sprintf("tenant-%d", i)) }, false},
	{"same-path-header-name", func(_ *Rulebook, i int) routing.Rule {
		u := Path(routing.StringMatch{Prefix: Text("/api")})
		u.Headers = []routing.HeaderMatch{Header(fmt.Sprintf("x-tenant-%d", i), routing.StringMatch{})}
		return u
	}, func(i int) *routing.Request { return Ask("/api", fmt.Sprintf("x-tenant-%d", i), "1") }, false},
	{"two-headers", func(_ *Rulebook, i int) routing.Rule {
		u := Path(routing.StringMatch{Prefix: Text("/api")})
		u.Headers = []routing.HeaderMatch{Header("x-a", routing.StringMatch{Exact: Text("a-%d", i%100)}), Header("x-b", routing.StringMatch{Exact: Text("b-%d", i/100)})}
		return u
	}, func(i int) *routing.Request {
		return Ask("/api", "x-a", fmt.Sprintf("a-%d", i%100), "x-b", fmt.Sprintf("b-%d", i/100))
	}, false},
	{"query", func(_ *Rulebook, i int) routing.Rule {
		return routing.Rule{Query: []routing.QueryMatch{{Name: "tenant", StringMatch: routing.StringMatch{Exact: Text("tenant-%d", i)}}}}
	}, func(i int) *routing.Request { return Ask(fmt.Sprintf("/api?a=b&tenant=tenant-%d&c=d", i)) }, false},
	{"method", func(_ *Rulebook, i int) routing.Rule {
		u := Path(routing.StringMatch{Exact: Text("/team-%d/orders", i/5)})
		u.Headers = []routing.HeaderMatch{Header(":method", routing.StringMatch{Exact: &methods[i%5]})}
		return u
	}, func(i int) *routing.Request {
		r := Ask(fmt.Sprintf("/team-%d/orders", i/5))
		r.Method = methods[i%5]
		return r
	}, false},
	{"long-prefixes", func(_ *Rulebook, i int) routing.Rule {
		return Path(routing.StringMatch{Prefix: Text("/organisations/departments/teams/services/versions/%d/", i)})
	}, func(i int) *routing.Request {
		return Ask(fmt.Sprintf("/organisations/departments/teams/services/versions/%d/x", i))
	}, false},
	{"mixed", mixedRule, mixedRequest, false},
	{"split-and-fault", func(b *Rulebook, i int) routing.Rule {
		u := mixedRule(b, i)
		u.Split = []routing.Share{{Outcome: "a", Weight: 9}, {Outcome: "b", Weight: 1}}
		u.Fault = &routing.Fault{Delay: &routing.Delay{Milliseconds: 5, PerMillion: 100_000}}
		return u
	}, mixedRequest, false},
	{"hosts", func(_ *Rulebook, _ int) routing.Rule { return Path(routing.StringMatch{Prefix: Text("/")}) }, func(i int) *routing.Request {
		r := Ask("/team/orders")
		r.Authority = fmt.Sprintf("shop-%d.example.com:8080", i)
		return r
	}, true},
}

// Digits writes the last five decimal digits of i, the lowest first. Each is written by format as two neighbouring
// letters: a and b for 0, c and d for 1, and so on.
func Digits(i int, format string) (s string) {
	for range 5 {
		s += fmt.Sprintf(format, 'a'+2*(i%10), 'b'+2*(i%10))
		i /= 10
	}
	return s
}

// mixedRule makes one of four kinds of rules in turn: an exact path, a path prefix, a path prefix and a header, an
// expression.
func mixedRule(b *Rulebook, i int) routing.Rule {
	switch i % 4 {
	case 0:
		return Path(routing.StringMatch{Exact: Text("/team-%d/orders", i)})
	case 1:
		return Path(routing.StringMatch{Prefix: Text("/team-%d/items/", i)})
	case 2:
		u := Path(routing.StringMatch{Prefix: Text("/shared/")})
		u.Headers = []routing.HeaderMatch{Header("x-tenant", routing.StringMatch{Exact: Text("tenant-%d", i)})}
		return u
	default:
		return Path(routing.StringMatch{Regex: b.Regex("/team-%d/v[0-9]+/.*", i)})
	}
}

func mixedRequest(i int) *routing.Request {
	switch i % 4 {
	case 0:
		return Ask(fmt.Sprintf("/team-%d/orders", i), "x-tenant", "nobody")
	case 1:
		return Ask(fmt.Sprintf("/team-%d/items/17", i), "x-tenant", "nobody")
	case 2:
		return Ask("/shared/orders/17?q=1", "x-tenant", fmt.Sprintf("tenant-%d", i))
	default:
		return Ask(fmt.Sprintf("/team-%d/v2/list", i), "x-tenant", "nobody")
	}
}

// Config makes n rules of a shape.
func (s *Shape) Config(n int) *routing.Config { return s.From(0, n) }

// From makes n rules of a shape, beginning with rule first.
func (s *Shape) From(first, n int) *routing.Config {
	b := &Rulebook{regex.NewCollection(regex.Latin1)}
	c := &routing.Config{Version: routing.Version, Name: "http.80"}
	for i := first; i < first+n; i++ {
		u := s.Rule(b, i)
		u.Name = fmt.Sprintf("default/bench.http[%d].match[0]", i)
		if u.Split == nil {
			u.Outcome = fmt.Sprintf("k%012d", i)
		}
		if s.Hosts {
			c.VirtualHosts = append(c.VirtualHosts, routing.VirtualHost{Name: fmt.Sprintf("h-%d", i), Domains: []string{fmt.Sprintf("shop-%d.example.com", i)}, Rules: []routing.Rule{u}})
			continue
		}
		if i == first {
			c.VirtualHosts = []routing.VirtualHost{{Name: "h", Domains: []string{"bench.test"}}}
		}
		c.VirtualHosts[0].Rules = append(c.VirtualHosts[0].Rules, u)
	}
	b.regexes.Write(c)
	return c
}

// List makes a configuration with the rules of one virtual host, whose domain is "*".
func List(rules func(b *Rulebook) []routing.Rule) *routing.Config {
	b := &Rulebook{regex.NewCollection(regex.Latin1)}
	c := &routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{{Name: "h", Domains: []string{"*"}, Rules: rules(b)}}}
	for i := range c.VirtualHosts[0].Rules {
		c.VirtualHosts[0].Rules[i].Outcome = fmt.Sprintf("k%d", i)
	}
	b.regexes.Write(c)
	return c
}
