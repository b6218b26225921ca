package verdict_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/verdict"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// judge decides by the rules of testdata/rules.yaml.
func judge(t *testing.T, intake effect.Intake) *verdict.Judge {
	in := gateway.Load([]string{filepath.Join("testdata", "rules.yaml")}, resource.Options{Stdin: strings.NewReader("")}, version.All)
	require.Empty(t, in.Findings)
	p, findings := translate.Plan(in.Set, translate.Options{})
	require.False(t, findings.HasErrors(), "%v", findings)
	j, err := verdict.New(p, intake)
	require.NoError(t, err)
	return j
}

// Every kind of a verdict has the fields that belong to it, and no others: testdata/verdicts.json is what
// 'waymark decide -o json' documents, and testdata/verdicts.txt what it prints for people.
func TestKindsOfVerdicts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "requests.json"))
	require.NoError(t, err)
	var requests []verdict.Request
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&requests))

	j := judge(t, effect.Intake{
		Minor: 39, Paths: effect.Paths{EscapedSlashes: effect.RedirectEscapedSlashes}, Underscores: effect.RejectUnderscores,
	})
	var verdicts []*verdict.Verdict
	var lines strings.Builder
	var seen []verdict.Kind
	for _, r := range requests {
		v := j.Decide(r)
		verdicts = append(verdicts, v)
		seen = append(seen, v.Kind)
		lines.WriteString(v.Text(r) + "\n")
	}
	for _, kind := range []verdict.Kind{
		verdict.Route, verdict.Redirect, verdict.DirectResponse, verdict.NoRoute, verdict.NoVirtualHost, verdict.TLSRedirect, verdict.PathRedirect,
		verdict.BadRequest, verdict.UpgradeRefused, verdict.NoListener, verdict.NoFilterChain, verdict.TLSError, verdict.TCP,
	} {
		assert.True(t, slices.Contains(seen, kind), "%s: no request ends so", kind)
	}
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	require.NoError(t, e.Encode(verdicts))
	golden(t, "verdicts.json", got.String())
	golden(t, "verdicts.txt", lines.String())
}

// A request without a port is asked of every listener that has the host.
func TestRequestsWithoutPort(t *testing.T) {
	t.Parallel()
	j := judge(t, effect.Intake{Minor: 39})
	for what, c := range map[string]struct {
		r    verdict.Request
		kind verdict.Kind
		say  string
	}{
		"answers that differ":                 {verdict.Request{Authority: "shop.test", Path: "/old"}, verdict.Differs, "GET shop.test/old on port 80 -> 308 http://shop.test/new  (default/shop.http[0].match[0])\nGET shop.test/old on port 81 -> 301 https://shop.test/old"},
		"an answer of one listener":           {verdict.Request{Authority: "shop.test", Path: "/old", TLS: true, SNI: "shop.test"}, verdict.Redirect, "GET shop.test/old -> 308 https://shop.test/new  (default/shop.http[0].match[0])"},
		"a host that none has":                {verdict.Request{Authority: "none.test", Path: "/", TLS: true, SNI: "one.test"}, verdict.NoVirtualHost, "404 no virtual host; the listeners are 80 ("},
		"a port names the listener as before": {verdict.Request{GatewayPort: 81, Authority: "shop.test", Path: "/old"}, verdict.TLSRedirect, "GET shop.test/old -> 301 https://shop.test/old"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := j.Decide(c.r)
			assert.Equal(t, c.kind, v.Kind)
			assert.Contains(t, v.Text(c.r), c.say)
		})
	}
}

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

// Values of headers are one string or several in the documents that are read, and several in those that are written.
func TestValuesOfHeaders(t *testing.T) {
	t.Parallel()
	var r verdict.Request
	require.NoError(t, json.Unmarshal([]byte(`{"headers": {"a": "1", "b": ["2", "3"]}}`), &r))
	assert.Equal(t, map[string]verdict.Values{"a": {"1"}, "b": {"2", "3"}}, r.Headers)
	require.Error(t, json.Unmarshal([]byte(`{"headers": {"a": 1}}`), &r))
	r.SetHeaders([][2]string{{"X-A", "1"}, {"x-a", "2"}})
	assert.Equal(t, map[string]verdict.Values{"x-a": {"1", "2"}}, r.Headers)
}

// A header that only the proxy knows makes the verdict uncertain, and the line for people says so.
func TestWhatOnlyTheProxyKnows(t *testing.T) {
	t.Parallel()
	r := verdict.Request{GatewayPort: 80, Authority: "unknown.test", Path: "/"}
	v := judge(t, effect.Intake{Minor: 39}).Decide(r)
	assert.Equal(t, []string{"x-request-id"}, v.Unknown)
	assert.Contains(t, v.Text(r), "[not certain: rules compare x-request-id, which only the proxy knows]")
}

// Rules that a request passes around are found, with the spelling that does it.
func TestPassages(t *testing.T) {
	t.Parallel()
	passages, all := judge(t, effect.Intake{Minor: 39}).Passages()
	require.True(t, all)
	var paths []string
	for _, p := range passages {
		if !p.Parameters {
			paths = append(paths, p.Denied.VirtualService()+" "+p.Path+" "+p.By.RouteName())
		}
	}
	assert.Equal(t, []string{"default/passed //admin default/passed.http[1]"}, slices.Compact(paths), "at each of two ports")
}

// A path that somebody else denies is passed around by a spelling that is forwarded and not denied.
func TestAround(t *testing.T) {
	t.Parallel()
	j := judge(t, effect.Intake{Minor: 39})
	around := func(path string, denied ...string) string {
		p, found := j.Around(path, func(authority, path string) bool { return authority == "passed.test" && slices.Contains(denied, path) })
		if !found {
			return ""
		}
		return p.Authority + p.Path + " as " + p.Forwarded + " by " + p.By.RouteName()
	}
	assert.Equal(t, "passed.test//open as //open by default/passed.http[1]", around("/open", "/open"))
	assert.Equal(t, "passed.test/%2fopen as /%2fopen by default/passed.http[1]", around("/open", "/open", "//open", "/\\open"))
	assert.Empty(t, around("/admin", "/admin"), "a rule denies it anyway")
	assert.Empty(t, around("/open"), "nobody denies the path itself")
}
