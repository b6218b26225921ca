package explain_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/verdict"
)

// explainer explains what a file of rules does.
func explainer(t testing.TB, yaml string) (*explain.Explainer, *verdict.Judge) {
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(yaml), DefaultNamespace: "default"}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	o := translate.Options{}.WithDefaults()
	w := gateway.All(in.Set, o)
	require.NotNil(t, w.Plan, "%v", w.Findings)
	j, err := verdict.New(w.Plan, effect.Intake{Minor: version.Newest})
	require.NoError(t, err)
	return explain.New(w.Plan, j, in.Set, o.ClusterDomain), j
}

const header = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
`

// rules is a VirtualService with a rule for each match.
func rules(matches ...string) string {
	var b strings.Builder
	b.WriteString(header)
	for _, m := range matches {
		fmt.Fprintf(&b, "  - {match: [%s], directResponse: {status: 200}}\n", m)
	}
	return b.String()
}

// A failed condition is named as the VirtualService has it, with what the request has.
func TestConditionsThatFail(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		match   string
		request verdict.Request
		field   string
		want    map[string]string
		saw     []string
		text    string
	}{
		"a path":                                  {"{uri: {exact: /a}}", verdict.Request{Path: "/b?x=1"}, "uri", map[string]string{"exact": "/a"}, []string{"/b"}, `path is /b, want exactly /a`},
		"a path of any case":                      {"{uri: {prefix: /a}, ignoreUriCase: true}", verdict.Request{Path: "/b"}, "uri", map[string]string{"prefix": "/a"}, []string{"/b"}, `path is /b, want prefix /a in any case`},
		"an expression on the path":               {"{uri: {regex: /a+}}", verdict.Request{Path: "/b"}, "uri", map[string]string{"regex": "/a+"}, []string{"/b"}, `path is /b, want regex "/a+"`},
		"the method":                              {"{method: {exact: PUT}}", verdict.Request{}, "method", map[string]string{"exact": "PUT"}, []string{"GET"}, `method is "GET", want exactly "PUT"`},
		"the scheme":                              {"{scheme: {exact: https}}", verdict.Request{}, "scheme", map[string]string{"exact": "https"}, []string{"http"}, `scheme is "http", want exactly "https"`},
		"the authority":                           {`{authority: {prefix: "a.test:"}}`, verdict.Request{}, "authority", map[string]string{"prefix": "a.test:"}, []string{"a.test"}, `authority is "a.test", want prefix "a.test:"`},
		"the authority, written as a header":      {`{headers: {":authority": {exact: b.test}}, authority: {exact: a.test}}`, verdict.Request{}, "headers.:authority", map[string]string{"exact": "b.test"}, []string{"a.test"}, `authority is "a.test", want exactly "b.test"`},
		"a header that is absent":                 {"{headers: {X-User: {exact: jason}}}", verdict.Request{}, "headers.X-User", map[string]string{"exact": "jason"}, nil, `header X-User is absent, want exactly "jason"`},
		"a header of any value":                   {"{headers: {x-user: {}}}", verdict.Request{}, "headers.x-user", map[string]string{}, nil, `header x-user is absent`},
		"a header with another value":             {"{headers: {x-user: {exact: jason}}}", verdict.Request{Headers: map[string]verdict.Values{"X-User": {"jaso"}}}, "headers.x-user", map[string]string{"exact": "jason"}, []string{"jaso"}, `header x-user is "jaso", want exactly "jason"`},
		"a header that is repeated":               {"{headers: {x-user: {exact: jason}}}", verdict.Request{Headers: map[string]verdict.Values{"x-user": {"a", "b"}}}, "headers.x-user", map[string]string{"exact": "jason"}, []string{"a", "b"}, `header x-user is "a" and "b", want exactly "jason"`},
		"a header that must not be":               {"{withoutHeaders: {x-user: {}}}", verdict.Request{Headers: map[string]verdict.Values{"x-user": {""}}}, "withoutHeaders.x-user", map[string]string{}, []string{""}, `header x-user is "", want it absent`},
		"a value that must not be":                {"{withoutHeaders: {x-user: {prefix: j}}}", verdict.Request{Headers: map[string]verdict.Values{"x-user": {"jason"}}}, "withoutHeaders.x-user", map[string]string{"prefix": "j"}, []string{"jason"}, `header x-user is "jason", want no prefix "j"`},
		"an empty value that must not be":         {"{withoutHeaders: {x-user: {exact: \"\"}}}", verdict.Request{}, "withoutHeaders.x-user", map[string]string{"exact": ""}, nil, `header x-user is absent, want anything but ""`},
		"Host as a header":                        {"{headers: {host: {exact: b.test}}}", verdict.Request{}, "headers.host", map[string]string{"exact": "b.test"}, []string{"a.test"}, `header host is "a.test", want exactly "b.test"`},
		"a query parameter that is absent":        {"{queryParams: {q: {exact: \"1\"}}}", verdict.Request{Path: "/?p=1"}, "queryParams.q", map[string]string{"exact": "1"}, nil, `query parameter q is absent, want exactly "1"`},
		"a query parameter, which is not decoded": {"{queryParams: {q: {exact: \"1 2\"}}}", verdict.Request{Path: "/?q=1%202&q=1"}, "queryParams.q", map[string]string{"exact": "1 2"}, []string{"1%202"}, `query parameter q is "1%202", want exactly "1 2"`},
		"a claim of a JWT":                        {"{headers: {\"@request.auth.claims.group\": {exact: dev}}}", verdict.Request{}, "headers.@request.auth.claims[group]", map[string]string{"exact": "dev"}, nil, `JWT claim group is absent, want exactly "dev"`},
		"the first of several":                    {"{uri: {prefix: /}, method: {exact: GET}, headers: {x-a: {exact: \"1\"}, x-b: {exact: \"2\"}}, queryParams: {q: {}}}", verdict.Request{Headers: map[string]verdict.Values{"x-a": {"1"}}}, "headers.x-b", map[string]string{"exact": "2"}, nil, `header x-b is absent, want exactly "2"`},
		"a value that would change the lines":     {"{headers: {x-a: {exact: \"1\"}}}", verdict.Request{Headers: map[string]verdict.Values{"x-a": {"\u200b"}}}, "headers.x-a", map[string]string{"exact": "1"}, []string{"\u200b"}, `header x-a is "\u200b", want exactly "1"`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			x, _ := explainer(t, rules(c.match))
			c.request.Authority = "a.test"
			if c.request.Path == "" {
				c.request.Path = "/"
			}
			e := x.Explain(c.request)
			require.Len(t, e.Tried, 1)
			require.Equal(t, explain.Failed, e.Tried[0].Result)
			f := e.Tried[0].Failed
			assert.Equal(t, c.field, f.Field)
			assert.Equal(t, c.want, f.Want)
			assert.Equal(t, c.saw, f.Saw)
			assert.Equal(t, c.text, f.String())
		})
	}
}

// An Envoy before 1.39 compares the values of a repeated header joined by commas.
func TestRepeatedHeadersAreJoined(t *testing.T) {
	t.Parallel()
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(rules("{headers: {x-a: {exact: a}}}"))}, version.All)
	w := gateway.All(in.Set, translate.Options{})
	j, err := verdict.New(w.Plan, effect.Intake{Minor: 38})
	require.NoError(t, err)
	e := explain.New(w.Plan, j, in.Set, "cluster.local").Explain(verdict.Request{Authority: "a.test", Path: "/", Headers: map[string]verdict.Values{"x-a": {"a", "b"}}})
	assert.Equal(t, []string{"a,b"}, e.Tried[0].Failed.Saw)
}

// A rule of the host that the listener does not have is listed with the reason.
func TestRulesThatAreNotHere(t *testing.T) {
	t.Parallel()
	const gateways = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: other}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}]}
---`
	another := func(spec string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\nspec: " + spec + "\n"
	}
	for what, c := range map[string]struct {
		yaml string
		want map[string]string
	}{
		"another port":                      {rules("{uri: {prefix: /x}, port: 81}", "{uri: {prefix: /y}}"), map[string]string{"default/a.http[0].match[0]": "its match is for another port than this listener's, 80"}},
		"other gateways":                    {rules("{uri: {prefix: /x}, gateways: [default/other]}", "{uri: {prefix: /y}}"), map[string]string{"default/a.http[0].match[0]": "its match is for other gateways than this listener's, default/gw"}},
		"another proxy":                     {rules("{uri: {prefix: /x}, sourceLabels: {app: x}}", "{uri: {prefix: /y}}"), map[string]string{"default/a.http[0].match[0]": "its sourceLabels are not those of the proxy"}},
		"behind a rule for everything":      {rules("{uri: {prefix: /}}", "{uri: {prefix: /y}}"), map[string]string{"default/a.http[1].match[0]": "an earlier rule of its VirtualService takes every request (default/a.http[0].match[0])"}},
		"a delegate that is not there":      {rules("{uri: {prefix: /y}}") + "  - {match: [{uri: {prefix: /z}}], delegate: {name: none}}\n", map[string]string{"default/a.http[1]": "its delegate does not exist, or is not exported to its namespace"}},
		"a delegate's rule that conflicts":  {rules("{uri: {prefix: /y}}") + "  - {match: [{uri: {prefix: /z}}], delegate: {name: b}}\n" + another("{http: [{match: [{uri: {prefix: /w}}], directResponse: {status: 200}}]}"), map[string]string{"default/a+default/b.http[0]": "one of its matches contradicts every match of the rule that delegates (default/a.http[1])"}},
		"hidden by exportTo":                {rules("{uri: {prefix: /y}}") + another(`{hosts: [a.test], gateways: [gw], exportTo: ["."], http: [{directResponse: {status: 200}}]}`), map[string]string{"default/b": "exportTo hides it from the namespace of the proxy"}},
		"bound to another Gateway":          {rules("{uri: {prefix: /y}}") + another("{hosts: [a.test], gateways: [other], http: [{directResponse: {status: 200}}]}"), map[string]string{"default/b": "it is bound to default/other, and this listener is for default/gw"}},
		"one of another host is not listed": {rules("{uri: {prefix: /y}}") + another("{hosts: [b.test], gateways: [other], http: [{directResponse: {status: 200}}]}"), map[string]string{}},
		"nor one that was passed over":      {rules("{uri: {prefix: /y}}") + another(`{hosts: ["*.test"], gateways: [gw], http: [{directResponse: {status: 200}}]}`), map[string]string{}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			x, _ := explainer(t, gateways+c.yaml)
			e := x.Explain(verdict.Request{GatewayPort: 80, Authority: "a.test", Path: "/q"})
			got := map[string]string{}
			for _, d := range e.Dropped {
				got[d.Rule] = d.Why
				assert.Positive(t, d.Line, d.Rule)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// The filter chain of a TLS connection is named with the server name that selects it.
func TestChains(t *testing.T) {
	t.Parallel()
	x, _ := explainer(t, `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: 443, name: w, protocol: HTTPS}, hosts: ["*.w.test"], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: 443, name: p, protocol: TLS}, hosts: [p.test], tls: {mode: PASSTHROUGH}}
  - {port: {number: 444, name: any, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: p}
spec:
  hosts: [p.test]
  gateways: [gw]
  tls:
  - match: [{port: 443, sniHosts: [p.test]}]
    route: [{destination: {host: p, port: {number: 443}}}]
  tcp:
  - match: [{port: 9000}]
    route: [{destination: {host: p, port: {number: 9000}}}]
---`+header+"  - directResponse: {status: 200}\n")
	tls := func(port uint32, name string) verdict.Request {
		return verdict.Request{GatewayPort: port, TLS: true, SNI: name, Authority: name, Path: "/"}
	}
	for what, c := range map[string]struct {
		request verdict.Request
		kind    verdict.Kind
		mode    string
		why     string
		rule    string
	}{
		"by the name":                    {tls(443, "A.test"), verdict.DirectResponse, "SIMPLE", "has the server name a.test", ""},
		"by a wildcard":                  {tls(443, "x.w.test"), verdict.NoRoute, "SIMPLE", "has the server name *.w.test, which covers x.w.test", ""},
		"without a name":                 {tls(444, "a.test"), verdict.DirectResponse, "SIMPLE", "takes every connection that no chain with server names takes", ""},
		"TLS that is passed through":     {tls(443, "p.test"), verdict.TCP, "PASSTHROUGH", "has the server name p.test", "default/p.tls[0]"},
		"TLS passed through at any port": {tls(0, "p.test"), verdict.TCP, "PASSTHROUGH", "has the server name p.test", "default/p.tls[0]"},
		"bytes that nobody looks at":     {verdict.Request{GatewayPort: 9000}, verdict.TCP, "", "takes every connection that no chain with server names takes", "default/p.tcp[0]"},
	} {
		t.Run(what, func(t *testing.T) {
			e := x.Explain(c.request)
			require.Equal(t, c.kind, e.Decision.Kind)
			require.NotNil(t, e.Chain)
			assert.Equal(t, c.mode, e.Chain.TLS)
			assert.Equal(t, c.why, e.Chain.Why)
			assert.Equal(t, c.rule, e.Chain.Rule)
			assert.Empty(t, e.Decision.There(), "the listener is found")
		})
	}
	assert.Contains(t, x.Explain(tls(443, "x.w.test")).Text(explain.TextOptions{}), "404 Not Found: no VirtualService has a rule for this virtual host")
	e := x.Explain(tls(443, "a.tst"))
	assert.Nil(t, e.Chain)
	assert.Equal(t, []string{"default/gw"}, e.Listener.Gateways)
	assert.Equal(t, []string{"a.test"}, e.NearHosts)
	assert.Nil(t, x.Explain(verdict.Request{GatewayPort: 1, Authority: "a.test"}).Listener)
}

// Where nothing matches, the rules that lack the fewest conditions are the nearest; one whose path matches comes first.
func TestWhatIsNear(t *testing.T) {
	t.Parallel()
	x, _ := explainer(t, rules("{uri: {exact: /x}}", "{uri: {prefix: /a}, method: {exact: PUT}, headers: {x-a: {}}}", "{uri: {prefix: /a}, method: {exact: PUT}}", "{headers: {\"@request.auth.claims.group\": {exact: dev}}}"))
	e := x.Explain(verdict.Request{Authority: "a.test", Path: "/a"})
	var got []string
	for _, n := range e.Nearest {
		got = append(got, n.Rule+" "+strings.Join(n.Missing, " "))
	}
	assert.Equal(t, []string{"default/a.http[2].match[0] method", "default/a.http[0].match[0] uri"}, got)
	assert.Empty(t, e.NearHosts)

	e = x.Explain(verdict.Request{Authority: "A.tst:80", Path: "/a"})
	assert.Nil(t, e.VirtualHost)
	assert.Equal(t, []string{"a.test"}, e.NearHosts)
	assert.Empty(t, x.Explain(verdict.Request{Authority: "elsewhere.example", Path: "/a"}).NearHosts)
	assert.Empty(t, x.Explain(verdict.Request{Authority: "a.test", Path: "/x"}).Nearest, "a rule takes it")
}

// For rules and requests made at random, an explanation ends with the rule that decides, and every condition that is
// said to fail does: it is compared here once more, by what it wants and what was seen.
func TestConditionsReallyFail(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(5, 6))
	pick := func(of ...string) string { return of[dice.IntN(len(of))] }
	value := func() string {
		return pick(`{exact: "1"}`, `{prefix: "1"}`, `{regex: "1|22"}`, `{}`, `{exact: ""}`)
	}
	matched, failed := 0, 0
	for range 60 {
		var matches []string
		for range 8 {
			m := "uri: {" + pick("exact", "prefix", "regex") + ": " + pick("/a", "/a/b", "/") + "}"
			for _, field := range []string{"headers", "withoutHeaders", "queryParams"} {
				if dice.IntN(3) == 0 {
					m += fmt.Sprintf(", %s: {%s: %s, %s: %s}", field, "x-a", value(), "x-b", value())
				}
			}
			if dice.IntN(4) == 0 {
				m += ", method: {exact: " + pick("GET", "PUT") + "}"
			}
			matches = append(matches, "{"+m+"}")
		}
		x, j := explainer(t, rules(matches...))
		for range 40 {
			r := verdict.Request{Authority: "a.test", Method: pick("GET", "PUT"), Path: pick("/", "/a", "/a/b", "/a/b/c") + pick("", "?x-a=1", "?x-b=22&x-a=1&x-a=3"), Headers: map[string]verdict.Values{}}
			for _, name := range []string{"x-a", "x-b"} {
				for range dice.IntN(3) {
					r.Headers[name] = append(r.Headers[name], pick("1", "12", "22", ""))
				}
			}
			e := x.Explain(r)
			v := j.Decide(r)
			for i, tried := range e.Tried {
				if tried.Result == explain.Matched {
					matched++
					require.Equal(t, len(e.Tried)-1, i)
					require.Equal(t, i, v.Route.Index)
					continue
				}
				failed++
				require.True(t, fails(tried.Failed), "%+v: %+v", r, tried)
			}
			require.Equal(t, v.Route != nil, len(e.Tried) > 0 && e.Tried[len(e.Tried)-1].Result == explain.Matched)
			if v.Route == nil {
				require.Len(t, e.Tried, 8)
			}
		}
	}
	assert.Greater(t, matched, 500)
	assert.Greater(t, failed, 5000)
}

// fails compares a condition in the simplest way.
func fails(c *explain.Condition) bool {
	compare := func(value string) bool {
		for kind, want := range c.Want {
			switch kind {
			case "exact":
				return value == want
			case "prefix":
				return strings.HasPrefix(value, want)
			default:
				return regexp.MustCompile(`\A(?:` + want + `)\z`).MatchString(value)
			}
		}
		return true
	}
	met := false
	for _, value := range c.Saw {
		met = met || compare(value)
	}
	if strings.HasPrefix(c.Field, "withoutHeaders.") {
		if len(c.Saw) == 0 && len(c.Want) > 0 {
			met = compare("") // an absent header counts as empty (VS-MATCH-19)
		}
		return met
	}
	return !met
}
