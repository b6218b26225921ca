package routing_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

// A request for which expressions would take too many steps has no outcome: it does not get a later rule, which an earlier
// one that was not looked at to its end could hide. The next request is decided as ever.
func TestMatchingIsGivenUp(t *testing.T) {
	const rules = 200
	config := routingtest.List(func(b *routingtest.Rulebook) (all []routing.Rule) {
		for i := range rules {
			u := routingtest.Path(routing.StringMatch{Regex: b.Regex("/(a|b)*c{%d}", i+1)})
			u.Headers = []routing.HeaderMatch{routingtest.Header("x-a", routing.StringMatch{Exact: routingtest.Text("v%d", i)})}
			all = append(all, u)
		}
		return append(all, routingtest.Path(routing.StringMatch{Prefix: routingtest.Text("/")}))
	})
	table := compile(t, config)
	ask := func(path string, values int) *routing.Request {
		r := routingtest.Ask(path)
		for i := range values {
			r.Set("x-a", *routingtest.Text("v%d", i))
		}
		return r
	}
	long := "/" + strings.Repeat("a", 50_000)

	d := table.Decide(ask(long, 10), routing.Dice{})
	require.False(t, d.Exhausted)
	require.Equal(t, rules, d.Rule, "the last rule takes everything")

	r := ask(long, 100)
	d = table.Decide(r, routing.Dice{})
	assert.True(t, d.Exhausted)
	assert.Equal(t, routing.Decision{VirtualHost: 0, Rule: -1, Exhausted: true}, d, "no rule, no outcome")
	assert.Equal(t, rules, table.DecideUnbounded(r, routing.Dice{}).Rule)
	assert.True(t, table.Decide(r, routing.Dice{}).Exhausted)

	r.Path = "/ac"
	assert.Equal(t, 0, table.Decide(r, routing.Dice{}).Rule, "the steps of an earlier decision do not count")
}

// It stays given up, however many rules are left: the count of steps does not begin anew where int has 32 bits, as in the
// small module.
func TestMatchingStaysGivenUp(t *testing.T) {
	config, r := routingtest.GivenUp()
	d := compile(t, config).Decide(r, routing.Dice{})
	assert.Equal(t, routing.Decision{VirtualHost: 0, Rule: -1, Exhausted: true}, d)
}

// An expression that would take too many steps by itself is given up on the way, not only after it.
func TestOneExpressionIsGivenUp(t *testing.T) {
	table := compile(t, routingtest.List(func(b *routingtest.Rulebook) []routing.Rule {
		return []routing.Rule{routingtest.Path(routing.StringMatch{Regex: b.Regex("%s", ".*a.{400}b")})}
	}))
	r := routingtest.Ask(strings.Repeat("a", 60_000) + "b")
	assert.True(t, table.Decide(r, routing.Dice{}).Exhausted)
	assert.Less(t, r.Work().Steps(), routing.MaxWork+routing.MaxWork/10)
}

// A bucket is searched once in a decision, however many values lead to it.
func TestABucketIsSearchedOnce(t *testing.T) {
	table := compile(t, routingtest.List(func(*routingtest.Rulebook) (rules []routing.Rule) {
		for i := range 100 {
			value := routingtest.Text("v%d", i)
			if i < 4 { // these share a bucket
				value = routingtest.Text("shared")
			}
			rules = append(rules, routing.Rule{Headers: []routing.HeaderMatch{
				routingtest.Header("x-a", routing.StringMatch{Exact: value}), {Name: "x-b", Invert: true},
			}})
		}
		return rules
	}))
	r := routingtest.Ask("/", "x-b", "")
	for range 100 {
		r.Set("x-a", "shared")
	}
	assert.Equal(t, -1, table.Decide(r, routing.Dice{}).Rule)
	assert.Equal(t, 2, r.Work().Buckets)
	assert.Equal(t, 4, r.Work().Rules)
}

// A long path is compared after everything else: thousands of prefixes of one would be as many long comparisons.
func TestALongPathIsComparedLast(t *testing.T) {
	const rules, length = 50, 1000
	table := compile(t, routingtest.List(func(*routingtest.Rulebook) (all []routing.Rule) {
		for i := range rules {
			u := routingtest.Path(routing.StringMatch{Prefix: routingtest.Text("/%s", strings.Repeat("a", length-i))})
			u.Headers = []routing.HeaderMatch{routingtest.Header("x-never", routing.StringMatch{})}
			all = append(all, u)
		}
		return all
	}))
	r := routingtest.Ask("/" + strings.Repeat("a", length))
	assert.Equal(t, -1, table.Decide(r, routing.Dice{}).Rule)
	assert.Equal(t, rules, r.Work().Rules)
	assert.Less(t, r.Work().Bytes, 2*length+rules*16, "each prefix is hashed once, as part of the longest")
}

// A request that was decided by one Table is decided by another as a new one would be: what the first left behind, its
// virtual hosts by authority, fields, buckets and steps, is not the second's.
func TestOneRequestAndTwoTables(t *testing.T) {
	first := compile(t, &routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{
		{Name: "other", Domains: []string{"other.test"}, Rules: []routing.Rule{}},
		{Name: "h", Domains: []string{"bench.test"}, Rules: []routing.Rule{
			{Outcome: "k1", Headers: []routing.HeaderMatch{routingtest.Header("x-a", routing.StringMatch{Exact: routingtest.Text("1")})}},
			{Outcome: "k2"},
		}},
	}})
	second := compile(t, &routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{
		{Name: "h", Domains: []string{"bench.test"}, Rules: []routing.Rule{
			{Outcome: "k3", Headers: []routing.HeaderMatch{routingtest.Header("x-b", routing.StringMatch{Exact: routingtest.Text("1")})}},
			{Outcome: "k4", Headers: []routing.HeaderMatch{routingtest.Header("x-a", routing.StringMatch{Exact: routingtest.Text("1")})}},
		}},
		{Name: "any", Domains: []string{"*"}, Rules: []routing.Rule{{Outcome: "k5"}}},
	}})
	// of many buckets and names, so that the memory of a decision grows when it comes after the others
	third := compile(t, routingtest.Shaped("two-headers").Config(1000))
	r := routingtest.Ask("/", "x-a", "1")
	for range 3 {
		for _, c := range []struct {
			table *routing.Table
			want  routing.Decision
		}{
			{first, routing.Decision{VirtualHost: 1, Rule: 0, Outcome: "k1"}},
			{second, routing.Decision{VirtualHost: 0, Rule: 1, Outcome: "k4"}},
			{third, routing.Decision{VirtualHost: 0, Rule: -1}},
		} {
			assert.Equal(t, c.want, c.table.Decide(r, routing.Dice{}))
		}
		r.Authority = "unknown.test"
		assert.Equal(t, -1, first.Decide(r, routing.Dice{}).VirtualHost)
		assert.Equal(t, "k5", second.Decide(r, routing.Dice{}).Outcome)
		r.Authority = "bench.test"
	}
}

// TestTablesInTurn holds many Tables against the plain list, all by one Request, whose memory each finds as another left
// it. Each is asked all of its requests in turn with the next one's.
func TestTablesInTurn(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(5, 6))
	type listener struct {
		table  *routing.Table
		plain  *routingtest.Plain
		source *routingtest.Source
	}
	var used routing.Request
	for range 100 {
		var pair [2]listener
		for i := range pair {
			s := routingtest.NewSource(routingtest.Noise(dice, 3000))
			c, plain := s.Rules()
			pair[i] = listener{compile(t, c), plain, s}
		}
		for range 20 {
			for i, l := range pair {
				take(&used, l.source.Request())
				host, rule := l.plain.Decide(&used)
				d := l.table.Decide(&used, routing.Dice{})
				require.Equal(t, [2]int{host, rule}, [2]int{d.VirtualHost, d.Rule}, "table %d: %+v", i, used.Path)
				// the same request to the other table: its authority is the one that was looked up last
				host, rule = pair[1-i].plain.Decide(&used)
				d = pair[1-i].table.Decide(&used, routing.Dice{})
				require.Equal(t, [2]int{host, rule}, [2]int{d.VirtualHost, d.Rule}, "table %d: %+v", 1-i, used.Path)
			}
		}
	}
}
