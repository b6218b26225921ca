package resource

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An object of each kind that an API server gives is in the list of its kind.
func TestDecodedObjects(t *testing.T) {
	var all []*Decoded
	for _, text := range []string{
		`{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "a", "namespace": "n", "generation": 7, "creationTimestamp": "2025-01-01T00:00:00Z", "labels": {"l": "x"}}, "spec": {"servers": []}, "status": {"conditions": []}}`,
		`{"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "metadata": {"name": "b", "namespace": "n"}, "spec": {"hosts": ["b.test"]}}`,
		`{"apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule", "metadata": {"name": "c", "namespace": "n"}, "spec": {"host": "c.test"}}`,
		`{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "d", "namespace": "n"}, "spec": {"hosts": ["d.test"]}}`,
		`{"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "e", "namespace": "n"}, "spec": {"address": "10.0.0.1"}}`,
		`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "f", "namespace": "n"}, "spec": {"ports": [{"port": 80}]}}`,
		`{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "g", "namespace": "n"}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]}`,
		`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "h", "namespace": "n", "deletionTimestamp": "2025-01-01T00:00:00Z"}}`,
		`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "i", "namespace": "n"}, "data": {"tls.crt": "eA=="}}`,
		`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "j"}}`,
		`{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "k", "namespace": "n"}, "spec": {"hosts": ["k.test"], "http": "x"}}`,
		`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "l", "namespace": "n"}, "spec": {"ports": [{"port": 0}]}}`,
	} {
		d, err := Decode([]byte(text))
		require.NoError(t, err)
		all = append(all, d)
	}
	in := Join(all)
	set := in.Set
	require.Len(t, set.Gateways, 1)
	gw := set.Gateways[0]
	assert.Equal(t, "Gateway n/a", gw.String())
	assert.Equal(t, int64(7), gw.Generation)
	assert.Equal(t, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), gw.Created)
	assert.Equal(t, map[string]string{"l": "x"}, gw.Labels)
	assert.Equal(t, []string{"b.test"}, set.VirtualServices[0].Spec.Hosts)
	assert.Equal(t, defaultCreated, set.VirtualServices[0].Created)
	assert.Equal(t, "c.test", set.DestinationRules[0].Spec.Host)
	assert.Equal(t, []string{"d.test"}, set.ServiceEntries[0].Spec.Hosts)
	assert.Equal(t, "10.0.0.1", set.WorkloadEntries[0].Spec.Address)
	assert.Equal(t, int32(80), set.Services[0].Spec.Ports[0].Port)
	assert.Equal(t, []string{"10.0.0.1"}, set.EndpointSlices[0].Endpoints[0].Addresses)
	assert.True(t, set.Pods[0].Deleted)
	assert.Equal(t, []byte("x"), set.Secrets[0].Data["tls.crt"])
	assert.Equal(t, "Namespace j", set.Namespaces[0].String())

	require.Len(t, set.Refused, 2)
	assert.Equal(t, "VirtualService n/k", set.Refused[0].String())
	assert.Equal(t, []string{"k.test"}, set.Refused[0].Hosts)
	assert.Equal(t, "Service n/l", set.Refused[1].String())
	require.Len(t, in.Objects, 6, "Istio's, with the refused one")
	require.Len(t, in.Findings, 2)
	assert.Equal(t, `error: VirtualService n/k: spec.http: must be a list, and is the text "x"`, in.Findings[0].String())
	assert.Equal(t, "warning: Service n/l: spec.ports[0].port: 0 is not a valid port; the object is left out", in.Findings[1].String())
}

// What Waymark does not read is an error, and a text in braces is no placeholder: nothing fills it in any more.
func TestWhatIsNotDecoded(t *testing.T) {
	for _, text := range []string{`{"apiVersion": "networking.istio.io/v2", "kind": "Gateway"}`, `{"apiVersion": "v1", "kind": "ConfigMap"}`, `{}`, `[]`, ``} {
		_, err := Decode([]byte(text))
		assert.ErrorContains(t, err, "is not a kind that Waymark reads", text)
	}
	d, err := Decode([]byte(`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}, "spec": {"ports": [{"port": "${PORT}"}]}}`))
	require.NoError(t, err)
	assert.Equal(t, `warning: Service n/a: spec.ports[0].port: must be an integer, and is the text "${PORT}"; the object is left out`, d.Findings[0].String())
}

// FuzzDecode: no JSON makes decoding panic, and an object is either in the list of its kind or among the refused ones.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a", "generation": 1.5, "labels": {"a": 1}, "creationTimestamp": "x"}, "spec": {"hosts": ["a.test"], "http": [{"timeout": "1x", "match": [null]}]}, "other": 1}`,
		`{"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": [], "spec": {"hosts": ["${HOST}"], "endpoints": [{"ports": {"a.b": "x"}}]}}`,
		`{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "!"}, "stringData": {"b": 1}}`,
		`{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": ""}, "addressType": "IPv4", "endpoints": [{"addresses": ["x"]}], "endpoints": []}`,
		`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "annotations": null}}`, `[`, `null`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Decode(data)
		if err != nil {
			return
		}
		set := Join([]*Decoded{d}).Set
		objects := len(set.Gateways) + len(set.VirtualServices) + len(set.DestinationRules) + len(set.ServiceEntries) + len(set.WorkloadEntries) +
			len(set.Services) + len(set.EndpointSlices) + len(set.Pods) + len(set.Secrets) + len(set.Namespaces) + len(set.Refused)
		require.Equal(t, 1, objects)
		require.Zero(t, d.Place("spec"))
		for _, finding := range d.Findings {
			require.NotContains(t, finding.String(), "\n")
		}
	})
}
