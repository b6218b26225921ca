package routing_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/routing"
)

// compare holds a Table against the oracle: rules and requests are made of data.
func compare(t testing.TB, data []byte, requests int) (hits int) {
	s := &source{data}
	c := s.config()
	table, plain := compile(t, c), newOracle(c)
	var used routing.Request // one for all: what an earlier decision left behind must not matter
	for range requests {
		r := s.request()
		used.Reset()
		used.Method, used.Scheme, used.Authority, used.Path = r.Method, r.Scheme, r.Authority, r.Path
		used.HasMethod, used.HasScheme, used.HasAuthority, used.HasPath = r.HasMethod, r.HasScheme, r.HasAuthority, r.HasPath
		used.Headers = append(used.Headers, r.Headers...)
		host, rule := plain.decide(r)
		d := table.Decide(&used, routing.Dice{})
		if host != d.VirtualHost || rule != d.Rule {
			require.Equal(t, [2]int{host, rule}, [2]int{d.VirtualHost, d.Rule}, "%s\n%+v", marshal(t, c), r)
		}
		if rule >= 0 {
			hits++
		}
	}
	return hits
}

func FuzzDecide(f *testing.F) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		f.Add(noise(dice, 600))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data, 8) })
}

func noise(dice *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(dice.Uint32())
	}
	return b
}

func TestDecisionsAreThoseOfAPlainList(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	const tables, requests = 1000, 40
	hits := 0
	for range tables {
		hits += compare(t, noise(dice, 3000), requests)
	}
	require.Greater(t, hits, tables*requests/3, "most requests must meet a rule, or nothing is compared")
	t.Logf("%d of %d requests met a rule", hits, tables*requests)
}
