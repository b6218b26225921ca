package routing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TestTheWorstRequests asks what nobody should. What that costs stays in proportion to the bytes of the request: it is the
// same with a hundred rules and with a hundred times as many. Where it is not, it is less than asking them in turn.
func TestTheWorstRequests(t *testing.T) {
	const few, bound, tries = 100, 3, 3
	for i := range routingtest.Worsts {
		w := &routingtest.Worsts[i]
		t.Run(w.Name, func(t *testing.T) {
			config := w.Rules(w.Most)
			small, large := compile(t, w.Rules(few)), compile(t, config)
			a, b := w.Request(few), w.Request(w.Most)
			require.Equal(t, w.Rule(few), small.Decide(a, routing.Dice{}).Rule)
			require.Equal(t, w.Rule(w.Most), large.Decide(b, routing.Dice{}).Rule)
			assert.Zero(t, testing.AllocsPerRun(10, func() { large.Decide(b, routing.Dice{}) }))

			begun := time.Now()
			large.Decide(b, routing.Dice{})
			calls := int(min(500, 1+2*time.Millisecond/(1+time.Since(begun))))
			var x, y time.Duration
			for range tries {
				x, y = routingtest.InTurns(11, calls, func() { small.Decide(a, routing.Dice{}) }, func() { large.Decide(b, routing.Dice{}) })
				if y < bound*x {
					break
				}
			}
			t.Logf("%d rules %v  %d rules %v  ratio %.2f", few, x, w.Most, y, float64(y)/float64(x))
			assert.Less(t, y, 100*time.Millisecond, "a bound for a busy machine, a hundredth of what an unbounded cost would take")
			if w.Grows == "" {
				assert.Less(t, y, bound*x)
				return
			}
			plain := routingtest.NewPlain(config, regex.Latin1)
			var inTurn time.Duration
			for range tries {
				if y, inTurn = routingtest.InTurns(3, 1, func() { large.Decide(b, routing.Dice{}) }, func() { plain.Decide(b) }); y < inTurn {
					break
				}
			}
			t.Logf("%s; in turn by the plain list: %v", w.Grows, inTurn)
			assert.Less(t, y, inTurn)
		})
	}
}

func TestADecisionOfAnyShapeAllocatesNothing(t *testing.T) {
	for i := range routingtest.Shapes {
		s := &routingtest.Shapes[i]
		table := compile(t, s.Config(1000))
		for _, hit := range hits {
			r := s.Request(hit.of(1000))
			table.Decide(r, routing.Dice{}) // grows the scratch once
			assert.Zero(t, testing.AllocsPerRun(100, func() { table.Decide(r, routing.Dice{}) }), "%s, %s", s.Name, hit.name)
		}
	}
}

// TestAHundredExpressionsCostLittleMoreThanOne holds the automata of many expressions against asking in turn, which is
// what a hundred virtual hosts of one rule each, one after the other, would be.
func TestAHundredExpressionsCostLittleMoreThanOne(t *testing.T) {
	for name, rules := range map[string]func(n int) func(b *routingtest.Rulebook) []routing.Rule{
		"that only an automaton tells apart": routingtest.Wordy,
		"that a text tells apart": func(n int) func(b *routingtest.Rulebook) []routing.Rule {
			return func(b *routingtest.Rulebook) (rules []routing.Rule) {
				for i := range n {
					rules = append(rules, routingtest.Path(routing.StringMatch{Regex: b.Regex("/[a-z]+/item-%d(/[a-z0-9]+)*", i)}))
				}
				return rules
			}
		},
		"that a prefix tells apart": func(n int) func(b *routingtest.Rulebook) []routing.Rule {
			return func(b *routingtest.Rulebook) (rules []routing.Rule) {
				for i := range n {
					rules = append(rules, routingtest.Path(routing.StringMatch{Regex: b.Regex("/items-%d/[a-z0-9]+/[0-9]+", i)}))
				}
				return rules
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			one, hundred := compile(t, routingtest.List(rules(1))), compile(t, routingtest.List(rules(100)))
			plain := routingtest.NewPlain(routingtest.List(rules(100)), regex.Latin1)
			var a, b *routing.Request
			switch name {
			case "that only an automaton tells apart":
				a, b = routingtest.Ask("/services/abcdefghij0123456789"), routingtest.Ask("/services/zzzzzzzz0123456789")
			case "that a text tells apart":
				a, b = routingtest.Ask("/services/item-0/abcdefgh/01234567"), routingtest.Ask("/services/item-99/abcdefgh/01234567")
			default:
				a, b = routingtest.Ask("/items-0/abcdefghijkl/0123456789"), routingtest.Ask("/items-99/abcdefghijkl/0123456789")
			}
			_, want := plain.Decide(b)
			require.Equal(t, want, hundred.Decide(b, routing.Dice{}).Rule)
			const tries = 3
			var x, y, inTurn time.Duration
			for range tries {
				x, y = routingtest.InTurns(41, 500, func() { one.Decide(a, routing.Dice{}) }, func() { hundred.Decide(b, routing.Dice{}) })
				_, inTurn = routingtest.InTurns(9, 20, func() {}, func() { plain.Decide(b) })
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
