package routing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TestTheWorstRequests asks what nobody should. The work of a decision stays in proportion to the bytes of the request:
// it is the same with a hundred rules and with a hundred times as many. Where it is not, it is less than asking them in
// turn, and bounded all the same.
func TestTheWorstRequests(t *testing.T) {
	t.Parallel()
	for i := range routingtest.Worsts {
		w := &routingtest.Worsts[i]
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			const few = 100
			config := w.Rules(w.Most)
			small, large := compile(t, w.Rules(few)), compile(t, config)
			r := w.Request(few)
			require.Equal(t, w.Rule(few), small.Decide(r, routing.Dice{}).Rule)
			x := r.Work()
			r = w.Request(w.Most)
			require.Equal(t, w.Rule(w.Most), large.Decide(r, routing.Dice{}).Rule)
			y := r.Work()
			t.Logf("%d rules %+v  %d rules %+v", few, x, w.Most, y)
			assert.Less(t, y.Steps(), 2*routing.MaxWork)
			if w.Grows == "" {
				assert.LessOrEqual(t, y.Steps(), x.Steps()+x.Steps()/4+20)
				return
			}
			plain := routingtest.NewPlain(config, regex.Latin1)
			plain.Decide(r)
			t.Logf("%s; in turn by the plain list: %d steps", w.Grows, plain.Steps)
			assert.Less(t, y.Steps(), plain.Steps+plain.Steps/10)
		})
	}
}

// TestTheWorstRequestsAllocateNothing does not run beside other tests, whose allocations would be counted with its own.
func TestTheWorstRequestsAllocateNothing(t *testing.T) {
	for i := range routingtest.Worsts {
		w := &routingtest.Worsts[i]
		table, r := compile(t, w.Rules(100)), w.Request(100)
		assert.Zero(t, testing.AllocsPerRun(2, func() { table.Decide(r, routing.Dice{}) }), w.Name)
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
			one.Decide(a, routing.Dice{})
			x, y := a.Work().Steps(), b.Work().Steps()
			t.Logf("1: %d, 100: %d, 100 in turn: %d steps", x, y, plain.Steps)
			assert.LessOrEqual(t, y, 2*x+x/2)
			assert.GreaterOrEqual(t, plain.Steps, 20*y)
		})
	}
}
