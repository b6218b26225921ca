package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/docs"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/verdict"
)

// runCheck runs 'waymark check' on resources, in a file that is named rules.yaml in what it prints.
func runCheck(t *testing.T, resources string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(resources), 0o600))
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append([]string{"check", "-f", file}, args...))
	_ = root.Execute() // the status is that of the findings
	return strings.ReplaceAll(out.String(), file, "rules.yaml")
}

func vs(name, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + "}\nspec:\n  gateways: [gw]\n" + spec + "\n---\n"
}

// host is a VirtualService of one host.
func host(name, rules string) string { return vs(name, "  hosts: [a.test]\n  http:\n"+rules) }

// rule is a rule with a destination.
func rule(match, destination string) string {
	if match != "" {
		match = "match: [" + match + "], "
	}
	return "  - {" + match + "route: [{destination: {host: " + destination + ".test}}]}\n"
}

const public = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n---\n"

// ownFindings has a case for each code that check adds itself. What it adds of package translate has its cases in gateway.
var ownFindings = map[string]struct {
	resources string
	args      []string
	want      string
}{
	"earlier rules that take all together": {host("a", rule("{uri: {prefix: /api}, method: {exact: GET}}, {uri: {prefix: /api}, headers: {x-a: {}}}", "a")+
		rule("{uri: {prefix: /api}, withoutHeaders: {x-a: {}}}", "a")+rule("{uri: {prefix: /api/v1}}", "b")), nil,
		"WM0101 warning spec.http[2].match[0]"},
	"an earlier rule that does the same": {host("a", rule("{uri: {prefix: /api}}", "a")+rule("{uri: {exact: /api/v1}}", "a")), nil, "WM0101 notice spec.http[1].match[0]"},
	"a header that is there and is not":  {host("a", rule("{headers: {x-user: {exact: a}}, withoutHeaders: {x-user: {}}}", "a")), nil, "WM0102 warning spec.http[0].match[0]"},
	"a rule behind one without match":    {host("a", rule("", "a")+rule("{uri: {prefix: /api}}", "b")), nil, "WM0103 warning spec.http[1].match[0]"},
	"a port that no listener has":        {public + host("a", rule("{port: 8080}", "a")), nil, "WM0104 warning spec.http[0].match[0]"},
	"a delegate that contradicts": {vs("root", "  hosts: [a.test]\n  http:\n  - {match: [{uri: {prefix: /shop}}], delegate: {name: leaf}}") +
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: leaf}\nspec:\n  http:\n" + rule("{uri: {prefix: /cart}}", "a"), nil, "WM0105 warning spec.http[0]"},
	"a rule that is dead on one host": {host("early", rule("{uri: {prefix: /api}}", "a")) + vs("late", "  hosts: [a.test, b.test]\n  http:\n"+rule("{uri: {prefix: /api}}", "b")), nil,
		"WM0120 warning spec.http[0].match[0]\nWM0106 warning spec.http[0].match[0]"},
	"a condition that every request meets": {host("a", rule("{uri: {regex: '.*'}, headers: {x-user: {exact: a}}}", "a")), nil, "WM0110 warning spec.http[0].match[0]"},
	"a condition that another one implies": {host("a", rule("{method: {exact: GET}, headers: {':method': {regex: 'GET|HEAD'}}}", "a")), nil, "WM0111 warning spec.http[0].match[0]"},
	"an order that decides":                {host("a", rule("{uri: {prefix: /api}}", "a")) + host("b", rule("{headers: {beta: {exact: '1'}}}", "b")), nil, "WM0120 warning spec.http[0].match[0]"},
	"retries behind a fault":               {host("a", "  - {fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 3}, route: [{destination: {host: a.test}}]}"), nil, "WM0202 warning spec.http[0].retries"},
	"a timeout before the retries":         {host("a", "  - {timeout: 3s, retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: a.test}}]}"), nil, "WM0203 warning spec.http[0].timeout"},
	"a path that a policy denies in one case": {host("a", rule("{uri: {prefix: /admin}, ignoreUriCase: true}", "a")) +
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny}\nspec: {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}\n", nil,
		"WM0204 warning spec.http[0].match[0].uri\nWM0206 warning "},
	"a path that a policy denies in one spelling": {host("a", rule("", "a")) +
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny}\nspec: {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}\n", []string{"--profile", "plain"},
		"WM0206 warning \nWM0204 warning spec.rules[0].to[0].operation.paths[0]"},
	"one whose spellings the gateway makes one": {host("a", rule("", "a")) +
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny}\nspec: {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}\n", []string{"--profile", "edge"},
		"WM0206 warning "},
	"one of another host": {host("a", rule("", "a")) +
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny}\nspec: {action: DENY, rules: [{to: [{operation: {hosts: [b.test], paths: ['/admin*']}}]}]}\n", []string{"--profile", "plain"},
		"WM0206 warning "},
	"a service of another namespace": {"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [reviews]\n  http:\n" + rule("", "reviews.prod.svc.cluster") +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: prod}\nspec: {ports: [{name: http, port: 80}]}\n", nil, "WM0205 warning spec.hosts[0]\nWM-DEST-01 warning spec.http[0].route[0].destination"},
	"a policy of no use": {host("a", rule("", "a")) + "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t}\n", nil, "WM0206 warning "},
	"a path that another spelling passes": {host("a", "  - {match: [{uri: {prefix: /admin}}], directResponse: {status: 403}}\n"+rule("", "a")), []string{"--profile", "plain"},
		"WM-PATH-01 warning spec.http[0].match[0]\nWM-PATH-02 notice spec.http[0].match[0]"},
}

func TestOwnFindings(t *testing.T) {
	reported := map[string]bool{}
	for what, c := range ownFindings {
		for line := range strings.Lines(c.want) {
			code, _, _ := strings.Cut(line, " ")
			reported[code] = true
		}
		t.Run(what, func(t *testing.T) {
			var result checkedJSON
			require.NoError(t, json.Unmarshal([]byte(runCheck(t, c.resources, append(c.args, "-o", "json")...)), &result))
			var got []string
			for _, r := range result.Resources {

				for _, f := range r.Findings {
					got = append(got, fmt.Sprintf("%s %s %s", f.Code, f.Severity, f.Field))
				}
			}
			for _, f := range result.Other {
				if f.Code != "" {
					got = append(got, fmt.Sprintf("%s %s %s", f.Code, f.Severity, f.Field))
				}
			}
			assert.Equal(t, c.want, strings.Join(got, "\n"))
		})
	}
	for _, code := range gateway.OwnCodes() {
		assert.NotEmpty(t, docs.Page(code.ID), code.ID)
		isOfTranslation := strings.HasPrefix(code.ID, "WM-") && !strings.HasPrefix(code.ID, "WM-PATH-")
		assert.True(t, reported[code.ID] || isOfTranslation, "%s has no case", code.ID)
	}
}

// several has a finding of each form: dead rules, with and without the rules that take their requests, an order, and an error.
var several = host("shop", rule("{uri: {prefix: /api}}", "a")+rule("{uri: {exact: /api/v1}}", "b")+rule("{uri: {prefix: /b}, headers: {x: {exact: '1'}}, withoutHeaders: {x: {}}}", "b")+rule("", "a")+rule("{uri: {prefix: /late}}", "a")) +
	host("tenant", rule("{uri: {prefix: /t}}, {headers: {x: {exact: '1'}}}", "b")) + host("wrong", "  - {timeout: 0s, "+strings.TrimPrefix(rule("", "a"), "  - {"))

func TestSARIF(t *testing.T) {
	text := runCheck(t, several, "-o", "sarif")
	document, err := sarif.FromBytes([]byte(text))
	require.NoError(t, err)
	require.NoError(t, document.Validate(), "by the schema of SARIF 2.1.0")
	require.Len(t, document.Runs, 1)
	run := document.Runs[0]
	var results []string
	for _, r := range run.Results {
		at := r.Locations[0].PhysicalLocation
		assert.True(t, strings.HasSuffix(*at.ArtifactLocation.URI, "rules.yaml"), *at.ArtifactLocation.URI)
		assert.Equal(t, *r.RuleID, *run.Tool.Driver.Rules[r.RuleIndex].ID)
		results = append(results, fmt.Sprintf("%s %s %d:%d, %d related", *r.RuleID, r.Level, *at.Region.StartLine, *at.Region.StartColumn, len(r.RelatedLocations)))
	}
	assert.Equal(t, []string{
		"WM0120 warning 8:14, 0 related", "WM0101 warning 9:14, 1 related", "WM0102 warning 10:14, 0 related",
		"WM0103 warning 12:14, 1 related", "WM-LEFT-01 warning 25:1, 0 related", "VAL-H-40 error 32:15, 0 related",
	}, results)
	for _, r := range run.Tool.Driver.Rules {
		assert.Equal(t, docs.Page(*r.ID), *r.Help.Markdown)
		assert.NotEmpty(t, r.ShortDescription.Text)
	}
	assert.Contains(t, *run.Results[1].Message.Text, "default/shop.http[0].match[0] (")
}

func TestSARIFOfWhatCannotBeRead(t *testing.T) {
	document, err := sarif.FromBytes([]byte(runCheck(t, "a: [", "-o", "sarif")))
	require.NoError(t, err)
	require.NoError(t, document.Validate())
	assert.Equal(t, "input", *document.Runs[0].Results[0].RuleID)
}

func TestPlacesInTheFolderAreRelative(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	for file, want := range map[string]string{
		filepath.Join(here, "a b", "rules.yaml"): "a%20b/rules.yaml", "rules.yaml": "rules.yaml", "-": "-", filepath.Join("..", "a:b.yaml"): "../a:b.yaml",
		filepath.Join(filepath.Dir(here), "x.yaml"): "file:///" + strings.TrimPrefix(filepath.ToSlash(filepath.Join(filepath.Dir(here), "x.yaml")), "/"),
	} {
		at := sarifLocation(diag.Place{File: file})
		assert.Equal(t, want, *at.PhysicalLocation.ArtifactLocation.URI)
		assert.Nil(t, at.PhysicalLocation.Region, "without a line")
	}
}

func TestAnnotations(t *testing.T) {
	c := &checked{Report: &gateway.Report{
		Resources: []gateway.Checked{{Findings: diag.Findings{
			{Severity: diag.Error, Code: "VAL-H-40", Place: diag.Place{File: "a,b:c%.yaml", Line: 3, Column: 5}, Object: "VirtualService default/a", Field: "spec.x", Message: "100% wrong: a, b\nc"},
			{Severity: diag.Notice, Code: "WM0101", Message: "only said", Details: lint.Details{CoveredBy: []lint.Cover{{Rule: "default/a.http[0]"}}}},
		}}},
		Other: diag.Findings{{Severity: diag.Warning, Place: diag.Place{File: "b.yaml"}, Message: "not YAML"}, {Severity: diag.Notice, Message: "left aside: 1 Pod"}},
	}}
	var out strings.Builder
	require.NoError(t, c.writeAnnotations(&out))
	assert.Equal(t, `::notice title=WM0101::only said%0Adefault/a.http[0] takes every request
::error file=a%2Cb%3Ac%25.yaml,line=3,col=5,title=VAL-H-40::VirtualService default/a: spec.x: 100%25 wrong: a, b\nc
::warning file=b.yaml::not YAML
`, out.String())
}

func TestIgnored(t *testing.T) {
	finding := diag.Finding{Code: "WM0101", Object: "VirtualService default/shop", Field: "spec.http[1].match[0]", Details: lint.Details{Rule: "default/root+default/shop.http[1].match[2]"}}
	order := diag.Finding{Code: "WM0120", Object: "VirtualService default/a", Field: "spec.http[0]", Details: lint.Details{VirtualServices: []string{"default/a", "default/b"}, Rules: []string{"default/a.http[0]", "default/b.http[3]"}}}
	for flag, want := range map[string][2]bool{
		"WM0101":                                            {true, false},
		"wm0101":                                            {true, false},
		"WM0101=default/shop":                               {true, false},
		"WM0101=VirtualService/default/shop":                {true, false},
		"WM0101=Gateway/default/shop":                       {},
		"WM0101=default/sho":                                {},
		"WM0101=default/shop.http[1]":                       {true, false},
		"WM0101=default/shop.http[1].match[0]":              {true, false},
		"WM0101=default/shop.http[1].match[1]":              {},
		"WM0101=default/shop.http[10]":                      {},
		"WM0101=default/root+default/shop.http[1].match[2]": {true, false},
		"WM0101=default/root+default/shop.http[1]":          {true, false},
		"WM0102=default/shop":                               {},
		"WM0120=default/b":                                  {false, true},
		"WM0120=VirtualService/default/b":                   {false, true},
		"WM0120=default/b.http[3]":                          {false, true},
		"WM0120=default/c":                                  {},
	} {
		all, err := parseIgnored([]string{flag})
		require.NoError(t, err)
		assert.Equal(t, want, [2]bool{all[0].has(finding), all[0].has(order)}, flag)
	}
}

func TestProofsAreBounded(t *testing.T) {
	cover := make([]lint.Cover, mostProved+2)
	for i := range cover {
		cover[i] = lint.Cover{Rule: fmt.Sprintf("default/a.http[%d]", i), File: "a.yaml", Line: i + 1, Witness: &verdict.Request{Authority: "a.test", Path: "/"}}
	}
	lines := proof(diag.Finding{Details: lint.Details{CoveredBy: cover}})
	require.Len(t, lines, mostProved+1)
	assert.Equal(t, "default/a.http[4] (a.yaml:5) takes GET a.test/", lines[mostProved-1])
	assert.Equal(t, "and 2 more", lines[mostProved])
}

// What is not known is told, so that silence about a rule means that it is reached.
func TestUnknownRulesAreNamed(t *testing.T) {
	c := &checked{Report: &gateway.Report{}, rules: []lint.Rule{{Rule: "default/a.http[0]", Live: true}}}
	assert.Empty(t, c.unknown())
	for i := range mostUnknown + 2 {
		c.rules = append(c.rules, lint.Rule{Rule: fmt.Sprintf("default/b.http[%d]", i), Unknown: true, Why: "work cap: 10 states"})
	}
	assert.Equal(t, "not known whether requests reach default/b.http[0], default/b.http[1], default/b.http[2] and 2 more: work cap: 10 states\n", c.unknown())
	var out bytes.Buffer
	require.NoError(t, c.writeJSON(&out))
	assert.Contains(t, out.String(), `"live": "unknown",`)
}
