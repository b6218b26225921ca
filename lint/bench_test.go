package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diff"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/verdict"
)

// manyRules are rules of ten VirtualServices of one host.
func manyRules(rules int, match func(int) string) string {
	b := &strings.Builder{}
	b.WriteString(gatewayAndService)
	for v := range 10 {
		fmt.Fprintf(b, "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v%d, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n", v)
		for i := range rules / 10 {
			fmt.Fprintf(b, "  - match: [{%s}]\n    route: [{destination: {host: s, port: {number: 80}, subset: v%d}}]\n", match(v*rules/10+i), i%3)
		}
	}
	return b.String()
}

// BenchmarkAnalysis measures what the questions about all requests cost beside reading and validating the same files, which
// is the baseline: what check did before it asked them.
func BenchmarkAnalysis(b *testing.B) {
	for _, kind := range []struct {
		name  string
		match func(int) string
	}{
		{"paths", func(i int) string { return fmt.Sprintf("uri: {prefix: /p%d/x}, method: {exact: GET}", i) }},
		{"headers", func(i int) string { return fmt.Sprintf("headers: {x-tenant: {exact: t%d}}", i) }},
		{"expressions", func(i int) string { return fmt.Sprintf("uri: {regex: '/svc%d/[a-z]+/.*'}", i) }},
		{"cookies", func(i int) string { return fmt.Sprintf("headers: {cookie: {regex: '^(.*;)?user=u%d(;.*)?$'}}", i) }},
	} {
		for _, rules := range []int{1000, 10_000} {
			file := filepath.Join(b.TempDir(), "rules.yaml")
			require.NoError(b, os.WriteFile(file, []byte(manyRules(rules, kind.match)), 0o600))
			load := func() *resource.Input { return gateway.Load([]string{file}, resource.Options{}, version.All) }
			judge := func(w *gateway.Whole) *verdict.Judge {
				j, err := verdict.New(w.Plan, effect.Intake{})
				require.NoError(b, err)
				return j
			}
			run := func(name string, work func()) {
				b.Run(fmt.Sprintf("kind=%s/rules=%d/%s", kind.name, rules, name), func(b *testing.B) {
					for b.Loop() {
						work()
					}
				})
			}
			run("read", func() { load() })
			run("check", func() {
				in := load()
				lint.Check(judge(gateway.All(in.Set, translate.Options{})), lint.Options{Written: translate.Written(in.Set, "cluster.local")})
			})
			run("diff", func() {
				old, now := gateway.Pair(load().Set, load().Set, translate.Options{})
				diff.Compare(judge(old), judge(now), diff.Options{})
			})
		}
	}
}
