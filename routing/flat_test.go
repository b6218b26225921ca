package routing_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

// TestACostDoesNotGrowWithTheRules counts, shape by shape, what a decision does with twenty rules and with ten thousand.
// What BenchmarkDecide measures follows from the counts, and they are the same on every machine.
func TestACostDoesNotGrowWithTheRules(t *testing.T) {
	t.Parallel()
	const few = 20 // the last rules are of one kind, where kinds take turns
	for i := range routingtest.Shapes {
		s := &routingtest.Shapes[i]
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			many := 10_000
			if strings.Contains(s.Name, "regex") {
				many = 1000 // compiling an expression takes the translator a tenth of a millisecond
			}
			small, large := compile(t, s.Config(few)), compile(t, s.Config(many))
			// decide wants the rule that the request was made for, and counts the work. The request is new, so that nothing is
			// known from an earlier decision.
			decide := func(table *routing.Table, n, want int) routing.Work {
				r := s.Request(want)
				if want == n {
					want = -1
				}
				d := table.Decide(r, routing.Dice{})
				if s.Hosts && want >= 0 {
					require.Equal(t, want, d.VirtualHost)
				} else {
					require.Equal(t, want, d.Rule, "%d rules", n)
				}
				return r.Work()
			}
			for _, hit := range hits {
				x, y := decide(small, few, hit.of(few)), decide(large, many, hit.of(many))
				t.Logf("hit %-5s  %d rules %+v  %d rules %+v", hit.name, few, x, many, y)
				// Two headers of which neither tells all rules apart are one step more; of twenty rules, one is enough.
				assert.LessOrEqual(t, y.Buckets, x.Buckets+1, "hit %s: buckets", hit.name)
				assert.LessOrEqual(t, y.Keys, x.Keys+3, "hit %s: keys", hit.name)
				assert.LessOrEqual(t, y.Rules, max(1, x.Rules), "hit %s: rules", hit.name)
				assert.LessOrEqual(t, y.Conditions, max(3, x.Conditions), "hit %s: conditions", hit.name)
				// Some bytes more, since the texts of ten thousand rules have more digits.
				assert.LessOrEqual(t, y.Bytes, x.Bytes+x.Bytes/2, "hit %s: bytes", hit.name)
				assert.LessOrEqual(t, y.Probes, x.Probes+10*y.Keys, "hit %s: a look-up meets some keys with a hash like its own", hit.name)
			}
		})
	}
}
