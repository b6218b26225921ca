package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TestTheModuleDecidesAsTheLibrary holds the engine as it is compiled to Wasm against the same engine natively, which
// routing's own tests hold against a plain list: hashes, words and automata must not depend on the machine.
func TestTheModuleDecidesAsTheLibrary(t *testing.T) {
	v := newVM(t)
	ctx := context.Background()
	dice := rand.New(rand.NewPCG(5, 6))
	const tables, requests = 40, 50
	hits := 0
	for range tables {
		config := randomRules(t, dice)
		table, err := routing.Compile(config)
		require.NoError(t, err)
		root, err := v.Configure(ctx, config)
		require.NoError(t, err)
		for range requests {
			h := randomRequest(dice)
			var r routing.Request
			for _, line := range h {
				r.Set(line[0], line[1])
			}
			want := table.Decide(&r, routing.Dice{}).Outcome
			require.Equal(t, want, decide(t, v, root, append(vm.Headers{}, h...)), "%s\n%q", config, h)
			if want != "" {
				hits++
			}
		}
		require.NoError(t, v.Delete(ctx, root))
	}
	assert.Greater(t, hits, tables*requests/4, "too few requests meet a rule")
}

func anyOf(dice *rand.Rand, texts ...string) string { return texts[dice.IntN(len(texts))] }

func randomPath(dice *rand.Rand) string {
	path := ""
	for range 1 + dice.IntN(3) {
		path += "/" + anyOf(dice, "a", "A", "team-1", "team-12", "items", "a-long-common-beginning", "a-long-common-beginning-1", "\u00e9")
	}
	return path
}

func randomValue(dice *rand.Rand) string {
	return anyOf(dice, "a", "tenant-1", "tenant-12", "", "id=1;user=a;x", "a-long-common-beginning")
}

// randomRules makes a configuration of up to 60 rules of every shape.
func randomRules(t *testing.T, dice *rand.Rand) []byte {
	regexes := regex.NewCollection(regex.Latin1)
	expression := func(place string) *int {
		i, err := regexes.Add(anyOf(dice, `/team-1/.*`, `/[a-z]+/items`, `.*`, `(?i)/team-1.*`, `/[a-zA-Z]+`, `^(.*?;)?(user=a)(;.*)?$`, `tenant-\d+`,
			`.*\bitems\b.*`, `/a(/.*)?`, `(a|b)*a(a|b){9}`, `.*-common-.*`), place)
		require.NoError(t, err)
		return &i
	}
	var rules []routing.Rule
	for i := range 1 + dice.IntN(60) {
		u := routing.Rule{Name: "r", Outcome: fmt.Sprintf("k%d", i)}
		path, value := randomPath(dice), randomValue(dice)
		switch dice.IntN(5) {
		case 0:
			u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Exact: &path}, IgnoreCase: dice.IntN(3) == 0}
		case 1:
			u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Prefix: &path}, IgnoreCase: dice.IntN(3) == 0}
		case 2:
			u.Path = &routing.PathMatch{Separated: &path, IgnoreCase: dice.IntN(3) == 0}
		default:
			u.Path = &routing.PathMatch{StringMatch: routing.StringMatch{Regex: expression("path")}}
		}
		if dice.IntN(2) == 0 {
			match := [...]routing.StringMatch{{}, {Exact: &value}, {Prefix: &value}, {Regex: expression("header")}}[dice.IntN(4)]
			u.Headers = []routing.HeaderMatch{{Name: anyOf(dice, "x-a", "x-tenant", ":method"), StringMatch: match, Invert: dice.IntN(4) == 0}}
		}
		if dice.IntN(4) == 0 {
			u.Query = []routing.QueryMatch{{Name: "q", StringMatch: routing.StringMatch{Exact: &value}}}
		}
		rules = append(rules, u)
	}
	config := routing.Config{Version: routing.Version, VirtualHosts: []routing.VirtualHost{{Name: "h", Domains: []string{"a.test", "*.test"}, Rules: rules}}}
	regexes.Write(&config)
	text, err := json.Marshal(&config)
	require.NoError(t, err)
	return text
}

func randomRequest(dice *rand.Rand) vm.Headers {
	path := randomPath(dice)
	if dice.IntN(3) == 0 {
		path += "?p=1&q=" + randomValue(dice)
	}
	h := vm.Headers{{":authority", anyOf(dice, "a.test", "A.test:80", "x.Test", "other")}, {":path", path}, {":method", anyOf(dice, "GET", "a")}, {":scheme", "http"}}
	for range dice.IntN(4) {
		h = append(h, [2]string{anyOf(dice, "x-a", "x-tenant", "x-other"), randomValue(dice)})
	}
	return h
}
