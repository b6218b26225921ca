// Package bruteforce is for tests only: it generates small sets of rules, and says what is true of them by going through
// all requests that can make a difference. It compares texts with the functions of the standard library, and shares no code
// with what it is held against.
//
// That all requests are few rests on the conditions: their patterns are short and over few letters, so every combination of
// answers that any text gives is given by a short text over these letters and one more.
package bruteforce

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Sets is how many sets of rules a test generates: WAYMARK_RULE_SETS, or 150; with -short, 60.
func Sets(t testing.TB) int {
	t.Helper()
	n := 150
	if testing.Short() {
		n = 60
	}
	if text := os.Getenv("WAYMARK_RULE_SETS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("WAYMARK_RULE_SETS: %v", err)
		}
	}
	return n
}

// Resources generates a Gateway, Services and VirtualServices of one to three hosts, as YAML.
func Resources(r *rand.Rand) string {
	b := &strings.Builder{}
	b.WriteString("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: default}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n")
	for _, port := range []int{80, 8080}[:1+r.IntN(2)] {
		fmt.Fprintf(b, "  - {port: {number: %d, name: http-%d, protocol: HTTP}, hosts: ['*']}\n", port, port)
	}
	for i := range services {
		fmt.Fprintf(b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: default}\nspec: {ports: [{name: http, port: 80}]}\n", i)
	}
	for i := range 1 + r.IntN(3) {
		fmt.Fprintf(b, "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v%d, namespace: default}\nspec:\n  hosts: [%s]\n  gateways: [gw]\n  http:\n",
			i, pick(r, "a.test", "a.test", "b.test", "'*.test'", "a.test, b.test"))
		for range 1 + r.IntN(4) {
			b.WriteString(Rule(r))
		}
	}
	return b.String()
}

const services = 3

// Rule generates an entry of http[], with the dash before it.
func Rule(r *rand.Rand) string {
	b := &strings.Builder{}
	lead := "  - "
	if r.IntN(12) > 0 {
		b.WriteString("  - match:\n")
		for range 1 + r.IntN(2) {
			b.WriteString("    - {" + strings.Join(conditions(r), ", ") + "}\n")
		}
		lead = "    "
	}
	switch r.IntN(8) {
	case 0:
		fmt.Fprintf(b, "%sredirect: {uri: %s}\n", lead, pick(r, "/a", "/new"))
	case 1:
		fmt.Fprintf(b, "%sdirectResponse: {status: %s}\n", lead, pick(r, "404", "200"))
	default:
		fmt.Fprintf(b, "%sroute: [{destination: {host: s%d, port: {number: 80}}}]\n", lead, r.IntN(services))
		switch r.IntN(8) {
		case 0:
			fmt.Fprintf(b, "    rewrite: {uri: %s}\n", pick(r, "/", "/a", "/b"))
		case 1:
			fmt.Fprintf(b, "    timeout: %s\n", pick(r, "1s", "2s"))
		}
	}
	return b.String()
}

func conditions(r *rand.Rand) (out []string) {
	if r.IntN(4) > 0 {
		out = append(out, "uri: {"+pick(r, "prefix: /", "prefix: /a", "prefix: /a/", "exact: /", "exact: /a", "exact: /b", "exact: a", "prefix: /A", "regex: '/a.*'", "regex: '/(a|b)'", "regex: '/[ab]/.*'", "regex: '.*/'")+"}")
		if r.IntN(6) == 0 {
			out = append(out, "ignoreUriCase: true")
		}
	}
	if r.IntN(4) == 0 {
		out = append(out, "method: {"+pick(r, "exact: GET", "exact: POST", "regex: GET|POST", "prefix: P", "regex: '.*'")+"}")
	}
	for _, list := range []string{"headers", "withoutHeaders"} {
		if r.IntN(3) == 0 {
			out = append(out, list+": {"+pick(r, "x-a", "x-a", "x-b")+": {"+value(r)+"}}")
		}
	}
	if r.IntN(6) == 0 {
		out = append(out, "queryParams: {q: {"+value(r)+"}}")
	}
	if r.IntN(10) == 0 {
		out = append(out, "authority: {"+pick(r, "exact: a.test", "prefix: a", "regex: '.*:8080'")+"}")
	}
	if len(out) == 0 {
		out = append(out, "uri: {prefix: /b}")
	}
	return out
}

func value(r *rand.Rand) string {
	return pick(r, "exact: u", "exact: v", "exact: ''", "prefix: u", "regex: 'u.*'", "regex: '.*v'", "regex: 'u|v'", "regex: '.+'", "regex: '.*'", "")
}

func pick(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }
