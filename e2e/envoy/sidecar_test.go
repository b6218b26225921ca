package envoy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

const sidecarRules = `apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: other}
spec: {clusterIP: 10.0.0.2, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.0.0.3, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: default}
spec: {hosts: ["*.example.com"], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /abort}, sourceLabels: {app: web}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: reviews}}]
  - match: [{uri: {prefix: /others}, sourceLabels: {app: nobody}}]
    directResponse: {status: 500}
  - match: [{headers: {end-user: {exact: jason}}}]
    rewrite: {uri: /v2/}
    route: [{destination: {host: ratings.other.svc.cluster.local}}]
  - route: [{destination: {host: reviews}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.test]
  http: [{route: [{destination: {host: web}}]}]
`

// sidecarTestbed is the outbound side of a sidecar of app web in default.
func sidecarTestbed(t testing.TB, policy translate.OutboundTrafficPolicy) *testbed {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(sidecarRules), 0o600))
	in := gateway.Load([]string{file}, resource.Options{}, version.All)
	require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
	p, problems := translate.Plan(in.Set, translate.Options{
		Proxy: translate.SidecarProxy, Labels: map[string]string{"app": "web"}, OutboundTrafficPolicy: policy,
	})
	require.False(t, problems.HasErrors(), "%v", problems)
	return echoTestbed(t, p)
}

// onListener is a client of a sidecar's port.
func (r *testbed) onListener(name string) *client {
	return &client{address: fmt.Sprintf("127.0.0.1:%d", r.ports[name])}
}

func ask(t testing.TB, c *client, host, path string, headers map[string]string) (answer, echo.Request) {
	text, err := json.Marshal(map[string]any{"authority": host, "path": path, "headers": headers})
	require.NoError(t, err)
	var q verdict.Request
	require.NoError(t, json.Unmarshal(text, &q))
	got, err := c.retry(q)
	require.NoError(t, err)
	var seen echo.Request
	_ = json.Unmarshal([]byte(got.body), &seen) // of an answer that no destination gave nothing is seen
	return got, seen
}

// VS-MESH-03 to VS-MESH-06, VS-STAT-03: the sidecar's plan on a real Envoy, with the filter and natively, and on the
// embedded data plane.
func TestSidecar(t *testing.T) {
	path, wasm := program.ReadModule(t)
	const reviews, ratings = "outbound|9080||reviews.default.svc.cluster.local", "outbound|9080||ratings.other.svc.cluster.local"
	test := func(t *testing.T, r *testbed) {
		for what, q := range map[string]struct {
			port, host, path string
			headers          map[string]string
			cluster          string // where it goes, or
			status           int    // what is answered
		}{
			"the short name":                 {port: "9080", host: "reviews", path: "/", cluster: reviews},
			"the full name":                  {port: "9080", host: "reviews.default.svc.cluster.local", path: "/", cluster: reviews},
			"the full name with a dot":       {port: "9080", host: "reviews.default.svc.cluster.local.", path: "/", cluster: reviews},
			"with the port":                  {port: "9080", host: "reviews.default:9080", path: "/", cluster: reviews},
			"the address":                    {port: "9080", host: "10.0.0.1:9080", path: "/", cluster: reviews},
			"a header":                       {port: "9080", host: "reviews", path: "/x", headers: map[string]string{"end-user": "jason"}, cluster: ratings},
			"a rule of this proxy's labels":  {port: "9080", host: "reviews", path: "/abort", status: http.StatusTeapot},
			"a rule of other labels":         {port: "9080", host: "reviews", path: "/others", cluster: reviews},
			"a default route":                {port: "9080", host: "ratings.other", path: "/x", cluster: ratings},
			"a name of another namespace":    {port: "9080", host: "ratings", path: "/", status: http.StatusBadGateway},
			"a host of another port":         {port: "9080", host: "web", path: "/", status: http.StatusBadGateway},
			"an unknown host":                {port: "80", host: "example.org", path: "/", status: http.StatusBadGateway},
			"a host that is no service":      {port: "80", host: "shop.test", path: "/", cluster: "outbound|80||web.default.svc.cluster.local"},
			"a wildcard of the registry":     {port: "80", host: "api.example.com", path: "/", cluster: "outbound|80||*.example.com"},
			"the suffix of a wildcard alone": {port: "80", host: "example.com", path: "/", status: http.StatusBadGateway},
		} {
			got, seen := ask(t, r.onListener("127.0.0.1_"+q.port), q.host, q.path, q.headers)
			if q.cluster == "" {
				assert.Equal(t, q.status, got.status, what)
				continue
			}
			assert.Equal(t, http.StatusOK, got.status, what)
			assert.Equal(t, q.cluster, seen.Destination, what)
			assert.Equal(t, q.host, seen.Authority, what)
		}
	}
	b := defaultEnvoy(t)
	for how, module := range map[string]string{"filter": path, "native": ""} {
		t.Run("Envoy "+b.Version+" "+how, func(t *testing.T) {
			r := sidecarTestbed(t, translate.RegistryOnly)
			startEnvoy(t, b, r, module)
			test(t, r)
		})
	}
	t.Run("wazero", func(t *testing.T) {
		r := sidecarTestbed(t, translate.RegistryOnly)
		ctx := context.Background()
		p, err := proxy.New(ctx, wasm, proxy.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
		require.NoError(t, p.Apply(ctx, r.plan))
		test(t, r)
	})
}

// VS-MESH-05: with ALLOW_ANY, Envoy sends an unknown host to the original destination. Nothing redirects connections here,
// so it knows none; the embedded data plane, which never can, refuses the plan.
func TestSidecarAllowAny(t *testing.T) {
	path, wasm := program.ReadModule(t)
	b := defaultEnvoy(t)
	for how, module := range map[string]string{"filter": path, "native": ""} {
		t.Run("Envoy "+b.Version+" "+how, func(t *testing.T) {
			r := sidecarTestbed(t, translate.AllowAny)
			startEnvoy(t, b, r, module)
			got, _ := ask(t, r.onListener("127.0.0.1_9080"), "example.org", "/", nil)
			assert.Equal(t, http.StatusServiceUnavailable, got.status)
			assert.Equal(t, "no healthy upstream", got.body)
			_, seen := ask(t, r.onListener("127.0.0.1_9080"), "reviews", "/", nil)
			assert.Equal(t, "outbound|9080||reviews.default.svc.cluster.local", seen.Destination)
		})
	}
	t.Run("wazero", func(t *testing.T) {
		ctx := context.Background()
		p, err := proxy.New(ctx, wasm, proxy.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
		served := sidecarTestbed(t, translate.AllowAny).plan
		require.NoError(t, p.Apply(ctx, served))
		_, left := proxy.Servable(served, version.Of(version.Default))
		assert.ErrorContains(t, left.Err(), "cluster PassthroughCluster: is left out, and its requests get 503: it sends to a connection's original destination, which the embedded data plane does not know")
	})
}
