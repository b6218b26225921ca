package resource

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A value that does not fit an object of Kubernetes is reported with its field, index and place, as is one of Istio's.
func TestMisfitsOfKubernetesKinds(t *testing.T) {
	const out = "; the object is left out"
	for _, c := range []struct {
		kind, body string // body begins in line 4
		want       []string
	}{
		{"v1 Service", "spec:\n  ports:\n  - port: 80\n  - port: many\n", []string{
			`-:7:11: warning: Service default/o: spec.ports[1].port: must be an integer, and is the text "many"` + out}},
		{"v1 Service", "spec:\n  ports: [{port: 80}, {port: 80.5}, {port: x, name: 1, targetPort: true, more: 1, prot: TCP}]\n", []string{
			"-:5:30: warning: Service default/o: spec.ports[1].port: must be an integer, and is the number 80.5" + out,
			`-:5:74: warning: Service default/o: spec.ports[2].more: unknown field "more"`,
			"-:5:53: warning: Service default/o: spec.ports[2].name: must be a text, and is the number 1" + out,
			`-:5:44: warning: Service default/o: spec.ports[2].port: must be an integer, and is the text "x"` + out,
			`-:5:83: warning: Service default/o: spec.ports[2].prot: unknown field "prot"`,
			"-:5:68: warning: Service default/o: spec.ports[2].targetPort: must be an integer or a text, and is true (quote it for a text; YAML reads yes, no, on, off, y and n as true or false, too)" + out}},
		{"v1 Service", "spec: {selector: {a.b: 1}, ports: {}}\n", []string{
			"-:4:35: warning: Service default/o: spec.ports: must be a list, and is an object" + out,
			`-:4:24: warning: Service default/o: spec.selector["a.b"]: must be a text, and is the number 1` + out}},
		{"v1 Service", "spec: {selector: web}\n", []string{
			`-:4:18: warning: Service default/o: spec.selector: must be an object, and is the text "web"` + out}},
		{"v1 Service", "spec: {clusterip: 10.0.0.1}\n", []string{
			`-:4:8: warning: Service default/o: spec.clusterip: unknown field "clusterip"; did you mean "clusterIP"?`}},
		{"v1 Service", "spec: [a]\n", []string{
			"-:4:7: warning: Service default/o: spec: must be an object, and is a list" + out}},
		{"discovery.k8s.io/v1 EndpointSlice", "addressType: IPv4\nports: [{port: 80}, {port: 4294967296}]\nendpoints:\n- addresses: [10.0.0.1]\n- addresses: 10.0.0.2\n  conditions: {ready: 1}\n", []string{
			`-:8:14: warning: EndpointSlice default/o: endpoints[1].addresses: must be a list, and is the text "10.0.0.2"` + out,
			"-:9:23: warning: EndpointSlice default/o: endpoints[1].conditions.ready: must be true or false, and is the number 1" + out,
			"-:5:28: warning: EndpointSlice default/o: ports[1].port: must be between -2147483648 and 2147483647, and is 4294967296" + out}},
		{"v1 Pod", "spec:\n  containers:\n  - name: a\n    ports: [{containerPort: 80}, {containerPort: http}]\n    resources: {limits: {cpu: [1]}}\nstatus: {startTime: noon}\n", []string{
			`-:7:50: warning: Pod default/o: spec.containers[0].ports[1].containerPort: must be an integer, and is the text "http"` + out,
			"-:8:31: warning: Pod default/o: spec.containers[0].resources.limits.cpu: must be a quantity such as 2, 100m or 1Gi, and is a list" + out,
			`-:9:21: warning: Pod default/o: status.startTime: must be a time such as 2024-01-01T00:00:00Z, and is the text "noon"` + out}},
		{"v1 Secret", "data: {a: 1234, b: c2VjcmV, c: c2VjcmV0}\nstringData: {d: 1234, e: x}\nimmutable: secret\n", []string{
			"-:4:11: warning: Secret default/o: data.a: must be a text in base64" + out,
			"-:4:20: warning: Secret default/o: data.b: must be base64 with padding" + out,
			"-:6:12: warning: Secret default/o: immutable: must be true or false" + out,
			"-:5:17: warning: Secret default/o: stringData.d: must be a text" + out}},
		{"networking.istio.io/v1 ServiceEntry", "spec:\n  hosts: [a.test]\n  ports: [{number: 80, name: http}]\n  resolution: STATIC\n  endpoints:\n  - address: 10.0.0.1\n  - {address: 10.0.0.2, ports: {http: web}}\n", []string{
			`-:10:39: error: ServiceEntry default/o: spec.endpoints[1].ports.http: must be an integer, and is the text "web"`}},
	} {
		version, kind, _ := strings.Cut(c.kind, " ")
		in := read("apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: o}\n" + c.body)
		var got []string
		for _, f := range in.Findings {
			got = append(got, f.String())
		}
		if assert.Len(t, got, len(c.want), "%s: %q", c.body, got) {
			for i := range got {
				assert.True(t, strings.HasPrefix(got[i], c.want[i]), "%s\ngot:  %s\nwant: %s", c.body, got[i], c.want[i])
			}
		}
		isLeftOut := strings.Contains(strings.Join(got, ""), out) || strings.Contains(kind, "Entry")
		assert.Equal(t, isLeftOut, len(in.Set.Refused) == 1, c.body)
	}
	in := read("apiVersion: v1\nkind: Service\nmetadata: {name: o}\nspec:\n  ports:\n  - port: ${PORT}\n")
	assert.Equal(t, "-:1:1: warning: Service default/o: left aside: it has the placeholder ${PORT}; run envsubst < FILE | waymark check -f -, or build it with the program that fills it in", in.Findings[0].String())
	in = read(`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "o", "generation": "x", "labels": {"a": 1}}, "spec": {"type": "A", "type": "B"}}`)
	var got []string
	for _, f := range in.Findings {
		got = append(got, f.String())
	}
	assert.Equal(t, []string{
		"-:1:102: warning: Service default/o: metadata.labels.a: must be a text, and is the number 1",
		`-:1:81: warning: Service default/o: metadata.generation: must be an integer, and is the text "x"` + out,
	}, got)
	in = read(`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "o"}, "spec": {"type": "A", "type": "B", "a": 1}}`)
	require.Len(t, in.Findings, 2)
	assert.Contains(t, in.Findings[0].String(), `warning: Service default/o: spec.a: unknown field "a"`)
	assert.Contains(t, in.Findings[1].String(), `warning: Service default/o: spec.type: duplicate field "spec.type"`)
	assert.Len(t, in.Set.Services, 1)
}
