package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/routing/regex"
)

// pieces of patterns, good and bad ones.
var pieces = []string{
	`a`, `b*`, `(`, `)`, `[a-z]`, `[^a]`, `\d`, `\D`, `\w`, `\W`, `\s`, `\b`, `\B`, `^`, `$`, `|`, `?`, `+`, `*`, `{2}`, `{2,}`, `{2,5}`, `{0}`, `{1000}`,
	`{1001}`, `{,3}`, `{`, `}`, `]`, `[`, `[]a]`, `[^]a]`, `[a-]`, `[-a]`, `[z-a]`, `[[:alpha:]]`, `[[:word:]]`, `[[:foo:]]`, `[:alpha:]`, `(?i)`, `(?i:a)`,
	`(?-i)`, `(?s)`, `(?m)`, `(?U)`, `(?x)`, `(?P<n>a)`, `(?<n>a)`, `(?P<n>b)`, `(?P<1>a)`, `(?P<>a)`, `(?:a)`, `(?=a)`, `(?!a)`, `(?<=a)`, `(?#c)`, `\A`, `\z`,
	`\Z`, `\G`, `\pN`, `\PN`, `\pX`, `\pl`, `\p`, `\p{`, `\Q.*\E`, `\Q\p{x}\E`, `\Q`, `\E`, `\x41`, `\x{41}`, `\x{e9}`, `\x{100}`, `\x{20AC}`, `\x{10FFFF}`, `\x{110000}`, `\x`,
	`\x4`, `\xg`, `\x{}`, `\0`, `\07`, `\012`, `\101`, `\377`, `\400`, `\1`, `\8`, `\a`, `\f`, `\t`, `\n`, `\r`, `\v`, `\e`, `\cA`, `\u0041`, `\N`, `\X`, `\R`, `\h`, `\K`,
	`\-`, `\/`, `\_`, `\ `, `\é`, `é`, `€`, `[é]`, `[é-ü]`, `[à-€]`, `.`, `.*`, `.+?`, `.{2}?`, `a**`, `a*+`, `a++`, `a?+`, `a{2}{3}`, `(?i)é`, `(?i)K`, `(?i)ſ`,
	`[^\x00-\x{10FFFF}]`, `[^\x00-\xff]`, `[\b]`, `[\d-z]`, `[a-\d]`, `[\x{100}-\x{200}]`, `\pL`, `(|a)`, `()`, `(?:)`, "\n", ` `, `(?i)(?-i)`, `(?i-s)`, `(?--i)`,
	`(?i`, `(?`, `(?P<a`, `(?P=n)`, `(?P>n)`, `\k<n>`, `(?|a)`, `(?>a)`, `(a){500}`, `((a{30}){30})`, `((a{40}){40})`, `(a{1000}){2}`, `\b*`, `^*`, `$+`, `(?:^)*`,
	`\b{2}`, `[\p{Linear_B}]`, `[^\P{Linear_B}x]`, `(?i)\p{Linear_B}`,
}

// unicodeNames are those of Go's tables, and others that look like one.
func unicodeNames() []string {
	names := []string{"Any", "ASCII", "Letter", "Lowercase_Letter", "letter", "l", "greek", "GREEK", "Assigned", "Cased_Letter", "IsGreek", "Script=Greek", "^Greek",
		"^L", "^Linear_B", "L&", "Latn", "digit", "punct", "Linear-B", "LinearB"}
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Scripts, unicode.Categories, unicode.Properties} {
		for name := range tables {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// patterns are all names of Unicode in each form, all pieces, and pieces together.
func patterns() []string {
	var all []string
	for _, name := range unicodeNames() {
		all = append(all, `\p{`+name+`}`, `\P{`+name+`}`, `[\p{`+name+`}a]`)
	}
	all = append(all, pieces...)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same patterns in every run
	for len(all) < 4000 {
		p := ""
		for range 2 + random.IntN(3) {
			p += pieces[random.IntN(len(pieces))]
		}
		all = append(all, p)
	}
	return all
}

// TestEnvoysTakeTheExpressions holds what package regex takes against real Envoys: of four thousand patterns, good and bad
// ones, each Envoy takes those and no others. (The one exception, \C, a byte of a character, is left out: Go has none.)
func TestEnvoysTakeTheExpressions(t *testing.T) {
	var asked []string
	for _, p := range patterns() {
		if utf8.ValidString(p) {
			asked = append(asked, p)
		}
	}
	var routes []map[string]any
	for _, p := range asked {
		routes = append(routes, map[string]any{"match": map[string]any{"safe_regex": map[string]any{"regex": p}}})
	}
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			refused, err := envoytest.Refusals(context.Background(), b, t.TempDir(), routes)
			require.NoError(t, err)
			encoding := regex.Latin1
			if b.Minor < 39 {
				encoding = regex.UTF8
			}
			good, bad := 0, 0
			for i, p := range asked {
				if refused[i] == "" {
					good++
				} else {
					bad++
				}
				_, err := regex.Compile(p, encoding)
				assert.Equal(t, refused[i] == "", err == nil, fmt.Sprintf("%q: we: %v, Envoy: %s", p, err, strings.TrimSpace(refused[i])))
			}
			assert.Greater(t, good, 1000)
			assert.Greater(t, bad, 500)
		})
	}
}
