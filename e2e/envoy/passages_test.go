package envoy

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/verdict"
)

const denyRules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - {name: admin, match: [{uri: {prefix: /admin}}], directResponse: {status: 403}}
  - {name: secret, match: [{uri: {exact: /api/secret}, method: {exact: POST}, headers: {x-a: {exact: b}}}], directResponse: {status: 401}}
  - {name: moved, match: [{uri: {prefix: /old}}], redirect: {uri: /new}}
  - {name: aborted, match: [{uri: {prefix: /aborted}}], fault: {abort: {percentage: {value: 100}, httpStatus: 503}}, route: [{destination: {host: up.svc}}]}
  - {name: half, match: [{uri: {prefix: /half}}], fault: {abort: {percentage: {value: 50}, httpStatus: 503}}, route: [{destination: {host: up.svc}}]}
  - {name: regex, match: [{uri: {regex: "/regex.*"}}], directResponse: {status: 403}}
  - {name: all, route: [{destination: {host: up.svc}}]}
`

// TestPassagesAreReal sends the ways past rules that check warns of to Envoys: each gets to the destination. And where it
// warns of none, the spellings that are known to be tried do not.
func TestPassagesAreReal(t *testing.T) {
	policies := map[string]envoy.Options{
		"edge":  {},
		"plain": {Profile: envoy.ProfilePlain},
		"NONE":  {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeNone}},
		"MERGE": {Profile: envoy.ProfilePlain, Paths: effect.Paths{Level: effect.NormalizeMergeSlashes}},
	}
	for _, b := range envoys(t) {
		for name, o := range policies {
			t.Run(b.Version+" "+name, func(t *testing.T) {
				r := rawTestbed(t, denyRules)
				startEnvoy(t, b, r, "", func(out *envoy.Options) { out.Profile, out.Paths = o.Profile, o.Paths })
				o.Minor = b.Minor
				j, err := verdict.New(r.plan, o.Intake())
				require.NoError(t, err)
				c := r.client()
				rules := map[string]int{}
				ways, all := j.Passages()
				assert.True(t, all)
				for _, p := range ways {
					rules[p.Denied.Name]++
					q := request(p.Path, nil)
					if p.Denied.Name == "secret" {
						q = request(p.Path, map[string]string{"x-a": "b"})
						q.Method = "POST"
					}
					got, err := c.retry(q)
					require.NoError(t, err, p.Path)
					seen := newReply(got.status, got.headers, []byte(got.body)).Seen
					if assert.NotNil(t, seen, "%s: %d", p.Path, got.status) {
						assert.Equal(t, p.Forwarded, seen.Path)
					}
					assert.True(t, p.Parameters || name != "edge", p.Path)
				}
				each := 2 // one with parameters, one without
				if name == "edge" {
					each = 1
				}
				want := map[string]int{"admin": each, "secret": each, "aborted": each}
				if name != "edge" {
					want["moved"] = 1 // a redirect is not looked at with parameters
				}
				assert.Equal(t, want, rules)
				if name != "edge" {
					return
				}
				for path, status := range map[string]int{
					"//admin": http.StatusForbidden, `/\admin`: http.StatusForbidden, "/x/../admin": http.StatusForbidden,
					"/%2fadmin": http.StatusTemporaryRedirect, "/x/..%2fadmin": http.StatusTemporaryRedirect, "/%5Cadmin": http.StatusTemporaryRedirect,
				} {
					got, err := c.retry(request(path, nil))
					require.NoError(t, err, path)
					assert.Equal(t, status, got.status, path)
				}
			})
		}
	}
}

// TestCheckWarnsOfPassages has the flags of check say under which normalisation a rule is passed, and by which path.
func TestCheckWarnsOfPassages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(gatewayRules+denyRules), 0o600))
	slashes := `denies /admin, but a.test//admin is sent on as //admin by default/a.http[6]:all; --path-normalization BASE, ` +
		`--merge-slashes and --escaped-slashes UNESCAPE_AND_REDIRECT together close this [WM-PATH-01]`
	for what, c := range map[string]struct {
		flags    []string
		says     []string
		saysNone []string
	}{
		"before 1.39":   {[]string{"--envoy-version", "1.38"}, []string{"a.test/x/..;a=b/admin is sent on as /x/..;a=b/admin", "WM-PATH-02"}, []string{"WM-PATH-01"}},
		"plain":         {[]string{"--profile", "plain"}, []string{slashes}, nil},
		"merged":        {[]string{"--profile", "plain", "--merge-slashes"}, []string{"a.test/%2fadmin is sent on as /%2fadmin"}, []string{"//admin is"}},
		"both, old":     {[]string{"--profile", "plain", "--merge-slashes", "--escaped-slashes", "reject_request", "--envoy-version", "1.36"}, []string{"WM-PATH-02"}, []string{"WM-PATH-01"}},
		"edge, without": {[]string{"--merge-slashes=false"}, []string{slashes}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			stdout, stderr, status := program.Run(t, "", append([]string{"check", "-f", file}, c.flags...)...)
			assert.Equal(t, 79, status, stderr)
			for _, say := range c.says {
				assert.Contains(t, stdout, say)
			}
			for _, say := range c.saysNone {
				assert.NotContains(t, stdout, say)
			}
		})
	}
	for _, flags := range [][]string{nil, {"--profile", "plain", "--merge-slashes", "--escaped-slashes", "reject_request"}} {
		stdout, stderr, status := program.Run(t, "", append([]string{"check", "-f", file}, flags...)...)
		assert.Zero(t, status, "what nothing closes is a notice")
		assert.Equal(t, "assumed: Service up.svc: not among the files; taken to be there, with the ports and subsets that rules name\n", stdout)
		assert.Contains(t, stderr, "notice: VirtualService default/a: spec.http[0].match[0]: denies /admin, but a.test/x/%2e%2e;a=b/admin is sent on as /x/..;a=b/admin by default/a.http[6]:all")
		assert.Contains(t, stderr, "[WM-PATH-02]")
	}
	document, _, _ := program.Run(t, "", "check", "-f", file, "-o", "json", "--profile", "plain")
	assert.Contains(t, document, `"verdict": "ok"`, "Istio does not warn of these")
}

// A rule for a path that no request has after normalisation denies nothing; check says so.
func TestCheckWarnsOfPathsThatNoRequestHas(t *testing.T) {
	for path, want := range map[string]string{
		"/files//private": "/files/private", "/%61dmin": "/admin", `/dir\\secret`: "/dir/secret",
	} {
		rules := fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - {match: [{uri: {prefix: "%s"}}], directResponse: {status: 403}}
  - {route: [{destination: {host: up.svc}}]}
`, path)
		stdout, stderr, status := program.Run(t, gatewayRules+rules, "check", "-f", "-")
		assert.Equal(t, 79, status, "%s: %s", path, stderr)
		assert.Contains(t, stdout, " is sent on as "+want+" by default/a.http[1]; no request has the path as the rule has it; write it as Envoy has it [WM-PATH-01]")
	}
}

// Thousands of rules that deny do not multiply.
func TestCheckOfManyDenials(t *testing.T) {
	var b strings.Builder
	b.WriteString(gatewayRules + "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: default}\nspec:\n  hosts: [a.test]\n  gateways: [gw]\n  http:\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "  - {match: [{uri: {prefix: /a%d}, headers: {x-%d: {exact: b}}}], directResponse: {status: 403}}\n", i, i)
	}
	begun := time.Now()
	_, stderr, status := program.Run(t, b.String(), "check", "-f", "-")
	assert.Zero(t, status)
	assert.Contains(t, stderr, "notice: more than 2000 rules deny a path; the others are not checked for spellings that pass them")
	assert.Less(t, time.Since(begun), 5*time.Minute)
}

// decide gives the answer of the chosen version and normalisation.
func TestDecideOfPaths(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(gatewayRules+denyRules), 0o600))
	for _, c := range []struct {
		path, want string
		flags      []string
	}{
		{"/x/..;a=b/admin", "403 direct response", nil},
		{"/x/..;a=b/admin", "outbound|80||up.svc", []string{"--envoy-version", "1.38"}},
		{"/x/%2e%2e;a=b/admin", "outbound|80||up.svc", nil},
		{"//admin", "403 direct response", []string{"--profile", "edge"}},
		{"//admin", "outbound|80||up.svc", []string{"--profile", "plain"}},
		{"//admin", "outbound|80||up.svc", nil},
		{"/%2fadmin", "307 /admin", []string{"--profile", "edge"}},
		{"/%2fadmin", "400 bad request", []string{"--escaped-slashes", "REJECT_REQUEST"}},
		{"/%2fadmin", "403 direct response", []string{"--merge-slashes", "--escaped-slashes", "UNESCAPE_AND_FORWARD"}},
		{"/%2fadmin", "outbound|80||up.svc", []string{"--escaped-slashes", "KEEP_UNCHANGED"}},
	} {
		args := append([]string{"decide", "-f", file, "--requests", "-"}, c.flags...)
		stdout, stderr, status := program.Run(t, `[{"gatewayPort": 80, "authority": "a.test", "path": "`+c.path+`"}]`, args...)
		assert.Zero(t, status, stderr)
		assert.Contains(t, stdout, "GET a.test"+c.path+" -> "+c.want, "%v", c.flags)
	}
}

const certainRules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - {match: [{headers: {x-forwarded-proto: {exact: https}}}], route: [{destination: {host: secure.svc}}]}
  - {match: [{headers: {x-envoy-external-address: {exact: 10.0.0.1}}}], route: [{destination: {host: client.svc}}]}
  - {match: [{uri: {prefix: /id}, headers: {x-request-id: {regex: "a.*"}}}], route: [{destination: {host: id.svc}}]}
  - {match: [{headers: {x-request-id: {}}}], route: [{destination: {host: up.svc}}]}
`

// decide answers as the proxy that the flags describe, and says where it cannot know.
func TestDecideSaysWhatItDoesNotKnow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(gatewayRules+certainRules), 0o600))
	for _, c := range []struct {
		what, request, want string
		flags               []string
	}{
		{"a client's scheme is not believed", `"headers": {"x-forwarded-proto": "https"}, "client": "1.1.1.1"`, "up.svc  (default/a.http[3].match[0])\n", nil},
		{"a proxy's is", `"headers": {"x-forwarded-proto": "https"}`, "secure.svc  (default/a.http[0].match[0])\n", []string{"--trusted-hops", "1"}},
		{"the client", `"client": "10.0.0.1"`, "client.svc  (default/a.http[1].match[0])\n", nil},
		{"the client of a proxy", `"headers": {"x-forwarded-for": "10.0.0.1, 2.2.2.2"}, "client": "3.3.3.3"`, "client.svc  (", []string{"--trusted-hops", "2"}},
		{"no client", `"headers": {}`, "[not certain: rules compare x-envoy-external-address, which only the proxy knows]", nil},
		{"a random id", `"path": "/id", "headers": {"x-request-id": "a"}, "client": "1.1.1.1"`, "up.svc  (default/a.http[3].match[0])  [not certain: rules compare x-request-id, which only the proxy knows]", nil},
		{"underscores", `"headers": {"x_a": "1"}`, "400 bad request", []string{"--profile", "edge"}},
		{"underscores in a plain proxy", `"headers": {"x_a": "1"}, "client": "1.1.1.1"`, "up.svc", []string{"--profile", "plain"}},
		{"an upgrade", `"headers": {"connection": "upgrade", "upgrade": "foo"}`, "403 upgrade refused", nil},
		{"a method of no codec", `"method": "FOO"`, "400 bad request", nil},
		{"... but of HTTP/2's", `"method": "FOO", "protocol": "HTTP/2", "client": "1.1.1.1"`, "up.svc", nil},
		{"QUERY", `"method": "QUERY", "headers": {"content-type": "a"}`, "400 bad request", nil},
		{"QUERY in 1.40", `"method": "QUERY", "headers": {"content-type": "a"}, "client": "1.1.1.1"`, "up.svc", []string{"--envoy-version", "1.40"}},
		{"a host that is none", `"authority": "a.test/"`, "400 bad request", nil},
		{"two hosts", `"headers": {"host": "b.test"}`, "404 no virtual host", nil},
		{"headers that are too long", `"headers": {"x-a": "` + strings.Repeat("a", 60<<10) + `"}`, "431 bad request", nil},
		{"gRPC", `"authority": "b.test", "headers": {"content-type": "application/grpc"}`, "404 no virtual host (to gRPC: 200, grpc-status 12)", nil},
	} {
		args := append([]string{"decide", "-f", file, "--requests", "-"}, c.flags...)
		request := `{"gatewayPort": 80, ` + c.request
		for field, value := range map[string]string{"authority": "a.test", "path": "/"} {
			if !strings.Contains(c.request, `"`+field+`": `) {
				request += `, "` + field + `": "` + value + `"`
			}
		}
		stdout, stderr, status := program.Run(t, "["+request+"}]", args...)
		assert.Zero(t, status, stderr)
		assert.Contains(t, stdout, c.want, c.what)
	}
}
