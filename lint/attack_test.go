package lint_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/internal/bruteforce"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/space"
)

// attacks is how many requests each set of rules with a dead rule is attacked with.
const attacks = 10_000

// TestDeadRulesWithstandAttacks sends random and targeted requests at rules that are called dead: their values are taken from
// all conditions of the rules, changed a little, repeated and combined. It does so for each way in which an Envoy reads
// requests.
func TestDeadRulesWithstandAttacks(t *testing.T) {
	yes := true
	for name, intake := range map[string]effect.Intake{
		"newest":          {},
		"joined headers":  {Minor: 38},
		"merged slashes":  {Paths: effect.Paths{MergeSlashes: &yes, EscapedSlashes: effect.RedirectEscapedSlashes}},
		"paths unchanged": {Paths: effect.Paths{Level: effect.NormalizeNone}},
	} {
		t.Run(name, func(t *testing.T) {
			attacked := 0
			for seed := range bruteforce.Sets(t) / 10 {
				r := rand.New(rand.NewPCG(10, uint64(seed)))
				j, report := checked(t, bruteforce.Resources(r), intake)
				dead := map[string]bool{}
				for _, f := range report.Findings {
					if f.Code == lint.Covered || f.Code == lint.Contradictory {
						dead[f.Rule] = true
					}
				}
				if len(dead) == 0 {
					continue
				}
				attacked++
				places := space.AllPlaces(j.Plan())
				texts := bruteforce.Texts(j.Plan())
				for range attacks {
					at := places[r.IntN(len(places))]
					taken := j.Take(at.Chain, bruteforce.Attack(r, at.Listener.Port, at.Domain, texts))
					if taken.Rule >= 0 && !assert.False(t, dead[taken.Host.Rules[taken.Rule].String()], "seed %d: %v", seed, taken.Received) {
						return
					}
				}
			}
			assert.Positive(t, attacked)
		})
	}
}
