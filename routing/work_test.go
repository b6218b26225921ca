package routing_test

import (
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

	short := ask("/ac", 100)
	assert.Equal(t, 0, table.Decide(short, routing.Dice{}).Rule)
}
