package lint_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/lint"
)

// TestRules says of each match of a list of rules, for a host on port 80 without TLS, what is known about it: live with the
// request that it takes, the code of the finding with what it names, or unknown with the reason.
func TestRules(t *testing.T) {
	const header = "headers: {x: {%s}}"
	x := func(condition string) string { return fmt.Sprintf(header, condition) }
	for sentence, c := range map[string]struct {
		host   string
		intake effect.Intake
		rules  [][2]string
	}{
		"several rules cover one together": {rules: [][2]string{
			{x("exact: u"), "live GET a.test/ with x: u"},
			{"withoutHeaders: {x: {exact: u}}", "live GET a.test/"},
			{"uri: {prefix: /api}", "WM0101 http[1] http[0]"},
		}},
		"paths are those that normalising leaves": {rules: [][2]string{
			{"uri: {exact: /a/../b}", "WM0102 uri"},
			{"uri: {exact: /%41}", "WM0102 uri"},
			{"uri: {exact: a}", "WM0102 uri"},
			{"uri: {regex: '/a/\\.\\./.*'}", "WM0102 uri"},
			{"uri: {exact: /a/..;x/b}", "live GET a.test/a/%2e%2e;x/b"},
			{"uri: {exact: /100%}", "live GET a.test/100%"},
			{"uri: {exact: //}", "live GET a.test//"},
			{"uri: {exact: /a%2Fb}", "live GET a.test/a%2Fb"},
		}},
		"merged slashes": {intake: effect.Intake{Paths: effect.Paths{Level: effect.NormalizeMergeSlashes}}, rules: [][2]string{
			{"uri: {exact: /a//b}", "WM0102 uri"},
			{"uri: {regex: '/.*//'}", "WM0102 uri"},
			{"uri: {regex: '/.*/b'}", "live GET a.test/a/b"},
		}},
		"paths in any case": {rules: [][2]string{
			{"uri: {prefix: /API}\n      ignoreUriCase: true", "live GET a.test/API"},
			{"uri: {exact: /api}", "WM0101 http[0]"},
		}},
		"a repeated header meets several conditions": {rules: [][2]string{
			{"withoutHeaders: {x: {exact: u}}", "live GET a.test/"},
			{x("exact: v"), "live GET a.test/ with x: v, x: u"},
		}},
		"joined values of a repeated header do not": {intake: effect.Intake{Minor: 38}, rules: [][2]string{
			{"withoutHeaders: {x: {exact: u}}", "live GET a.test/"},
			{x("exact: v"), "WM0101 http[0]"},
		}},
		"a single header is joined on every version": {rules: [][2]string{
			{"withoutHeaders: {user-agent: {exact: u}}", "live GET a.test/"},
			{"headers: {user-agent: {exact: v}}", "WM0101 http[0]"},
		}},
		"an absent header counts as empty": {rules: [][2]string{
			{"withoutHeaders: {x: {regex: '.*'}}", "WM0102 withoutHeaders.x"},
			{"withoutHeaders: {x: {exact: u}}\n      headers: {x: {exact: u}}", "WM0102 headers.x withoutHeaders.x"},
		}},
		"white space around values does not arrive": {rules: [][2]string{{x("exact: ' u'"), "WM0102 headers.x"}}},
		"parameters": {rules: [][2]string{
			{"queryParams: {q: {exact: 'a&b'}}", "WM0102 queryParams.q"},
			{"queryParams: {q: {exact: 'a b'}}", "WM0102 queryParams.q"},
			{"queryParams: {q: {regex: '.*'}}", "live GET a.test/?q=1"},
			{"queryParams: {q: {exact: x}}", "WM0101 http[2]"},
		}},
		"methods": {rules: [][2]string{
			{"method: {exact: CONNECT}", "WM0102 method"},
			{"method: {regex: 'GET|POST'}", "live GET a.test/"},
			{"method: {exact: FOO}", "live FOO a.test/"},
		}},
		"authorities have ports and are written in any case": {rules: [][2]string{
			{"authority: {exact: a.test}", "live GET a.test/"},
			{"authority: {exact: b.test}", "WM0102 authority"},
			{"authority: {prefix: a}", "live GET a.test:80/"},
			{"uri: {prefix: /z}", "live GET A.TEST/z"},
		}},
		"wildcard hosts": {host: "'*.w.test'", rules: [][2]string{
			{"authority: {exact: x.w.test}", "live GET x.w.test/"},
			{"authority: {exact: w.test}", "WM0102 authority"},
		}},
		"an upgrade needs two headers, and only WebSocket is one": {rules: [][2]string{
			{"headers: {upgrade: {exact: h2c}}", "WM0102 headers.upgrade"},
			{"headers: {upgrade: {exact: websocket}}", "live GET a.test/ with connection: Upgrade, upgrade: websocket"},
		}},
		"headers that the proxy writes": {rules: [][2]string{
			{"headers: {x-forwarded-proto: {exact: https}}", "WM0102 headers.x-forwarded-proto"},
			{"headers: {x-envoy-internal: {}}", "WM0102 headers.x-envoy-internal"},
			{"headers: {x-request-id: {regex: 'a.*'}}", "unknown default/v.http[2].match[0] compares x-request-id, which only the proxy knows"},
			{"headers: {x-forwarded-for: {exact: 10.0.0.1}}", "unknown default/v.http[2].match[0] compares x-request-id, which only the proxy knows"},
		}},
		"the address of the client": {rules: [][2]string{
			{"headers: {x-forwarded-for: {exact: 10.0.0.1}}", "live GET a.test/"},
			{"headers: {x-forwarded-for: {regex: '10\\..*,10.0.0.1'}}", "live GET a.test/ with x-forwarded-for: 10."},
			{"headers: {x-forwarded-for: {exact: nobody}}", "WM0102 headers.x-forwarded-for"},
		}},
		"the address of the client in two headers": {rules: [][2]string{
			{"headers: {x-envoy-external-address: {}}\n      uri: {prefix: /admin}", "live GET a.test/admin"},
			{"headers: {x-forwarded-for: {exact: 10.0.0.1}}", "live GET a.test/"},
			{"method: {exact: GET}", "live GET a.test/"},
			{"uri: {prefix: /z}", "live POST a.test/z"},
		}},
		"an upgrade behind a proxy that is trusted": {intake: effect.Intake{TrustedHops: 1}, rules: [][2]string{
			{"headers: {upgrade: {exact: websocket}}", "live GET a.test/ with connection: Upgrade, upgrade: websocket, x-forwarded-proto: http"},
			{"headers: {x-forwarded-proto: {exact: http}}", "live GET a.test/ with x-forwarded-proto: http"},
			{"headers: {x-forwarded-proto: {exact: https}}\n      scheme: {exact: https}", "live GET a.test/ with x-forwarded-proto: https"},
		}},
		"a referer must be one": {rules: [][2]string{{"headers: {referer: {prefix: 'https://x'}}", "live GET a.test/ with referer: https://x"}}},
		"claims": {rules: [][2]string{
			{"headers: {'@request.auth.claims.sub': {exact: x}}", "unknown it has conditions on claims of a JWT, which only a proxy with a JWT filter knows"},
			{"uri: {prefix: /a}", "live GET a.test/a"},
		}},
		"conditions on :path are decided without a query": {rules: [][2]string{
			{"headers: {':path': {prefix: /a}}", "live GET a.test/a"},
			{"headers: {':path': {exact: '/b?c'}}", "unknown conditions on :path are compared with the query, which is not looked at"},
		}},
		"expressions know words": {rules: [][2]string{
			{x("regex: '.*\\bfoo\\b.*'"), "live GET a.test/ with x: foo"},
			{x("regex: '.*foo.*'"), "live GET a.test/ with x: afoo"},
			{x("exact: foo bar"), "WM0101 http[0]"},
		}},
		"expressions read bytes from 1.39 on": {rules: [][2]string{
			{x("regex: '.'"), "live GET a.test/ with x: 1"},
			{x("exact: é"), "live GET a.test/ with x: é"},
		}},
		"expressions read UTF-8 before": {intake: effect.Intake{Minor: 38}, rules: [][2]string{
			{x("regex: '.'"), "live GET a.test/ with x: 1"},
			{x("exact: é"), "WM0101 http[0]"},
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			host := c.host
			if host == "" {
				host = "a.test"
			}
			text := gatewayAndService + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec:\n  hosts: [" + host + "]\n  gateways: [gw]\n  http:\n"
			for _, r := range c.rules {
				text += "  - match:\n    - " + r[0] + "\n    route: [{destination: {host: s, port: {number: 80}}}]\n"
			}
			_, report := checked(t, text, c.intake)
			require.Len(t, report.Rules, len(c.rules))
			for i, r := range c.rules {
				assert.Equal(t, r[1], described(report, i), r[0])
			}
		})
	}
}

const gatewayAndService = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: default}
spec: {ports: [{name: http, port: 80}]}
`

// described is what is known about a rule, in words.
func described(report *lint.Report, i int) string {
	r := report.Rules[i]
	switch {
	case r.Live:
		return "live " + r.Witness.String()
	case r.Unknown:
		return "unknown " + r.Why
	}
	for _, f := range report.Findings {
		if f.Rule != r.Rule {
			continue
		}
		words := append([]string{f.Code}, f.Conflict...)
		for _, c := range f.CoveredBy {
			words = append(words, strings.TrimSuffix(strings.TrimPrefix(c.Rule, "default/v."), ".match[0]"))
		}
		return strings.Join(words, " ")
	}
	return "dead without a finding"
}

// TestDroppedRules are dead because Istio leaves them out.
func TestDroppedRules(t *testing.T) {
	rule := func(match string) string {
		return "  - match: [{" + match + "}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n"
	}
	vs := func(name, head, rules string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + ", namespace: default}\nspec:\n" + head + "  http:\n" + rules
	}
	const bound = "  hosts: [a.test]\n  gateways: [gw]\n"
	for sentence, c := range map[string]struct {
		resources string
		want      []string
	}{
		"behind a catch-all of its own":          {vs("v", bound, rule("uri: {prefix: /}")+rule("uri: {prefix: /a}")), []string{"live", "WM0103 default/v.http[0].match[0]"}},
		"for another port":                       {vs("v", bound, rule("port: 81")), []string{"WM0104 port"}},
		"for other gateways":                     {vs("v", bound, rule("gateways: [other]")), []string{"WM0104 gateways"}},
		"for other workloads":                    {vs("v", bound, rule("sourceLabels: {app: x}")+rule("sourceNamespace: x")), []string{"WM0104 sourceLabels", "WM0104 sourceNamespace"}},
		"a workload of the mesh may have labels": {vs("v", "  hosts: [s]\n", rule("sourceLabels: {app: x}")+rule("uri: {prefix: /a}")), []string{"live", "live"}},
		"a delegate that contradicts its root": {
			vs("v", bound, "  - match: [{uri: {prefix: /a}}]\n    delegate: {name: d}\n") + vs("d", "", rule("uri: {prefix: /b}")), []string{"WM0105 match"},
		},
		"hidden by exportTo": {vs("v", bound+"  exportTo: [elsewhere]\n", rule("uri: {prefix: /a}")), []string{"dead without a finding"}},
		"no server has the host": {
			strings.ReplaceAll(vs("v", bound, rule("uri: {prefix: /a}")), "a.test", "b.example"), []string{"WM0104 hosts"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			resources := gatewayAndService
			if sentence == "no server has the host" {
				resources = strings.Replace(resources, "'*'", "a.test", 1)
			}
			_, report := checked(t, resources+c.resources, effect.Intake{})
			var got []string
			for i := range report.Rules {
				d := described(report, i)
				if strings.HasPrefix(d, "live") {
					d = "live"
				}
				got = append(got, d)
			}
			for i := range c.want {
				c.want[i] = strings.ReplaceAll(strings.TrimSuffix(c.want[i], ".match[0]"), "default/v.", "")
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestManyExpressionsBesideEachOther are 30 expressions for one cookie header, all live, and a rule that they cover.
func TestManyExpressionsBesideEachOther(t *testing.T) {
	text := gatewayAndService + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n"
	for i := range 30 {
		text += fmt.Sprintf("  - match: [{headers: {cookie: {regex: '^(.*;)?\\s*user=u%d(;.*)?$'}}}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n", i)
	}
	text += "  - match: [{headers: {cookie: {regex: 'user=u[0-9]'}}}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n"
	_, report := checked(t, text, effect.Intake{})
	for i, r := range report.Rules[:30] {
		assert.True(t, r.Live, i)
	}
	assert.Equal(t, "WM0101 http[0] http[1] http[2] http[3] http[4] http[5] http[6] http[7] http[8] http[9]", described(report, 30))
}

// TestWorkIsBounded: rules over headers can express any formula, and whether one can be met can take exponentially long.
func TestWorkIsBounded(t *testing.T) {
	text := gatewayAndService + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n"
	for i := range 13 { // 13 pigeons in 12 holes: hole k of pigeon i is the header x-i-k
		var holes []string
		for k := range 12 {
			holes = append(holes, fmt.Sprintf("x-%d-%d: {}", i, k))
			for other := range i {
				text += fmt.Sprintf("  - match: [{headers: {x-%d-%d: {}, x-%d-%d: {}}}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n", i, k, other, k)
			}
		}
		text += "  - match: [{withoutHeaders: {" + strings.Join(holes, ", ") + "}}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n"
	}
	text += "  - route: [{destination: {host: s, port: {number: 80}}}]\n"
	_, report := checked(t, text, effect.Intake{})
	last := len(report.Rules) - 1
	assert.Equal(t, "unknown work cap: 2,000,000 states", described(report, last), "no request reaches the last rule, and that is not found in time")
}

// TestFormulas holds rules that say which headers are present and absent against all combinations of eight headers.
func TestFormulas(t *testing.T) {
	const headers, rules = 8, 45
	live, dead := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(3, seed))
		text := gatewayAndService + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n"
		var present, absent [rules]uint
		for i := range rules {
			var with, without []string
			for _, h := range r.Perm(headers)[:3] {
				if name := fmt.Sprintf("x-%d: {}", h); r.IntN(2) == 0 {
					with, present[i] = append(with, name), present[i]|1<<h
				} else {
					without, absent[i] = append(without, name), absent[i]|1<<h
				}
			}
			text += "  - match: [{headers: {" + strings.Join(with, ", ") + "}, withoutHeaders: {" + strings.Join(without, ", ") + "}}]\n    route: [{destination: {host: s, port: {number: 80}}}]\n"
		}
		var want [rules]bool
		for set := range uint(1 << headers) {
			for i := range rules {
				if present[i]&^set == 0 && absent[i]&set == 0 {
					want[i] = true
					break
				}
			}
		}
		_, report := checked(t, text, effect.Intake{})
		for i, rule := range report.Rules {
			require.False(t, rule.Unknown)
			require.Equal(t, want[i], rule.Live, "seed %d, rule %d:\n%s", seed, i, text)
			if rule.Live {
				live++
			} else {
				dead++
			}
		}
	}
	assert.Positive(t, live)
	assert.Positive(t, dead)
}
