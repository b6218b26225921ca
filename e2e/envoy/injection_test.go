package envoy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// hashed are rules whose destination keeps users by a cookie that Envoy sets.
const hashed = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: ["*"], gateways: [gw], http: [{route: [{destination: {host: a.test}}]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: default}
spec: {hosts: [a.test], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: default}
spec: {host: a.test, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 1s, path: %q}}}}}
`

// A cookie's path with a line break would be a header line of its own: Envoy writes it as it is. It never comes to that:
// the validator refuses it with its place, and no configuration is made of a plan that somebody else has built.
func TestCookiesInjectNothing(t *testing.T) {
	const bad = "/\r\nset-cookie: admin=1"
	for _, command := range []string{"check", "translate"} {
		_, stderr, status := program.Run(t, fmt.Sprintf(hashed, bad), command, "-f", "-")
		stdout, _, _ := program.Run(t, fmt.Sprintf(hashed, bad), command, "-f", "-")
		assert.Equal(t, 65, status)
		assert.Contains(t, stdout+stderr, "DestinationRule default/a: spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path: ")
		assert.NotContains(t, stdout+stderr, "\r")
	}
	for _, b := range envoys(t) {
		p, _ := translateYAML(t, fmt.Sprintf(hashed, "/a"), translate.Options{})
		_, err := envoy.Bootstrap(p, envoy.Options{Minor: b.Minor, Matching: envoy.MatchingNative})
		require.NoError(t, err)
		for r := range p.Rules() {
			r.Route.HashPolicies = []plan.HashPolicy{{Cookie: &plan.HashCookie{Name: "user", Path: bad}}}
			r.Seal()
		}
		_, err = envoy.Bootstrap(p, envoy.Options{Minor: b.Minor, Matching: envoy.MatchingNative})
		require.ErrorContains(t, err, "the path of the cookie of a consistent hash")
	}
}

// A rule's name is whatever its author wrote. In Envoy's text log and in the embedded data plane's, a request is one line.
func TestNamesForgeNoLogLines(t *testing.T) {
	const rules = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec:
  hosts: ["*"]
  gateways: [gw]
  http: [{name: "x\r\n[forged] GET /admin 200\0", directResponse: {status: 200}}]
`
	module, _ := program.ReadModule(t)
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		r := rulesTestbed(t, rules)
		ports, err := process.FreePorts(1)
		require.NoError(t, err)
		bootstrap, err := envoy.Bootstrap(r.plan, envoy.Options{Minor: b.Minor, Matching: envoy.MatchingFilter, Module: module, AdminPort: ports[0], AccessLog: envoy.AccessLogText})
		require.NoError(t, err)
		text, err := envoy.JSON(bootstrap)
		require.NoError(t, err)
		log := &logBuffer{}
		p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: ports[0], Concurrency: 1, Output: log})
		require.NoError(t, err)
		const n = 5
		for range n {
			got, err := r.client().retry(request("/", nil))
			require.NoError(t, err)
			assert.Equal(t, http.StatusOK, got.status)
		}
		require.NoError(t, p.Stop())
		lines := 0
		for line := range strings.Lines(log.Output()) {
			assert.False(t, strings.HasPrefix(line, "[forged]"), line)
			if strings.Contains(line, `rule=default/a.http[0]:x\r\n[forged]`) {
				lines++
			}
		}
		assert.Equal(t, n, lines, log.Output())
	})

	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll[:strings.Index(resources.AllowAll, "---")]+"---\n"+rules), 0o600))
	r := program.Serve(t, file)
	r.WaitFor(t, "listening on")
	status, err := r.Get("a.test", "/")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	r.WaitFor(t, `rule=default/a.http[0]:x\r\n[forged]`)
	stdout, stderr, code := program.Run(t, `[{"authority": "a.test", "path": "/", "gatewayPort": 80}]`, "decide", "-f", file, "--requests", "-")
	assert.Zero(t, code, stderr)
	assert.Equal(t, 1, strings.Count(stdout, "\n"), stdout)
	assert.NotContains(t, stdout, "\r")
}

// A key that looks like a part of a field ends neither a check nor a service: what was served before is served still.
func TestKeysEndNoService(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(resources.AllowAll), 0o600))
	r := program.Serve(t, file)
	r.WaitFor(t, "listening on")
	for i, key := range []string{`"[": 1`, `"a[": {"]": 1}`, `"[\"x": [1]`} {
		bad := strings.Replace(resources.AllowAll, "spec: {hosts", key+"\nspec: {hosts", 1)
		require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
		require.Eventually(t, func() bool { return strings.Count(r.Output(), "what was served of it before is kept") == i+1 }, 20*time.Second, 20*time.Millisecond, r.Output)
		status, err := r.Get("a.test", "/")
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
		_, stderr, code := program.Run(t, bad, "check", "-f", "-")
		assert.Equal(t, 65, code, stderr)
		assert.NotContains(t, stderr, "panic")
	}
}
