package envoy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// TestRegexDialect holds our expressions against Envoy's RE2, on values that Go's regexp sees otherwise, too. Each row is
// a rule on a header, positive and negative; the three answers of a row must be the same.
func TestRegexDialect(t *testing.T) {
	patterns := []string{
		".", ".*", "..", "[^a]", "[^a].*", `\pL`, `\PL`, `\x{e9}`, `[^\x{80}-\x{ff}]`, "(?i)\\xe9", "(?i)\\xb5", "(?i)\\xff", "(?i)s", "[\u00e9]", "\u00e9", `\PN`, `\p{Latin}`, `\W`, `[[:^alpha:]]`, `\S`, `\b.\b`, "(?i)k", "(?i)\u00e9", `\bx\b`, `\w+`, `[[:alpha:]]+`,
		`(?s).`, `a*?`, `^a$`, `(a|b)*c`, `\d{2,3}`, `[\d\-]+`, `\Qa.b\E`, `(?U)a+`, `\x41`, `a|`, `\z`, `(?-s).`, `[a-z&&b]`,
	}
	values := []string{
		"a", "b", "ab", "\u00e9", "\u00c9", "\xe9", "\xc9", "\xb5", "s", "S", "\xdf", "\xff", "a\xffb", "\xc3", "\xed\xa0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc0\x80",
		"K", "\u212a", "k", "x", "x-", "x_", "12", "1234", "a.b", "A", "aaa", "\u4e2d", "a\u0300", "\t", "&",
	}
	var rules []string
	for i, p := range patterns {
		quoted, err := json.Marshal(p)
		require.NoError(t, err)
		rules = append(rules, fmt.Sprintf("  - match: [{uri: {exact: /p%d}, headers: {x-v: {regex: %s}}}]\n    directResponse: {status: 201}\n", i, quoted),
			fmt.Sprintf("  - match: [{uri: {exact: /n%d}, withoutHeaders: {x-v: {regex: %s}}}]\n    directResponse: {status: 202}\n", i, quoted))
	}
	yaml := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: regex, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n" + strings.Join(rules, "")
	for _, v := range envoys(t) {
		t.Run(v.Version, func(t *testing.T) {
			native := rulesTestbed(t, yaml)
			startEnvoy(t, v, native, "")
			path, _ := program.ReadModule(t)
			filtered := rulesTestbed(t, yaml)
			startEnvoy(t, v, filtered, path)
			compareDialects(t, native, filtered, patterns, values, encodings[v.Minor < 39])
		})
	}
}

// encodings by whether the Envoy is older than 1.39.
var encodings = map[bool]regex.Encoding{true: regex.UTF8, false: regex.Latin1}

func compareDialects(t *testing.T, native, filtered *testbed, patterns, values []string, encoding regex.Encoding) {
	a, b := native.client(), filtered.client()
	var m routing.Machine
	for i, p := range patterns {
		program, err := regex.Compile(p, encoding)
		require.NoError(t, err, p)
		for _, v := range values {
			trimmed := strings.Trim(v, " \t")
			ours := program.Match(&m, trimmed)
			for prefix, status := range map[string]int{"p": 201, "n": 202} {
				raw := fmt.Sprintf("GET /%s%d HTTP/1.1\r\nHost: a.test\r\nx-v: %s\r\n\r\n", prefix, i, v)
				want := http.StatusNotFound
				if ours == (prefix == "p") {
					want = status
				}
				fromNative, err := a.raw(raw)
				require.NoError(t, err)
				fromFilter, err := b.raw(raw)
				require.NoError(t, err)
				assert.Equal(t, want, fromNative, "Envoy's own list: %q on %q, %s", p, v, prefix)
				assert.Equal(t, want, fromFilter, "the filter in Envoy: %q on %q, %s", p, v, prefix)
			}
		}
	}
}
