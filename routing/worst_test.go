package routing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// shaped returns a shape by its name.
func shaped(name string) *shape {
	for i := range shapes {
		if shapes[i].name == name {
			return &shapes[i]
		}
	}
	panic("no shape " + name)
}

// list makes rules of one virtual host, "*".
func list(t testing.TB, rules func(b *rulebook) []routing.Rule) *routing.Config {
	b := &rulebook{t, regex.NewCollection(regex.Latin1)}
	c := &routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{{Name: "h", Domains: []string{"*"}, Rules: rules(b)}}}
	for i := range c.VirtualHosts[0].Rules {
		c.VirtualHosts[0].Rules[i].Outcome = fmt.Sprintf("k%d", i)
	}
	b.regexes.Write(c)
	return c
}

// times returns the median of a few runs.
func times(f func()) time.Duration {
	x, _ := inTurnsOf(5, 1, f, func() {})
	return x
}

// TestTheWorstRequests asks what nobody should: what it costs stays in proportion to the bytes of the request.
func TestTheWorstRequests(t *testing.T) {
	mixed := shaped("mixed").config(t, 10_000)
	mixed.VirtualHosts[0].Domains = append(mixed.VirtualHosts[0].Domains, "*.dots", "*")
	onePrefix := list(t, func(*rulebook) (rules []routing.Rule) {
		for i := range 10_000 {
			u := path(routing.StringMatch{Prefix: text("/")})
			u.Headers = []routing.HeaderMatch{{Name: "x-a", StringMatch: routing.StringMatch{Exact: text("v%d", i)}, Invert: true, MissingAsEmpty: true}, header("x-b", routing.StringMatch{Exact: text("v%d", i)})}
			rules = append(rules, u)
		}
		return rules
	})
	nested := list(t, func(*rulebook) (rules []routing.Rule) {
		for i := range 10_000 {
			u := path(routing.StringMatch{Prefix: text("/%s", strings.Repeat("a", 10_000-i))})
			u.Headers = []routing.HeaderMatch{header("x-never", routing.StringMatch{})}
			rules = append(rules, u)
		}
		return rules
	})
	explosive := list(t, func(b *rulebook) (rules []routing.Rule) {
		for i := range 200 {
			rules = append(rules, path(routing.StringMatch{Regex: b.regex(".*a.{%d}.*b%d", 10+i%20, i)}))
		}
		for _, p := range []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `.*.*.*.*b`, `(.?){500}b`, `(a|b)*a(a|b){20}c`} {
			rules = append(rules, path(routing.StringMatch{Regex: b.regex("%s", p)}))
		}
		return rules
	})
	sameText := list(t, func(b *rulebook) (rules []routing.Rule) {
		for i := range 100 {
			rules = append(rules, path(routing.StringMatch{Regex: b.regex("/[a-z/]*/item-%d/[0-9]", i)}))
		}
		return rules
	})
	manyHeaders := ask("/nothing")
	for i := range 1000 {
		manyHeaders.Set(fmt.Sprintf("x-%d", i), "v")
	}
	oneHeader, oneParameter := ask("/shared/x"), ask("/shared/x?"+strings.Repeat("q=1&", 100)+"tenant=tenant-7")
	for i := range 1000 {
		oneHeader.Set("x-tenant", fmt.Sprintf("no-%d", i))
	}
	dots := ask("/")
	dots.Authority = strings.Repeat(".", 60_000)
	bothHeaders := ask("/x", "x-b", "v9999")
	for what, c := range map[string]struct {
		config *routing.Config
		r      *routing.Request
		want   int
	}{
		"a path of 60 KB":                      {mixed, ask("/team-1/items/" + strings.Repeat("/x", 30<<10)), 1},
		"a path of 60 KB that nothing takes":   {mixed, ask("/" + strings.Repeat("/x", 30<<10)), -1},
		"1,000 headers":                        {mixed, manyHeaders, -1},
		"1,000 headers of one name":            {mixed, oneHeader, -1},
		"100 query parameters of one name":     {shaped("query").config(t, 10_000), oneParameter, 7},
		"a host of dots":                       {mixed, dots, -1},
		"10,000 rules with one prefix":         {onePrefix, bothHeaders, 9999},
		"10,000 prefixes of one path":          {nested, ask("/" + strings.Repeat("a", 60_000)), -1},
		"patterns made to explode":             {explosive, ask(strings.Repeat("a", 2000)), -1},
		"a text that many patterns look for":   {sameText, ask(strings.Repeat("/item-7", 8000)), -1},
		"a path of no bytes":                   {mixed, ask(""), -1},
		"10,000 names, a header for each 10th": {shaped("same-path-header-name").config(t, 10_000), manyTenants(), 0},
	} {
		t.Run(what, func(t *testing.T) {
			table := compile(t, c.config)
			require.Equal(t, c.want, table.Decide(c.r, routing.Dice{}).Rule)
			spent := times(func() { table.Decide(c.r, routing.Dice{}) })
			t.Logf("%v", spent)
			assert.Less(t, spent, 100*time.Millisecond, "a bound for a busy machine, a hundredth of what an unbounded cost would take")
			assert.Zero(t, testing.AllocsPerRun(10, func() { table.Decide(c.r, routing.Dice{}) }))
		})
	}
}

func manyTenants() *routing.Request {
	r := ask("/api")
	for i := range 1000 {
		r.Set(fmt.Sprintf("x-tenant-%d", 10*i), "1")
	}
	return r
}

func TestADecisionOfAnyShapeAllocatesNothing(t *testing.T) {
	for i := range shapes {
		s := &shapes[i]
		table := compile(t, s.config(t, 1000))
		for _, hit := range hits {
			r := s.request(hit.of(1000))
			table.Decide(r, routing.Dice{}) // grows the scratch once
			assert.Zero(t, testing.AllocsPerRun(100, func() { table.Decide(r, routing.Dice{}) }), "%s, %s", s.name, hit.name)
		}
	}
}

// wordy are patterns that no literal tells apart.
func wordy(n int) func(b *rulebook) []routing.Rule {
	return func(b *rulebook) (rules []routing.Rule) {
		for i := range n {
			rules = append(rules, path(routing.StringMatch{Regex: b.regex("/[a-z]+/[%c-%c]{%d}[0-9]+", 'a'+i%13, 'm'+i%13, 1+i/13)}))
		}
		return rules
	}
}

// TestAHundredExpressionsCostLittleMoreThanOne holds the automata of many expressions against asking in turn, which is
// what a hundred virtual hosts of one rule each, one after the other, would be.
func TestAHundredExpressionsCostLittleMoreThanOne(t *testing.T) {
	for name, rules := range map[string]func(n int) func(b *rulebook) []routing.Rule{
		"that only an automaton tells apart": wordy,
		"that a text tells apart": func(n int) func(b *rulebook) []routing.Rule {
			return func(b *rulebook) (rules []routing.Rule) {
				for i := range n {
					rules = append(rules, path(routing.StringMatch{Regex: b.regex("/[a-z]+/item-%d(/[a-z0-9]+)*", i)}))
				}
				return rules
			}
		},
		"that a prefix tells apart": func(n int) func(b *rulebook) []routing.Rule {
			return func(b *rulebook) (rules []routing.Rule) {
				for i := range n {
					rules = append(rules, path(routing.StringMatch{Regex: b.regex("/items-%d/[a-z0-9]+/[0-9]+", i)}))
				}
				return rules
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, hundred := compile(t, list(t, rules(1))), compile(t, list(t, rules(100)))
			plain := newOracle(list(t, rules(100)))
			var a, b *routing.Request
			switch name {
			case "that only an automaton tells apart":
				a, b = ask("/services/abcdefghij0123456789"), ask("/services/zzzzzzzz0123456789")
			case "that a text tells apart":
				a, b = ask("/services/item-0/abcdefgh/01234567"), ask("/services/item-99/abcdefgh/01234567")
			default:
				a, b = ask("/items-0/abcdefghijkl/0123456789"), ask("/items-99/abcdefghijkl/0123456789")
			}
			want := -1
			for i := range plain.config.VirtualHosts[0].Rules {
				if plain.matches(&plain.config.VirtualHosts[0].Rules[i], b) {
					want = i
					break
				}
			}
			require.Equal(t, want, hundred.Decide(b, routing.Dice{}).Rule)
			const tries = 3
			var x, y, inTurn time.Duration
			for range tries {
				x, y = inTurns(func() { one.Decide(a, routing.Dice{}) }, func() { hundred.Decide(b, routing.Dice{}) })
				_, inTurn = inTurnsOf(9, 20, func() {}, func() { plain.decide(b) })
				if y <= 2*x && inTurn >= 20*y {
					break
				}
			}
			t.Logf("1: %v, 100: %v, 100 in turn by Go's regexp: %v", x, y, inTurn)
			assert.LessOrEqual(t, y, 2*x+x/2)
			assert.GreaterOrEqual(t, inTurn, 20*y)
		})
	}
}
