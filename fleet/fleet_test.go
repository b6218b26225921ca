package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/xds"
	"waymark.dev/waymark/istio/resource"
)

// edge is the group of a gateway.
var edge = xds.Group{Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}, Minor: 40}

const base = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{port: 80, name: http}]}
`

func virtualService(name, http string) string {
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %[1]s, namespace: default}\nspec: {hosts: [%[1]s.test], gateways: [gw], http: [%[2]s]}\n", name, http)
}

func slice(addresses string) string {
	return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nports: [{port: 8080, name: http, protocol: TCP}]\nendpoints: [{addresses: [" + addresses + "]}]\n"
}

const toWeb = "{route: [{destination: {host: web.default.svc.cluster.local}}]}"

func read(text string) *resource.Input {
	return resource.Read([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)})
}

func newPlane() *Plane {
	return New(Options{Envoy: envoy.Options{Matching: envoy.MatchingFilter, Minor: 39, Module: "/m.wasm"}})
}

// apply gives a plane resources, and builds them for a group as for its first proxy.
func apply(t *testing.T, p *Plane, text string) (*Change, *envoy.Resources) {
	change, err := p.Apply(read(text))
	require.NoError(t, err)
	r, err := p.build(p.Set(), edge)
	require.NoError(t, err)
	return change, r
}

func names(r *envoy.Resources, t envoy.Type) (out []string) {
	for _, resource := range r.OfType(t) {
		out = append(out, resource.Name)
	}
	return out
}

// An object that is refused is left out, or as it was before; the others change.
func TestRefusedObjects(t *testing.T) {
	p := newPlane()
	assert.False(t, p.Ready())
	change, r := apply(t, p, base+virtualService("a", "{directResponse: {status: 200}}")+virtualService("b", "{directResponse: {status: 2}}"))
	assert.True(t, p.Ready())
	assert.True(t, change.Findings.HasErrors())
	assert.Equal(t, []string{"http.80/a.test:80"}, names(r, envoy.HostType))
	before := r.OfType(envoy.HostType)[0].Message

	change, r = apply(t, p, base+virtualService("a", "{directResponse: {status: 2}}")+virtualService("b", "{directResponse: {status: 201}}"))
	assert.True(t, change.Findings.HasErrors())
	assert.ElementsMatch(t, []string{"http.80/a.test:80", "http.80/b.test:80"}, names(r, envoy.HostType))
	assert.Equal(t, fmt.Sprint(before), fmt.Sprint(r.Get(envoy.Key{Type: envoy.HostType, Name: "http.80/a.test:80"})), "as it was")
	assert.Equal(t, 1, p.refused())

	s := p.Status()
	assert.EqualValues(t, 2, s.Number)
	assert.Contains(t, fmt.Sprint(s.Findings), "VirtualService default/a")
}

// A change of endpoints makes load assignments alone; what is more than that is said to be more.
func TestApplyEndpoints(t *testing.T) {
	p := newPlane()
	rules := base + virtualService("a", toWeb)
	_, r := apply(t, p, rules+slice("10.0.0.1"))
	require.Equal(t, []string{"outbound|80||web.default.svc.cluster.local"}, names(r, envoy.EndpointType))
	for what, c := range map[string]struct {
		text string
		done bool
		has  string
	}{
		"another address":        {rules + slice("10.0.0.2"), true, "10.0.0.2"},
		"one more":               {rules + slice(`10.0.0.2"]}, {addresses: ["10.0.0.3"`), true, "10.0.0.3"},
		"the last slice is gone": {rules, false, ""},
		"another port":           {rules + strings.Replace(slice("10.0.0.2"), "8080", "8081", 1), false, ""},
	} {
		t.Run(what, func(t *testing.T) {
			apply(t, p, rules+slice("10.0.0.1"))
			done, err := p.ApplyEndpoints(read(strings.ReplaceAll(c.text, `[10.0.0.2"]`, `["10.0.0.2"]`)))
			require.NoError(t, err)
			assert.Equal(t, c.done, done)
			if done {
				text, err := json.Marshal(p.groups[edge.Key()].plan.Clusters)
				require.NoError(t, err)
				assert.Contains(t, string(text), c.has)
				r, err := p.build(p.Set(), edge)
				require.NoError(t, err)
				assert.Contains(t, fmt.Sprint(r.OfType(envoy.EndpointType)[0].Message), c.has, "also for a group that comes later")
			}
		})
	}
}

// What a proxy refuses is traced to the objects, and to the rules that are new.
func TestSuspects(t *testing.T) {
	p := newPlane()
	one := "{match: [{uri: {exact: /one}}], directResponse: {status: 200}}"
	apply(t, p, base+virtualService("a", one))
	apply(t, p, base+virtualService("a", one+", {match: [{uri: {exact: /two}}], directResponse: {status: 201}}"))
	g := p.groups[edge.Key()]
	for _, c := range []struct {
		of   envoy.Type
		name string
		want []Suspect
	}{
		{envoy.HostType, "http.80/a.test:80", []Suspect{{"VirtualService default/a", "spec.http[1].match[0]"}}},
		{envoy.HostType, "http.80/a.test:80.old", []Suspect{{"VirtualService default/a", "spec.http[1].match[0]"}}},
		{envoy.RouteType, "http.80", []Suspect{{"VirtualService default/a", "spec.http[1].match[0]"}}},
		{envoy.ExtensionType, "waymark.http.80", []Suspect{{"VirtualService default/a", "spec.http[1].match[0]"}}},
		{envoy.ListenerType, "0.0.0.0_80", []Suspect{{"Gateway default/gw", "spec.servers"}}},
		{envoy.HostType, "http.80/b.test:80", nil},
	} {
		assert.Equal(t, c.want, suspects(g, xds.Refusal{Type: c.of, Names: []string{c.name}}), "%s %s", c.of, c.name)
	}
}

// An object counts as changed where it is another one than before.
func TestUptake(t *testing.T) {
	p := newPlane()
	apply(t, p, base+virtualService("a", "{directResponse: {status: 200}}"))
	vs := p.Set().VirtualServices[0].Object
	assert.Equal(t, Uptake{}, p.Uptake()(vs))
	assert.EqualValues(t, 1, p.since["VirtualService default/a"].number)
	again := *p.Set()
	_, err := p.Apply(resource.Of(&again))
	require.NoError(t, err)
	assert.EqualValues(t, 1, p.since["VirtualService default/a"].number, "the same object")
	apply(t, p, base+virtualService("a", "{directResponse: {status: 201}}"))
	assert.EqualValues(t, 3, p.since["VirtualService default/a"].number)
}

// Whoever watches over the plane can change nothing; operators can.
func TestHandlers(t *testing.T) {
	p := newPlane()
	get := func(h http.Handler, method, path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code
	}
	assert.Equal(t, 503, get(p.Health(), "GET", "/readyz"))
	assert.Equal(t, 200, get(p.Health(), "GET", "/healthz"))
	apply(t, p, base)
	assert.Equal(t, 200, get(p.Health(), "GET", "/readyz"))
	assert.Equal(t, 200, get(p.Health(), "GET", "/metrics"))
	for _, path := range []string{"/api/v1/rollout/pause", "/api/v1/rollout/abort", "/api/v1/explain"} {
		assert.Equal(t, 404, get(p.Health(), "POST", path), path)
		assert.NotEqual(t, 404, get(p.Handler(), "POST", path), path)
	}
	assert.Equal(t, 200, get(p.Handler(), "GET", "/api/v1/status"))
	assert.Equal(t, 409, get(p.Handler(), "POST", "/api/v1/rollout/pause"), "nothing is rolled out")
}
