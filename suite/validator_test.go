package suite_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/suite"
)

// The parts of a test case are compared by what they do, under each spelling of the format.
func TestConfigValidatorFormat(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ test, fails string }{
		"a route by its short name, without port and weight": {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: app, subset: v1}, weight: 100}]}", ""},
		"another route":                           {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: other}}]}", "route"},
		"a route that is not wanted":              {"{request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: other}}]}", ""},
		"a route that is not wanted and is":       {"{wantMatch: false, request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: app, subset: v1}}]}", "route"},
		"weights in proportion":                   {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/rpc/x]}, route: [{destination: {host: other.test}, weight: 25}, {destination: {host: app, subset: v1, port: {number: 8080}}, weight: 75}]}", ""},
		"a redirect by its effect":                {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/old]}, redirect: {uri: /new, authority: new.test, scheme: http, redirectCode: 302}}", ""},
		"a redirect with the default code":        {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/old]}, redirect: {uri: /new, authority: new.test}}", "redirect"},
		"a redirect where there is none":          {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/app]}, redirect: {uri: /new}}", "redirect"},
		"a rewrite by its effect":                 {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/rpc/x]}, rewrite: {uri: /v1/, authority: api.test}}", ""},
		"a rewrite of the path alone":             {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/rpc/x]}, rewrite: {uri: /v1/}}", "rewrite"},
		"a fault":                                 {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/broken]}, fault: {abort: {httpStatus: 503, percentage: {value: 100}}, delay: {fixedDelay: 2s, percentage: {value: 12.5}}}}", ""},
		"a fault with another percentage":         {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/broken]}, fault: {abort: {httpStatus: 503, percentage: {value: 99}}, delay: {fixedDelay: 2s, percentage: {value: 12.5}}}}", "fault"},
		"operations on headers":                   {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/rpc/x]}, headers: {request: {set: {X-A: '1'}, remove: [x-c]}, response: {set: {x-r: '1'}}}}", ""},
		"an operation on headers that is missing": {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/rpc/x]}, headers: {request: {add: {x-a: '1'}}}}", "headers"},
		"a host that nobody has":                  {"{wantMatch: true, request: {authority: [c.test], method: [GET], uri: [/app]}, route: [{destination: {host: app, subset: v1}}]}", "route"},
		"keys in any case":                        {"{WANTMATCH: true, Request: {AUTHORITY: [a.test], Method: [GET], URI: [/app]}, ROUTE: [{destination: {host: app, subset: v1}}]}", ""},
		"the first spelling":                      {"{request: {authority: [a.test], method: [GET], uri: [/app]}, destination: {host: app, subset: v1}}", ""},
		"the first spelling, another destination": {"{request: {authority: [a.test], method: [GET], uri: [/app]}, destination: {host: other}}", "destination"},
		"the first spelling, not wanted":          {"{request: {authority: [a.test], method: [GET], uri: [/app]}, destination: {host: other}, isMatch: false}", ""},
		"an address as uri":                       {"{wantMatch: true, request: {authority: [a.test], method: [GET], uri: ['https://a.test/app?x=1']}, route: [{destination: {host: app, subset: v1}}]}", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := run(t, vs(shop), "TestCases: ["+c.test+"]")
			require.Equal(t, suite.ConfigValidator, report.Files[0].Format)
			want := []string{c.fails}
			if c.fails == "" {
				want = nil
			}
			assert.Equal(t, want, failures(report))
		})
	}
}

// Where istio-config-validator judges a request otherwise than Istio's rules, a note says why.
func TestNotesOfConfigValidator(t *testing.T) {
	t.Parallel()
	to := func(condition, host string) string {
		return "  - match: [{" + condition + "}]\n    route: [{destination: {host: " + host + "}}]\n"
	}
	const last = "  - route: [{destination: {host: last}}]\n"
	const delegating = "  - match: [{uri: {prefix: /app}}]\n    delegate: {name: team}\n"
	delegate := func(rules string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: team, namespace: one}\nspec:\n  http:\n" + rules
	}
	for what, c := range map[string]struct{ rules, request, expect, note string }{
		"what it does not read":                   {vs(to("queryParams: {v: {exact: '2'}}, scheme: {exact: https}", "second") + last), "", "last", "fails it: it takes one/a.http[0].match[0], since it does not read queryParams, scheme"},
		"what it does not read, expected":         {vs(to("withoutHeaders: {x-a: {}}", "second") + last), "headers: {x-a: '1'}", "second", "passes it: it takes one/a.http[0].match[0], since it does not read withoutHeaders"},
		"alternatives of an expression":           {vs(to("uri: {regex: '/ap|/b'}", "second") + last), "", "second", "passes it: it takes one/a.http[0].match[0], since it anchors the first and the last alternative of a regular expression alone"},
		"the presence of a header":                {vs(to("headers: {x-a: {}}", "second") + last), "headers: {x-a: '1'}", "second", "fails it: it passes over one/a.http[0].match[0], since a condition on the presence of a header is never met there"},
		"the name of a header":                    {vs(to("headers: {x-a: {exact: '1'}}", "second") + last), "headers: {X-A: '1'}", "second", "fails it: it passes over one/a.http[0].match[0], since it compares names of headers with their case, and the path after decoding it"},
		"the case of a path":                      {vs(to("uri: {exact: /APP}, ignoreUriCase: true", "second") + last), "", "second", "fails it: it passes over one/a.http[0].match[0], since it does not read ignoreUriCase"},
		"a host with a star":                      {vs(last), "authority: [x.b.test]", "last", "fails it: it finds no rule, since it compares *.b.test with the host as a text"},
		"a host with a port":                      {vs(last), "authority: ['a.test:80']", "last", "fails it: it finds no rule, since it compares hosts with their case and with the port"},
		"the conditions of a rule that delegates": {vs(delegating+last) + delegate(to("uri: {exact: /other}", "other")+"  - match: [{uri: {prefix: /}}]\n    route: [{destination: {host: team}}]\n"), "", "team", "passes it: it takes one/team.http[1].match[0], since it tries rules in the order of the files, and a delegate's without the conditions of the rule that delegates"},
		"a delegate that is not there":            {vs(delegating + last), "", "last", "fails it: it takes one/a.http[0].match[0], since it tries rules in the order of the files, and a delegate's without the conditions of the rule that delegates"},
		"the text of a rule":                      {vs(to("uri: {exact: /app}", "second.one.svc.cluster.local")), "", "second", "fails it: it compares the rule as it is written, not what it does"},
		"what it judges alike":                    {vs(last), "", "last", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			request := "authority: [a.test], "
			if len(c.request) > 9 && c.request[:9] == "authority" {
				request = ""
			}
			if c.request != "" {
				request += c.request + ", "
			}
			report := run(t, c.rules, "testCases: [{description: one, wantMatch: true, request: {"+request+"method: [GET], uri: [/app]}, route: [{destination: {host: "+c.expect+"}}]}]")
			want := ""
			if c.note != "" {
				want = "istio-config-validator " + c.note
			}
			assert.Equal(t, want, report.Files[0].Tests[0].Requests[0].Note)
		})
	}
}

// A rule that Istio refuses takes no request, and that tool stops at it.
func TestNoteOfRefusedExpression(t *testing.T) {
	t.Parallel()
	report := run(t, vs("  - match: [{uri: {regex: '('}}]\n    route: [{destination: {host: app}}]\n"),
		"testCases: [{request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: app}}]}]")
	assert.Equal(t, "istio-config-validator fails it: it cannot compile a regular expression", report.Files[0].Tests[0].Requests[0].Note)
}

// A delegate with gateways is refused by Istio, and that tool takes its rules.
func TestNoteOfRefusedDelegate(t *testing.T) {
	t.Parallel()
	report := run(t, vs("  - match: [{uri: {prefix: /app}}]\n    delegate: {name: team}\n")+`---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team, namespace: one}
spec:
  gateways: [mesh]
  http:
  - route: [{destination: {host: team}}]
`, "testCases: [{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/app]}, route: [{destination: {host: team}}]}]")
	assert.Equal(t, "istio-config-validator passes it: it takes one/team.http[0], and no rule of that VirtualService is in force: Istio refuses it, or nothing serves it",
		report.Files[0].Tests[0].Requests[0].Note)
}

// The delegate of a rule is a VirtualService that is there.
func TestDelegateOfConfigValidator(t *testing.T) {
	t.Parallel()
	const team = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team, namespace: one}
spec:
  http:
  - route: [{destination: {host: team}}]
`
	root := vs("  - match: [{uri: {prefix: /app}}]\n    delegate: {name: team}\n")
	test := func(delegate string) string {
		return "testCases: [{wantMatch: true, request: {authority: [a.test], method: [GET], uri: [/app]}, delegate: " + delegate + "}]"
	}
	for what, c := range map[string]struct {
		rules, delegate, note string
		fails                 []string
	}{
		"in the namespace of the rule":        {root + team, "{name: team}", "", nil},
		"in a namespace that is named":        {root + team, "{name: team, namespace: one}", "istio-config-validator fails it: it compares the rule as it is written, not what it does", nil},
		"another one":                         {root + team, "{name: crew}", "", []string{"delegate"}},
		"one that is named and not there":     {root, "{name: team}", "istio-config-validator passes it: it compares the delegate of one/a.http[0].match[0] as it is written; the delegate is not there or is refused, so Istio drops the rule", []string{"delegate"}},
		"none, where the rule does not do so": {vs("  - route: [{destination: {host: a}}]\n"), "{name: team}", "istio-config-validator passes it: it compares the rule as it is written, not what it does", []string{"delegate"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := run(t, c.rules, test(c.delegate))
			assert.Equal(t, c.fails, failures(report))
			assert.Equal(t, c.note, report.Files[0].Tests[0].Requests[0].Note)
		})
	}
}

// What a test case has and nobody reads, or lacks, is said.
func TestSkippedOfConfigValidator(t *testing.T) {
	t.Parallel()
	report := run(t, vs(shop), `
testCases:
- {description: unknown, wantMatch: true, more: 1, request: {authority: [a.test], method: [GET], uri: [/app], body: x}, route: [{destination: {host: app, subset: v1}}]}
- {description: nothing, request: {authority: [a.test], method: [GET], uri: [/app]}}
`)
	assert.Equal(t, 1, report.Passed)
	var why []string
	for _, s := range report.Skipped {
		why = append(why, s.Test+": "+s.Why)
	}
	assert.Equal(t, []string{
		"unknown: request.body: not a key of a request, so it is ignored, as in istio-config-validator",
		"unknown: more: not a key of a test case, so it is ignored, as in istio-config-validator",
		"nothing: it expects nothing, so it would pass whatever happens: there is no route, redirect, rewrite, fault, headers or delegate",
	}, why)
}

// Query parameters and scheme are those of a proposal that the tool never took.
func TestProposalOfConfigValidator(t *testing.T) {
	t.Parallel()
	report := run(t, vs("  - match: [{queryParams: {v: {exact: 'a b'}, w: {exact: ''}}, scheme: {exact: https}}]\n    route: [{destination: {host: second}}]\n"),
		"testCases: [{wantMatch: true, request: {authority: [a.test], method: [GET], uri: ['/app', '/app?x=1'], scheme: https, queryParams: {v: a b, w: }}, route: [{destination: {host: second}}]}]")
	assert.Equal(t, "/app?x=1&v=a+b&w=", report.Files[0].Tests[0].Requests[1].Request.Path)
	assert.Equal(t, 1, report.Failed, "a plus sign is not decoded")
	report = run(t, vs("  - match: [{queryParams: {v: {exact: '2'}, w: {exact: ''}}, scheme: {exact: https}}]\n    route: [{destination: {host: second}}]\n"),
		"testCases: [{wantMatch: true, request: {authority: [a.test], method: [GET], uri: ['/app', '/app?x=1'], scheme: https, queryParams: {v: 2, w: }}, route: [{destination: {host: second}}]}]")
	assert.Equal(t, 1, report.Passed)
}

// A mistake is reported at its place.
func TestMistakesInConfigValidator(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		test string
		want []string
	}{
		"no request":        {"{wantMatch: true, route: []}", []string{`1:13: test case "": request is missing`}},
		"an unfit match":    {"{wantMatch: maybe, request: {authority: [a], method: [GET], uri: [/]}}", []string{"1:25: wantmatch: must be true or false"}},
		"a port of letters": {"{request: {authority: [a], method: [GET], uri: [/]}, route: [{destination: {port: {number: x}}}]}", []string{`1:74: route: invalid value for uint32 field number: "x"`}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, mistakes(t, "testCases: ["+c.test+"]"))
		})
	}
}
