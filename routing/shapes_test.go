package routing_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// shape is a way in which the rules of a listener differ from each other.
type shape struct {
	name string
	// rule makes rule i of n; request one that meets it and no earlier one. i = n asks for a request that meets none.
	rule    func(b *rulebook, i int) routing.Rule
	request func(i int) *routing.Request
	hosts   bool // each rule has a virtual host of its own
}

// rulebook makes conditions.
type rulebook struct {
	t       testing.TB
	regexes *regex.Collection
}

func (b *rulebook) regex(format string, args ...any) *int {
	i, err := b.regexes.Add(fmt.Sprintf(format, args...), "h")
	require.NoError(b.t, err)
	return &i
}

func text(format string, args ...any) *string {
	s := fmt.Sprintf(format, args...)
	return &s
}

// ask is a request with as many headers as a browser sends.
func ask(path string, headers ...string) *routing.Request {
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

func path(m routing.StringMatch) routing.Rule {
	return routing.Rule{Path: &routing.PathMatch{StringMatch: m}}
}

func header(name string, m routing.StringMatch) routing.HeaderMatch {
	return routing.HeaderMatch{Name: name, StringMatch: m}
}

var methods = []string{"GET", "PUT", "POST", "PATCH", "DELETE"}

var shapes = []shape{
	{"exact", func(_ *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Exact: text("/team-%d/orders", i)})
	},
		func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/orders", i)) }, false},
	{"prefix", func(_ *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Prefix: text("/team-%d/items/", i)})
	},
		func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/items/17", i)) }, false},
	{"separated", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{Separated: text("/team-%d", i)}}
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/items/17", i)) }, false},
	{"exact-ignoring-case", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{StringMatch: routing.StringMatch{Exact: text("/Team-%d/orders", i)}, IgnoreCase: true}}
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/Orders", i)) }, false},
	{"prefix-ignoring-case", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Path: &routing.PathMatch{StringMatch: routing.StringMatch{Prefix: text("/Team-%d/", i)}, IgnoreCase: true}}
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/Orders", i)) }, false},
	{"regex", func(b *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Regex: b.regex("/team-%d/v[0-9]+/.*", i)})
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/team-%d/v2/list", i)) }, false},
	{"regex-alone", func(b *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Regex: b.regex("/[a-z]+/item-%d(/.*)?", i)})
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/shared/item-%d/list", i)) }, false},
	{"regex-of-classes", func(b *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Regex: b.regex("/[a-z]+/%s/.*", digits(i, "[%c-%c]"))})
	}, func(i int) *routing.Request { return ask("/shared/" + digits(i, "%[2]c") + "/list") }, false},
	{"header", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{header("x-tenant", routing.StringMatch{Exact: text("tenant-%d", i)})}}
	}, func(i int) *routing.Request { return ask("/", "x-tenant", fmt.Sprintf("tenant-%d", i)) }, false},
	{"header-prefix", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{header("x-tenant", routing.StringMatch{Prefix: text("tenant-%d-", i)})}}
	}, func(i int) *routing.Request { return ask("/", "x-tenant", fmt.Sprintf("tenant-%d-x", i)) }, false},
	{"header-regex", func(b *rulebook, i int) routing.Rule {
		return routing.Rule{Headers: []routing.HeaderMatch{header("cookie", routing.StringMatch{Regex: b.regex(`^(.*?;)?(user=jason%d)(;.*)?$`, i)})}}
	}, func(i int) *routing.Request { return ask("/", "cookie", fmt.Sprintf("id=17;user=jason%d;x", i)) }, false},
	{"same-path-header-value", func(_ *rulebook, i int) routing.Rule {
		u := path(routing.StringMatch{Exact: text("/api")})
		u.Headers = []routing.HeaderMatch{header("x-tenant", routing.StringMatch{Exact: text("tenant-%d", i)})}
		return u
	}, func(i int) *routing.Request { return ask("/api", "x-tenant", fmt.Sprintf("tenant-%d", i)) }, false},
	{"same-path-header-name", func(_ *rulebook, i int) routing.Rule {
		u := path(routing.StringMatch{Prefix: text("/api")})
		u.Headers = []routing.HeaderMatch{header(fmt.Sprintf("x-tenant-%d", i), routing.StringMatch{})}
		return u
	}, func(i int) *routing.Request { return ask("/api", fmt.Sprintf("x-tenant-%d", i), "1") }, false},
	{"two-headers", func(_ *rulebook, i int) routing.Rule {
		u := path(routing.StringMatch{Prefix: text("/api")})
		u.Headers = []routing.HeaderMatch{header("x-a", routing.StringMatch{Exact: text("a-%d", i%100)}), header("x-b", routing.StringMatch{Exact: text("b-%d", i/100)})}
		return u
	}, func(i int) *routing.Request {
		return ask("/api", "x-a", fmt.Sprintf("a-%d", i%100), "x-b", fmt.Sprintf("b-%d", i/100))
	}, false},
	{"query", func(_ *rulebook, i int) routing.Rule {
		return routing.Rule{Query: []routing.QueryMatch{{Name: "tenant", StringMatch: routing.StringMatch{Exact: text("tenant-%d", i)}}}}
	}, func(i int) *routing.Request { return ask(fmt.Sprintf("/api?a=b&tenant=tenant-%d&c=d", i)) }, false},
	{"method", func(_ *rulebook, i int) routing.Rule {
		u := path(routing.StringMatch{Exact: text("/team-%d/orders", i/5)})
		u.Headers = []routing.HeaderMatch{header(":method", routing.StringMatch{Exact: &methods[i%5]})}
		return u
	}, func(i int) *routing.Request {
		r := ask(fmt.Sprintf("/team-%d/orders", i/5))
		r.Method = methods[i%5]
		return r
	}, false},
	{"long-prefixes", func(_ *rulebook, i int) routing.Rule {
		return path(routing.StringMatch{Prefix: text("/organisations/departments/teams/services/versions/%d/", i)})
	}, func(i int) *routing.Request {
		return ask(fmt.Sprintf("/organisations/departments/teams/services/versions/%d/x", i))
	}, false},
	{"mixed", mixedRule, mixedRequest, false},
	{"split-and-fault", func(b *rulebook, i int) routing.Rule {
		u := mixedRule(b, i)
		u.Split = []routing.Share{{Outcome: "a", Weight: 9}, {Outcome: "b", Weight: 1}}
		u.Fault = &routing.Fault{Delay: &routing.Delay{Milliseconds: 5, PerMillion: 100_000}}
		return u
	}, mixedRequest, false},
	{"hosts", func(_ *rulebook, _ int) routing.Rule { return path(routing.StringMatch{Prefix: text("/")}) }, func(i int) *routing.Request {
		r := ask("/team/orders")
		r.Authority = fmt.Sprintf("shop-%d.example.com:8080", i)
		return r
	}, true},
}

// digits writes five digits, each by its format, as two neighbouring letters out of ten times two.
func digits(i int, format string) (s string) {
	for range 5 {
		s += fmt.Sprintf(format, 'a'+2*(i%10), 'b'+2*(i%10))
		i /= 10
	}
	return s
}

// mixedRule is a quarter each: an exact path, a path prefix, a path and a header, an expression.
func mixedRule(b *rulebook, i int) routing.Rule {
	switch i % 4 {
	case 0:
		return path(routing.StringMatch{Exact: text("/team-%d/orders", i)})
	case 1:
		return path(routing.StringMatch{Prefix: text("/team-%d/items/", i)})
	case 2:
		u := path(routing.StringMatch{Prefix: text("/shared/")})
		u.Headers = []routing.HeaderMatch{header("x-tenant", routing.StringMatch{Exact: text("tenant-%d", i)})}
		return u
	default:
		return path(routing.StringMatch{Regex: b.regex("/team-%d/v[0-9]+/.*", i)})
	}
}

func mixedRequest(i int) *routing.Request {
	switch i % 4 {
	case 0:
		return ask(fmt.Sprintf("/team-%d/orders", i), "x-tenant", "nobody")
	case 1:
		return ask(fmt.Sprintf("/team-%d/items/17", i), "x-tenant", "nobody")
	case 2:
		return ask("/shared/orders/17?q=1", "x-tenant", fmt.Sprintf("tenant-%d", i))
	default:
		return ask(fmt.Sprintf("/team-%d/v2/list", i), "x-tenant", "nobody")
	}
}

// config makes n rules of a shape.
func (s *shape) config(t testing.TB, n int) *routing.Config {
	b := &rulebook{t, regex.NewCollection(regex.Latin1)}
	c := &routing.Config{Version: routing.Version, Name: "http.80"}
	for i := range n {
		u := s.rule(b, i)
		u.Name = fmt.Sprintf("default/bench.http[%d].match[0]", i)
		if u.Split == nil {
			u.Outcome = fmt.Sprintf("k%012d", i)
		}
		if s.hosts {
			c.VirtualHosts = append(c.VirtualHosts, routing.VirtualHost{Name: fmt.Sprintf("h-%d", i), Domains: []string{fmt.Sprintf("shop-%d.example.com", i)}, Rules: []routing.Rule{u}})
			continue
		}
		if i == 0 {
			c.VirtualHosts = []routing.VirtualHost{{Name: "h", Domains: []string{"bench.test"}}}
		}
		c.VirtualHosts[0].Rules = append(c.VirtualHosts[0].Rules, u)
	}
	b.regexes.Write(c)
	return c
}
