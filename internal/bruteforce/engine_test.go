package bruteforce_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/internal/bruteforce"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/verdict"
)

// sharedExpressions are many rules with few expressions, each of them at different places among the conditions of rules.
func sharedExpressions(r *rand.Rand) string {
	b := &strings.Builder{}
	b.WriteString("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n")
	pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	for range 5 + r.IntN(20) {
		fields := map[string]string{}
		add := func(chance int, field, value string) {
			if r.IntN(chance) == 0 {
				fields[field] = value
			}
		}
		add(2, "uri", "uri: {"+pick("regex: '/.+b'", "regex: '/a.*'", "prefix: /a", "exact: /ab")+"}")
		add(3, "method", "method: {"+pick("regex: 'GET|POST'", "regex: 'P.*'", "exact: GET")+"}")
		add(2, "withoutHeaders", "withoutHeaders: {"+pick("x-a", "x-b")+": {"+pick("", "regex: 'u.*'", "exact: u")+"}}")
		var headers []string
		for _, name := range []string{"x-a", "x-b", "x-c"} {
			if r.IntN(2) == 0 {
				headers = append(headers, name+": {"+pick("regex: 'u|v|uv'", "regex: 'u.*'", "regex: '.*v'", "exact: u", "")+"}")
			}
		}
		if len(headers) > 0 {
			fields["headers"] = "headers: {" + strings.Join(headers, ", ") + "}"
		}
		add(4, "queryParams", "queryParams: {q: {"+pick("regex: 'u|v'", "exact: u")+"}}")
		if len(fields) == 0 {
			fields["uri"] = "uri: {exact: /zz}"
		}
		var list []string
		for _, f := range fields {
			list = append(list, f)
		}
		fmt.Fprintf(b, "  - match: [{%s}]\n    directResponse: {status: 200}\n", strings.Join(list, ", "))
	}
	return b.String()
}

// TestTheEngineAgrees holds the engine against all requests that can make a difference to generated rules.
func TestTheEngineAgrees(t *testing.T) {
	for seed := range bruteforce.Sets(t) {
		text := sharedExpressions(rand.New(rand.NewPCG(7, uint64(seed))))
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
		require.False(t, in.Findings.HasErrors(), in.Findings)
		w := gateway.All(in.Set, translate.Options{})
		j, err := verdict.New(w.Plan, effect.Intake{})
		require.NoError(t, err)
		chain := w.Plan.Listeners[0].Chains[0]
		rules := chain.Routes.VirtualHosts[0].Rules
		q := bruteforce.Make(80, "a.test", func(string) bool { return true }, 1, rules)
		list := q.List(rules)
		r := rand.New(rand.NewPCG(8, uint64(seed)))
		for range 3000 {
			request := q.Random(r)
			if want := list.First(request, nil); !assert.Equal(t, want, j.Take(chain, request.Verdict()).Rule, "seed %d: %v\n%s", seed, request, text) {
				return
			}
		}
	}
}
