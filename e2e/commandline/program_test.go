package commandline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
)

func TestStatusesAndErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	gateway := `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: a, protocol: HTTP}, hosts: ["*"]}
`
	vs := func(rules string) string {
		return gateway + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a.com]\n  gateways: [gw]\n  http:\n" + rules
	}
	direct := "  - directResponse: {status: 200}\n"
	for what, c := range map[string]struct {
		args   []string
		status int
		say    []string
	}{
		"help":                  {[]string{"--help"}, 0, nil},
		"no such command":       {[]string{"fly"}, 64, []string{`unknown command "fly"`}},
		"no such flag":          {[]string{"translate", "--fast"}, 64, []string{"unknown flag: --fast"}},
		"no files":              {[]string{"translate"}, 64, []string{"give the resources with -f"}},
		"a wrong form":          {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "-o", "xml"}, 64, []string{`-o "xml" is not bootstrap, plan, plan-json or plugin-config`}},
		"too old an Envoy":      {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--envoy-version", "1.20"}, 64, []string{`--envoy-version "1.20" is not between 1.36 and 1.40`}},
		"no such proxy":         {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "waypoint"}, 64, []string{`--proxy "waypoint" is neither gateway nor sidecar`}},
		"a sidecar's Gateway":   {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "sidecar", "--gateway", "gw"}, 64, []string{"--gateway gw: a sidecar serves no Gateway"}},
		"a gateway's outbound":  {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--outbound-traffic-policy", "REGISTRY_ONLY"}, 64, []string{"--outbound-traffic-policy is for --proxy sidecar alone"}},
		"no such policy":        {[]string{"translate", "-f", write("ok.yaml", vs(direct)), "--proxy", "sidecar", "--outbound-traffic-policy", "NONE"}, 64, []string{`--outbound-traffic-policy "NONE" is neither ALLOW_ANY nor REGISTRY_ONLY`}},
		"a sidecar":             {[]string{"translate", "-f", "examples/bookinfo", "--proxy", "sidecar"}, 0, nil},
		"good rules":            {[]string{"translate", "-f", write("ok.yaml", vs(direct))}, 0, nil},
		"an unreadable file":    {[]string{"translate", "-f", filepath.Join(dir, "none.yaml")}, 65, []string{"none.yaml: error: cannot be read: no such file or directory"}},
		"no YAML":               {[]string{"translate", "-f", write("bad.yaml", "a: [")}, 65, []string{"bad.yaml:1:4", "not YAML"}},
		"a foreign document":    {[]string{"translate", "-f", write("foreign.yaml", vs(direct)+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")}, 0, []string{"notice: left aside: 1 ConfigMap"}},
		"an unknown field":      {[]string{"translate", "-f", write("field.yaml", vs("  - directRespons: {}\n"+direct))}, 65, []string{`field.yaml:16:5: error: VirtualService default/a: spec.http[0].directRespons: unknown field "directRespons"; did you mean "directResponse"?`}},
		"a bad regex":           {[]string{"translate", "-f", write("regex.yaml", vs("  - match: [{uri: {regex: \"(\"}}]\n    directResponse: {status: 200}\n"))}, 65, []string{`regex.yaml:16:27: error: VirtualService default/a: spec.http[0].match[0].uri.regex: "(": missing closing )`}},
		"weights of 0":          {[]string{"translate", "-f", write("sum.yaml", vs("  - route: [{destination: {host: b}}, {destination: {host: c}}]\n"))}, 65, []string{"sum.yaml:16:12: error: VirtualService default/a: spec.http[0].route: the weights of 2 destinations add up to 0"}},
		"no cluster":            {[]string{"translate", "-f", write("cluster.yaml", vs("  - route: [{destination: {host: b}}]\n")), "--strict"}, 65, []string{"cluster.yaml:16:27: error: VirtualService default/a: spec.http[0].route[0].destination: there is no cluster outbound|80||b.default.svc.cluster.local", "--endpoint b.default.svc.cluster.local=ADDRESS:PORT"}},
		"clashing protocols":    {[]string{"translate", "-f", write("ports.yaml", gateway+"---\n"+strings.NewReplacer("name: gw", "name: gw2", "HTTP", "TCP").Replace(gateway)), "--strict"}, 65, []string{"ports.yaml:15:44: error: Gateway default/gw2: spec.servers[0].port.protocol: port 80 speaks HTTP already"}},
		"several at once":       {[]string{"translate", "-f", write("many.yaml", vs("  - match: [{uri: {regex: \"(\"}}]\n    timeout: 0s\n    directResponse: {status: 99}\n    more: 1\n"))}, 65, []string{"regex: \"(\"", "timeout: 0s is shorter than 1ms", "99 is not between 200 and 600", `unknown field "more"`}},
		"requests that are not": {[]string{"decide", "-f", write("ok.yaml", vs(direct)), "--requests", write("r.json", "{")}, 65, []string{"r.json: not a list of requests"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, stderr, status := program.Run(t, "", c.args...)
			assert.Equal(t, c.status, status, stderr)
			for _, say := range c.say {
				assert.Contains(t, stderr, say)
			}
		})
	}
}

func TestVersionNamesTheModule(t *testing.T) {
	stdout, _, status := program.Run(t, "", "version")
	assert.Zero(t, status)
	assert.Regexp(t, `(?s)waymark \S+\ncommit  \S+\ngo      go1\.\S+\nmodule  sha256:[0-9a-f]{64}\n`, stdout)
}

func TestDecideReadsStandardInput(t *testing.T) {
	stdout, _, status := program.Run(t, `[{"name":"n","gatewayPort":8080,"authority":"reviews.bookinfo.example.com","path":"/","headers":{"end-user":"jason"}}]`,
		"decide", "-f", "examples/bookinfo", "--requests", "-")
	assert.Zero(t, status)
	assert.Equal(t, "GET reviews.bookinfo.example.com/ -> outbound|9080|v2|reviews.default.svc.cluster.local  (default/reviews.http[0].match[0]:jason)\n", stdout)
}

func TestDecideRefusesWhatItDoesNotKnow(t *testing.T) {
	for requests, want := range map[string]string{
		`[{"gatewayPort": 80, "authorty": "a.test"}]`:                      `-: not a list of requests: unknown field "[0].authorty"`,
		`[{"protocol": "HTTP/2"}, {"protocol": "HTTP/1.0"}]`:               `-: request 1: protocol: "HTTP/1.0" is neither HTTP/1.1 nor HTTP/2`,
		`[{"authority": "a.test", "path": "/"}] [{"authority": "b.test"}]`: `-: not a list of requests: invalid character '[' after top-level value`,
		`{"authority": "a.test"}`:                                          `-: not a list of requests: `,
	} {
		_, stderr, status := program.Run(t, requests, "decide", "-f", "examples/bookinfo", "--requests", "-")
		assert.Equal(t, 65, status)
		assert.Contains(t, stderr, want)
	}
}
