package suite_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/suite"
)

// What router_check_tool compares is compared, in its words.
func TestRouterCheckFormat(t *testing.T) {
	t.Parallel()
	const app, other = "outbound|8080|v1|app.one.svc.cluster.local", "outbound|80||other.test"
	for what, c := range map[string]struct{ input, validate, fails string }{
		"a cluster":                                {"authority: a.test, path: /app", "cluster_name: 'outbound|80|v1|app.one.svc.cluster.local'", ""},
		"another cluster":                          {"authority: a.test, path: /app", "cluster_name: other", "validate.cluster_name"},
		"no cluster of a redirect":                 {"authority: a.test, path: /old", "cluster_name: ''", ""},
		"no cluster where there is one":            {"authority: a.test, path: /app", "cluster_name: ''", "validate.cluster_name"},
		"the first of a split":                     {"authority: a.test, path: /rpc/", "cluster_name: '" + app + "'", ""},
		"the last number of the first":             {"authority: a.test, path: /rpc/, random_value: 2", "cluster_name: '" + app + "'", ""},
		"the first number of the second":           {"authority: a.test, path: /rpc/, random_value: 3", "cluster_name: '" + other + "'", ""},
		"a number beyond the sum":                  {"authority: a.test, path: /rpc/, random_value: '4'", "cluster_name: '" + app + "'", ""},
		"a virtual host":                           {"authority: a.test, path: /app", "virtual_host_name: 'a.test:80'", ""},
		"another virtual host":                     {"authority: a.test, path: /app", "virtual_host_name: a", "validate.virtual_host_name"},
		"no virtual host of a redirect":            {"authority: a.test, path: /old", "virtual_host_name: ''", ""},
		"no virtual cluster":                       {"authority: a.test, path: /app", "virtual_cluster_name: ''", ""},
		"path and host after the rewrite":          {"authority: a.test, path: '/rpc/x?y'", "path_rewrite: '/v1/x?y', host_rewrite: api.test", ""},
		"a path that is not rewritten so":          {"authority: a.test, path: /rpc/x", "path_rewrite: /rpc/x", "validate.path_rewrite"},
		"a host that is not rewritten so":          {"authority: a.test, path: /rpc/x", "host_rewrite: a.test", "validate.host_rewrite"},
		"no path of a redirect":                    {"authority: a.test, path: /old", "path_rewrite: '', host_rewrite: ''", ""},
		"a redirect with its code":                 {"authority: a.test, path: /old", "path_redirect: 'http://new.test/new', code_redirect: 302", ""},
		"a redirect of https":                      {"authority: a.test, path: /old, ssl: true", "path_redirect: 'https://new.test/new'", ""},
		"another redirect":                         {"authority: a.test, path: /old", "path_redirect: 'http://new.test/'", "validate.path_redirect"},
		"another code":                             {"authority: a.test, path: /old", "code_redirect: 301", "validate.code_redirect"},
		"no redirect":                              {"authority: a.test, path: /app", "path_redirect: ''", ""},
		"a direct response":                        {"authority: a.test, path: /closed", "path_redirect: 'http://a.test/closed', code_redirect: 410, cluster_name: ''", ""},
		"a timeout":                                {"authority: a.test, path: /rpc/x", "timeout: 3s", ""},
		"another timeout":                          {"authority: a.test, path: /rpc/x", "timeout: 3.5s", "validate.timeout"},
		"headers of the request":                   {"authority: a.test, path: /rpc/x, additional_request_headers: [{key: X-C, value: '1'}, {key: x-d, value: '2'}]", "request_header_matches: [{name: x-a, string_match: {exact: '1'}}, {name: x-c, present_match: true, invert_match: true}, {name: x-d, range_match: {start: 2, end: 3}}, {name: ':path', string_match: {prefix: /v1}}]", ""},
		"a header of the request that is not so":   {"authority: a.test, path: /rpc/x", "request_header_matches: [{name: x-a, string_match: {exact: '2'}}]", "validate.request_header_matches.x-a"},
		"headers of the response":                  {"authority: a.test, path: /rpc/x, additional_response_headers: [{key: x-s, value: '1'}, {key: x-t, value: '2'}]", "response_header_matches: [{name: x-r, string_match: {exact: '1'}}, {name: x-s, present_match: false}, {name: x-t, exact_match: '2'}]", ""},
		"a header of the response that is removed": {"authority: a.test, path: /rpc/x, additional_response_headers: [{key: x-s, value: '1'}]", "response_header_matches: [{name: x-s, present_match: true}]", "validate.response_header_matches.x-s"},
		"headers of a direct response":             {"authority: a.test, path: /closed", "response_header_matches: [{name: content-length, string_match: {exact: '4'}}, {name: x-why, string_match: {exact: age}}]", ""},
		"the header of a redirect":                 {"authority: a.test, path: /old", "response_header_matches: [{name: location, string_match: {suffix: /new}}]", ""},
		"fields, an older spelling":                {"authority: a.test, path: /rpc/x", "request_header_fields: [{key: x-a, value: '1'}, {key: x-c, value: ''}], response_header_fields: [{key: x-r, value: '1'}]", ""},
		"a field that is not so":                   {"authority: a.test, path: /rpc/x", "request_header_fields: [{key: x-a, value: '2'}]", "validate.request_header_fields.x-a"},
		"fields, the oldest spelling":              {"authority: a.test, path: /app, additional_headers: [{key: x-e, value: '1'}]", "header_fields: [{key: x-e, value: '1'}], custom_header_fields: [{key: ':authority', value: a.test}]", ""},
		"camel case":                               {"authority: a.test, path: /rpc/, randomValue: 3", "clusterName: '" + other + "'", ""},
		"a host that nobody has":                   {"authority: c.test, path: /app", "cluster_name: '', virtual_host_name: '', path_redirect: '', request_header_matches: [{name: ':path', string_match: {exact: /app}}]", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := run(t, vs(shop), "tests: [{test_name: one, input: {"+c.input+", method: GET}, validate: {"+c.validate+"}}]")
			require.Equal(t, suite.RouterCheck, report.Files[0].Format)
			require.Len(t, report.Files[0].Tests, 1)
			want := []string{c.fails}
			if c.fails == "" {
				want = nil
			}
			assert.Equal(t, want, failures(report))
		})
	}
}

// The same tests in JSON, in the text format of protocol buffers, and in the tool's first form.
func TestRouterCheckEncodings(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		text  string
		lines []int
	}{
		"JSON": {`{"tests": [
  {"test_name": "one", "input": {"authority": "a.test", "path": "/old", "method": "GET"}, "validate": {"code_redirect": 302}},
  {"test_name": "two", "input": {"authority": "a.test", "path": "/old", "method": "GET"}, "validate": {"code_redirect": 301}}
]}`, []int{2, 3}},
		"text": {`# tests
tests {
  test_name: "one"
  input: { authority: "a.test" path: "/old" method: "GET" }
  validate: { code_redirect: { value: 302 } }
}
tests: <
  test_name: "two"
  input { authority: "a.test" path: "/old" method: "GET" }
  validate { code_redirect { value: 301 } }
>
`, []int{3, 8}},
		"the first form": {`[
  {"test_name": "one", "input": {":authority": "a.test", ":path": "/rpc/x", "additional_headers": [{"field": "x-d", "value": "1"}]},
   "validate": {"header_fields": [{"field": "x-d", "value": "1"}]}},
  {"test_name": "two", "input": {":authority": "a.test", ":path": "/api/x", ":method": "POST"}, "validate": {"path_redirect": "http://a.test/"}}
]`, []int{2, 4}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			report := run(t, vs(shop), c.text)
			require.Len(t, report.Files[0].Tests, 2)
			one, two := report.Files[0].Tests[0], report.Files[0].Tests[1]
			assert.Equal(t, []any{"one", true, "two", false}, []any{one.Name, one.Passed, two.Name, two.Passed})
			assert.Equal(t, c.lines, []int{one.Line, two.Line})
		})
	}
}

// What Istio's routes do not have is skipped with the reason; the rest of the test is judged.
func TestSkippedOfRouterCheck(t *testing.T) {
	t.Parallel()
	report := run(t, vs(shop), `
tests:
- {test_name: runtime, input: {authority: a.test, path: /app, method: GET, runtime: key}, validate: {cluster_name: x}}
- {test_name: metadata, input: {authority: a.test, path: /app, method: GET, dynamic_metadata: [{metadata_namespace: a, value: {b: c}}]}, validate: {cluster_name: x}}
- {test_name: virtual, input: {authority: a.test, path: /app, method: GET}, validate: {virtual_cluster_name: x}}
- {test_name: partly, input: {authority: a.test, path: /app, method: GET}, validate: {virtual_cluster_name: x, path_rewrite: /app}}
- {test_name: nothing, input: {authority: a.test, path: /app, method: GET}, validate: {}}
`)
	assert.Equal(t, []int{1, 0}, []int{report.Passed, report.Failed})
	var why []string
	for _, s := range report.Skipped {
		why = append(why, s.Test+": "+s.Why)
	}
	assert.Equal(t, []string{
		"runtime: input.runtime: Istio's routes have none",
		"metadata: input.dynamic_metadata: Istio's routes do not match metadata",
		"virtual: validate.virtual_cluster_name: Istio's routes have no virtual clusters",
		"partly: validate.virtual_cluster_name: Istio's routes have no virtual clusters",
		"nothing: validate: it names nothing, so the test would pass whatever happens",
	}, why)
}

// A mistake is reported at its place.
func TestMistakesInRouterCheck(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		text string
		want []string
	}{
		"a key that is misspelt": {"tests: [{test_name: a, input: {authority: a, path: /, method: GET, ssll: true}, validate: {cluster: a}}]",
			[]string{`1:68: input: the key "ssll" is not known; did you mean "ssl"?`, `1:92: validate: the key "cluster" is not known`}},
		"a value of another kind": {"tests: [{test_name: a, input: {authority: a, path: /, method: GET, ssl: 1}, validate: {}}]",
			[]string{"1:9: test: invalid value for bool field ssl: 1"}},
		"what is missing": {"tests: [{test_name: a, input: {path: /}, validate: {cluster_name: a}}]",
			[]string{`1:9: test "a": input.authority is missing`, `1:9: test "a": input.method is missing`}},
		"an expression that is not valid": {"tests: [{test_name: a, input: {authority: a, path: /, method: GET}, validate: {request_header_matches: [{name: b, string_match: {safe_regex: {regex: '('}}}]}}]",
			[]string{"1:9: test \"a\": validate.request_header_matches: header b: error parsing regexp: missing closing ): `\\A(?:()\\z`"}},
		"a text that is not valid": {"tests {\n  test_nam: \"a\"\n}", []string{`2:3: unknown field: test_nam`}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, mistakes(t, c.text))
		})
	}
}
