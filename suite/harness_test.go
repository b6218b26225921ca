package suite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/suite"
	"waymark.dev/waymark/verdict"
)

// write writes a file of a test's own folder.
func write(t *testing.T, name, text string) string {
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// vs is a VirtualService of the mesh with the hosts a.test and *.b.test, and some rules.
func vs(rules string) string {
	return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: one}
spec:
  hosts: [a.test, "*.b.test"]
  gateways: [gw]
  http:
` + rules
}

// rulesOf loads rules as 'waymark test' does. No path is named, so that golden files have none.
func rulesOf(t *testing.T, text string) *suite.Rules {
	t.Helper()
	read := resource.Read([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)})
	in := gateway.Prepare(read, version.All)
	w := gateway.All(in.Set, translate.Options{})
	require.NotNil(t, w.Plan)
	j, err := verdict.New(w.Plan, effect.Intake{Minor: 39})
	require.NoError(t, err)
	return &suite.Rules{
		Plan: w.Plan, Judge: j, Explainer: explain.New(w.Plan, j, in.Set, "cluster.local"), VirtualServices: read.Set.VirtualServices, ClusterDomain: "cluster.local",
	}
}

// read reads tests, which must be without mistakes.
func read(t *testing.T, tests string) []*suite.File {
	t.Helper()
	in := suite.Read([]string{write(t, "tests.yaml", tests)})
	require.Empty(t, in.Findings)
	return in.Files
}

// run runs tests against rules.
func run(t *testing.T, rules, tests string) *suite.Report {
	t.Helper()
	return rulesOf(t, rules).Run(read(t, tests), nil)
}

// mistakes are the findings of reading a file, each as line:column: message.
func mistakes(t *testing.T, text string) (out []string) {
	t.Helper()
	for _, f := range suite.Read([]string{write(t, "tests.yaml", text)}).Findings {
		require.Equal(t, diag.Error, f.Severity)
		f.Place.File = ""
		at := f.Place
		at.File = "tests.yaml"
		out = append(out, strings.TrimPrefix(at.String(), "tests.yaml:")+": "+f.Message)
	}
	return out
}

// failures are the fields of the checks that do not hold, of all requests.
func failures(r *suite.Report) (out []string) {
	for _, f := range r.Files {
		for _, test := range f.Tests {
			for _, q := range test.Requests {
				for _, failure := range q.Failures {
					out = append(out, failure.Field)
				}
			}
		}
	}
	return out
}
