package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// gatewayText is a Gateway on port 80.
func gatewayText(name string) string {
	return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " + name + "}\n" +
		"spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.test']}]}\n---\n"
}

// virtualServiceText has rules in the flow form of YAML.
func virtualServiceText(name, host, gateway, rules string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + "}\n" +
		fmt.Sprintf("spec: {hosts: [%s], gateways: [%s], http: [%s]}\n---\n", host, gateway, rules)
}

// planOf translates a text as a gateway.
func planOf(t *testing.T, text string) (*plan.Plan, *input) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	in := &input{fileFlags: fileFlags{files: []string{file}}, proxy: "gateway", outbound: "ALLOW_ANY", envoys: envoyversion.All}
	p, findings, err := in.work()
	require.NoError(t, err, findings)
	return p, in
}

const (
	ruleA   = "{match: [{uri: {exact: /a}}], directResponse: {status: 200}}"
	ruleB   = "{match: [{uri: {prefix: /b}}], directResponse: {status: 200}}"
	ruleC   = "{match: [{uri: {prefix: /b}}], directResponse: {status: 204}}"
	ruleAll = "{directResponse: {status: 404}}"
)

// A change is told by what was added, removed and changed, whatever place it has.
func TestChangesBetween(t *testing.T) {
	t.Parallel()
	of := func(rules string) string { return gatewayText("gw") + virtualServiceText("a", "a.test", "gw", rules) }
	for what, c := range map[string]struct{ before, after, want string }{
		"nothing":          {of(ruleA), of(ruleA), "no host, rule or destination has changed"},
		"a rule in front":  {of(ruleA + "," + ruleAll), of(ruleB + "," + ruleA + "," + ruleAll), "rules: 1 added (default/a.http[0].match[0])"},
		"a rule less":      {of(ruleA + "," + ruleB), of(ruleB), "rules: 1 removed (default/a.http[0].match[0])"},
		"another answer":   {of(ruleA + "," + ruleB), of(ruleA + "," + ruleC), "rules: 1 changed (default/a.http[1].match[0])"},
		"another order":    {of(ruleA + "," + ruleB), of(ruleB + "," + ruleA), "rules: 1 changed (the order from default/a.http[0].match[0] on)"},
		"another host":     {of(ruleA), of(ruleA) + virtualServiceText("b", "b.test", "gw", ruleA), "hosts: 1 added (b.test); rules: 1 added (default/b.http[0].match[0])"},
		"one host instead": {of(ruleA), strings.ReplaceAll(of(ruleA), "a.test", "c.test"), "hosts: 1 added (c.test), 1 removed (a.test); rules: 1 added (default/a.http[0].match[0]), 1 removed (default/a.http[0].match[0])"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			before, _ := planOf(t, c.before)
			after, _ := planOf(t, c.after)
			assert.Equal(t, c.want, changesBetween(before, after))
		})
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf("{match: [{uri: {exact: /%d}}], directResponse: {status: 200}}", i)
	}
	before, _ := planOf(t, of(ruleAll))
	after, _ := planOf(t, of(strings.Join(many, ",")+","+ruleAll))
	assert.Regexp(t, `^rules: 40 added \((default/a\.http\[\d\]\.match\[0\], ){4}default/a\.http\[4\]\.match\[0\] and 35 more\)$`, changesBetween(before, after))
}

// Files are told by name, and whether they are new or gone.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	of := func(names ...string) map[string][32]byte {
		out := map[string][32]byte{}
		for i, name := range names {
			out[name] = [32]byte{byte(i)}
		}
		return out
	}
	assert.Equal(t, "b.yaml, c.yaml (new)", changedFiles(of("a.yaml", "b.yaml"), of("a.yaml", "c.yaml", "b.yaml")))
	assert.Equal(t, "b.yaml (removed)", changedFiles(of("a.yaml", "b.yaml"), of("a.yaml")))
}

// Objects without effect are found, with the reason, unless their name is a finding.
func TestObjectsWithoutEffect(t *testing.T) {
	t.Parallel()
	_, in := planOf(t, gatewayText("gw")+gatewayText("idle")+virtualServiceText("a", "a.test", "gw", ruleA)+
		virtualServiceText("lost", "b.test", "none", ruleA)+virtualServiceText("elsewhere", "b.example", "default/gw", ruleA)+
		strings.Replace(gatewayText("inner"), "ingressgateway", "inner", 1)+virtualServiceText("inner", "c.test", "inner", ruleA))
	assert.ElementsMatch(t, []unbound{
		{"VirtualService default/inner", whyNotBound}, {"Gateway default/idle", whyNoRules},
	}, in.unbound)
}

// The line to copy asks for a rule that needs no more than host and path.
func TestTryIt(t *testing.T) {
	t.Parallel()
	address := func(*plan.Listener) string { return "0.0.0.0:8080" }
	conditional := "{match: [{uri: {exact: /x}, headers: {a: {exact: b}}}], directResponse: {status: 200}},"
	for host, want := range map[string]string{
		"a.test":   "curl -i -H 'Host: a.test' 'http://127.0.0.1:8080/a'",
		"'*.test'": "curl -i -H 'Host: any.test' 'http://127.0.0.1:8080/a'",
	} {
		p, _ := planOf(t, gatewayText("gw")+virtualServiceText("a", host, "gw", conditional+ruleA))
		assert.Equal(t, want, tryIt(p, address))
	}
	p, _ := planOf(t, gatewayText("gw"))
	assert.Empty(t, tryIt(p, address))
	assert.Equal(t, `'it'\''s'`, quoted("it's"))
}

// A 404 of a host that nothing serves is told once a minute for each host, and a few times for all of them.
func TestHostsThatNothingServes(t *testing.T) {
	t.Parallel()
	p, _ := planOf(t, gatewayText("gw")+virtualServiceText("a", "a.test", "gw", ruleA))
	var out bytes.Buffer
	now := time.Unix(0, 0)
	u := newUnserved(slog.New(slog.NewTextHandler(&out, nil)))
	u.now = func() time.Time { return now }
	u.serve(p)
	entries := func() int { return strings.Count(out.String(), "404: no host serves") }
	ask := func(authority string) {
		u.access(proxy.Access{Authority: authority, Status: http.StatusNotFound, Detail: notFound})
	}
	ask("a.test")
	ask("A.test:80")
	u.access(proxy.Access{Authority: "c.test", Status: http.StatusNotFound, Detail: "via_upstream"})
	assert.Zero(t, entries(), "a host that is served, and the answer of a destination")
	ask("b.test")
	ask("b.test")
	assert.Equal(t, 1, entries())
	assert.Contains(t, out.String(), `404: no host serves \"b.test\"; the hosts that are served are a.test`)
	for i := range 100 {
		ask(fmt.Sprintf("%d.test%s", i, strings.Repeat("x", 1000)))
	}
	assert.Equal(t, mostUnserved, entries())
	assert.Less(t, out.Len(), 5000)
	now = now.Add(unservedPause)
	ask("b.test")
	assert.Equal(t, mostUnserved+1, entries())
	u.serve(p)
	ask("b.test")
	assert.Equal(t, mostUnserved+2, entries(), "after a change at once")
}

// Requests that no route was found for are found in both forms of Envoy's access log.
func TestNotFoundInEnvoysLog(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"authority":"b.test","details":"route_not_found","status":404}`:                               "b.test",
		`[2026-01-01T00:00:00.000Z] "GET b.test:80/x HTTP/1.1" 404 NR route_not_found rule=- cluster=-`: "b.test:80",
		`{"authority":"b.test","details":"via_upstream","path":"/route_not_found","status":404}`:        "",
		`[2026-01-01T00:00:00.000Z] "GET b.test/route_not_found HTTP/1.1" 200 - via_upstream rule=a`:    "",
		`[2026-01-01][warning] route_not_found`:                                                         "",
	} {
		got, _ := notFoundIn([]byte(line + "\n"))
		assert.Equal(t, want, got, line)
	}
}

// A server that has no usable certificate any more has the settings that it had; one that never had any stays as it is.
func TestCertificatesAreKept(t *testing.T) {
	t.Parallel()
	chain := func(name string, tls *plan.ServerTLS) *plan.FilterChain {
		return &plan.FilterChain{ServerNames: []string{name}, TLS: tls}
	}
	of := func(chains ...*plan.FilterChain) *plan.Plan {
		return &plan.Plan{Listeners: []*plan.Listener{{Port: 443, Chains: append(chains, &plan.FilterChain{})}}}
	}
	had, has := &plan.ServerTLS{Certificates: []*plan.Credential{{Name: "had"}}}, &plan.ServerTLS{Certificates: []*plan.Credential{{Name: "has"}}}
	unusable := &plan.ServerTLS{Unusable: true}
	after := of(chain("lost", unusable), chain("changed", has), chain("new", unusable), chain("never", unusable))
	kept := keepCertificates(of(chain("lost", had), chain("changed", had), chain("never", unusable)), after)
	assert.Equal(t, []string{"port 443, lost"}, kept)
	var got []*plan.ServerTLS
	for _, c := range after.Listeners[0].Chains {
		got = append(got, c.TLS)
	}
	assert.Equal(t, []*plan.ServerTLS{had, has, unusable, unusable, nil}, got)
}
