package suite_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/suite"
	"waymark.dev/waymark/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// A report of tests in all formats, of which some pass, some fail and some are skipped: for people, for programs, and as
// JUnit's XML.
func TestReports(t *testing.T) {
	t.Parallel()
	in := suite.Read([]string{filepath.Join("testdata", "tests")})
	require.Empty(t, in.Findings)
	require.Len(t, in.Files, 4)
	rules, err := os.ReadFile(filepath.Join("testdata", "rules.yaml"))
	require.NoError(t, err)
	report := rulesOf(t, string(rules)).Run(in.Files, []suite.Dead{{Rule: "one/shop.http[4].match[0]", Place: diag.Place{File: "-", Line: 20}}})
	report.Assumed = []string{"Gateway one/gw: not among the files", "Service app.one.svc.cluster.local: not among the files"}

	paint := func(tone explain.Tone, text string) string {
		return map[explain.Tone]string{explain.Good: "+", explain.Bad: "-", explain.Faint: "~"}[tone] + text
	}
	var text bytes.Buffer
	require.NoError(t, (&suite.Text{Paint: paint, Coverage: true}).Write(&text, report))
	golden(t, "report.txt", text.String())
	text.Reset()
	require.NoError(t, (&suite.Text{Paint: paint, Verbose: true}).Write(&text, report))
	golden(t, "verbose.txt", text.String())

	var program bytes.Buffer
	e := json.NewEncoder(&program)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	require.NoError(t, e.Encode(report))
	golden(t, "report.json", program.String())

	var junit bytes.Buffer
	require.NoError(t, report.WriteJUnit(&junit))
	golden(t, "report.xml", junit.String())
}

// A request without a port must get one answer of all listeners that have its host.
func TestListenersThatDiffer(t *testing.T) {
	t.Parallel()
	const two = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: one}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.test]}
  - {port: {number: 81, name: more, protocol: HTTP}, hosts: [a.test]}
---`
	rules := two + vs("  - match: [{port: 80}]\n    route: [{destination: {host: one}}]\n  - route: [{destination: {host: two}}]\n")
	report := run(t, rules, `
tests:
- {name: no port, request: "http://a.test/", expect: {destination: one}}
- {name: a port, request: "http://a.test:80/", expect: {destination: one}}
`)
	require.Equal(t, []string{"listeners"}, failures(report))
	got, ok := report.Files[0].Tests[0].Requests[0].Failures[0].Got.([]string)
	require.True(t, ok)
	require.Len(t, got, 2)
	assert.Contains(t, got[0], "on port 80 -> outbound|80||one.one.svc.cluster.local")
	assert.Contains(t, got[1], "on port 81 -> outbound|81||two.one.svc.cluster.local")
	assert.Equal(t, 2, report.Coverage.Rules.Covered, "each listener has taken the request by a rule of its own")
}

// A first file of tests passes, and covers each rule for which there is a witness.
func TestFirst(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t, vs(shop+"  - match: [{headers: {x-a: {exact: '1'}}}]\n    route: [{destination: {host: last}}]\n"))
	witnesses := map[string]verdict.Request{
		"http[0].match[0]": {Path: "/old"}, "http[1].match[0]": {Path: "/closed"}, "http[2].match[0]": {Path: "/broken"},
		"http[3].match[0]": {Path: "/api/", Method: "POST"}, "http[3].match[1]": {Path: "/rpc/", GatewayPort: 80},
		"http[4].match[0]": {Path: "/app", Headers: map[string]verdict.Values{"x-b": {"1"}, "x-c": {"2", "3"}}},
		"http[5].match[0]": {Path: "/old", Headers: map[string]verdict.Values{"x-a": {"1"}}},
	}
	text, err := rules.First(func(r *plan.Rule) (verdict.Request, bool) {
		q, ok := witnesses[r.Origin.Path.String()]
		q.Authority = "a.test"
		if q.Method == "" {
			q.Method = "GET"
		}
		return q, ok
	})
	require.NoError(t, err)
	golden(t, "first.yaml", string(text))
	report := rules.Run(read(t, string(text)), nil)
	assert.Equal(t, []int{6, 0}, []int{report.Passed, report.Failed}, "the witness of the last rule is taken by the first")
	assert.Equal(t, suite.Share{Covered: 6, All: 7, Percent: 857}, report.Coverage.Rules)
	assert.Equal(t, suite.Share{Covered: 6, All: 7, Percent: 857}, report.Coverage.Destinations)

	text, err = rules.First(func(*plan.Rule) (q verdict.Request, ok bool) { return q, false })
	require.NoError(t, err)
	assert.Equal(t, 7, strings.Count(string(text), "# no request is known that "))
}
