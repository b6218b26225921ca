package routing_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

func marshal(t testing.TB, c *routing.Config) []byte {
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return text
}

func compile(t testing.TB, c *routing.Config) *routing.Table {
	table, err := routing.Compile(marshal(t, c))
	require.NoError(t, err)
	return table
}

// take makes a request that was used before the same as a new one.
func take(used, r *routing.Request) {
	used.Reset()
	used.Method, used.Scheme, used.Authority, used.Path = r.Method, r.Scheme, r.Authority, r.Path
	used.HasMethod, used.HasScheme, used.HasAuthority, used.HasPath = r.HasMethod, r.HasScheme, r.HasAuthority, r.HasPath
	used.Headers = append(used.Headers, r.Headers...)
}

// compare holds a Table against the plain list: rules and requests are made of data.
func compare(t testing.TB, data []byte, requests int) (hits int) {
	s := routingtest.NewSource(data)
	c, plain := s.Rules()
	table := compile(t, c)
	var used routing.Request // one for all: what an earlier decision left behind must not matter
	for range requests {
		r := s.Request()
		take(&used, r)
		host, rule := plain.Decide(r)
		d := table.Decide(&used, routing.Dice{})
		if host != d.VirtualHost || rule != d.Rule {
			require.Equal(t, [2]int{host, rule}, [2]int{d.VirtualHost, d.Rule}, "%s\n%+v", marshal(t, c), r)
		}
		if rule >= 0 {
			hits++
		}
		follow(t, plain, table, &used, host, rule)
	}
	return hits
}

// follow holds the trace of a request to the decision: all rules before the chosen one were tried, and each has exactly
// the unmet conditions that the plain list finds.
func follow(t testing.TB, plain *routingtest.Plain, table *routing.Table, r *routing.Request, host, rule int) {
	tried := 0
	table.Trace(r, func(i int, unmet []routing.Unmet) bool {
		want := plain.Unmet(r, host, i)
		if i != tried || !slices.Equal(want, unmet) || (len(unmet) == 0) != (i == rule) {
			require.Equal(t, want, unmet, "rule %d, tried as number %d, where rule %d is chosen: %+v", i, tried, rule, r)
			require.Equal(t, tried, i)
			require.Equal(t, i == rule, len(unmet) == 0, "rule %d, where rule %d is chosen", i, rule)
		}
		tried++
		return true
	})
	want := rule + 1
	if rule < 0 {
		want = plain.Rules(r, host)
	}
	if tried != want {
		require.Equal(t, want, tried, "%+v", r)
	}
}

// FuzzDecide begins with the inputs in testdata/fuzz/FuzzDecide: a few of those that fuzzing found interesting, which
// lead everywhere in the engine. They are the seeds of e2e's FuzzDecide, too.
func FuzzDecide(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data, 8) })
}

func TestDecisionsAreThoseOfAPlainList(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(3, 4))
	const tables, requests = 1000, 40
	hits := 0
	for range tables {
		hits += compare(t, routingtest.Noise(dice, 3000), requests)
	}
	require.Greater(t, hits, tables*requests/3, "most requests must meet a rule, or nothing is compared")
	t.Logf("%d of %d requests met a rule", hits, tables*requests)
}
