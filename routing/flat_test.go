package routing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

// TestACostDoesNotGrowWithTheRules compares, shape by shape, what a decision costs with twenty rules and with ten
// thousand, in turns: the ratio counts, and the median of many rounds. A busy machine adds to it, now more, now less, so
// one try below the bound will do, of those in a second; docs/performance.md says what is measured on a quiet one.
func TestACostDoesNotGrowWithTheRules(t *testing.T) {
	const few, many = 20, 10_000 // the last rules are of one kind, where kinds take turns
	for i := range routingtest.Shapes {
		s := &routingtest.Shapes[i]
		t.Run(s.Name, func(t *testing.T) {
			bound := 1.5
			if s.Name == "two-headers" {
				bound = 2 // of twenty rules, one header tells all apart
			}
			small, large := compile(t, s.Config(few)), compile(t, s.Config(many))
			for _, hit := range hits {
				a, b := s.Request(hit.of(few)), s.Request(hit.of(many))
				for n, c := range map[int]struct {
					table *routing.Table
					r     *routing.Request
				}{few: {small, a}, many: {large, b}} {
					want := hit.of(n)
					if want == n {
						want = -1
					}
					d := c.table.Decide(c.r, routing.Dice{})
					if s.Hosts && want >= 0 {
						require.Equal(t, want, d.VirtualHost)
					} else {
						require.Equal(t, want, d.Rule, "%d rules, %s", n, hit.name)
					}
				}
				var x, y time.Duration
				for begun := time.Now(); time.Since(begun) < time.Second; {
					x, y = routingtest.InTurns(41, 500, func() { small.Decide(a, routing.Dice{}) }, func() { large.Decide(b, routing.Dice{}) })
					if float64(y) < bound*float64(x) {
						break
					}
				}
				t.Logf("hit %-5s  %d rules %v  %d rules %v  ratio %.2f", hit.name, few, x, many, y, float64(y)/float64(x))
				assert.Less(t, float64(y), bound*float64(x), "hit %s", hit.name)
			}
		})
	}
}
