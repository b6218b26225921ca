package resource

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

// What an API server refuses of addresses and ports is left out, since Envoy would refuse its whole configuration for it.
func TestAddressesAndPorts(t *testing.T) {
	t.Parallel()
	slice := func(kind, address, port string) string {
		return "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: " + kind + "\nports: [{name: http, port: " + port + "}]\nendpoints: [{addresses: ['10.0.0.1']}, {addresses: ['" + address + "']}]\n"
	}
	service := func(port string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{name: a, port: 80}, {name: http, " + port + "}]}\n"
	}
	for text, want := range map[string]string{
		slice("IPv4", "10.0.0.2", "80"):                              "",
		slice("IPv4", "", "80"):                                      `endpoints[1].addresses[0]: "" is not an IPv4 address`,
		slice("IPv4", "999.1.1.1", "80"):                             `endpoints[1].addresses[0]: "999.1.1.1" is not an IPv4 address`,
		slice("IPv4", "10.0.0.1:80", "80"):                           `endpoints[1].addresses[0]: "10.0.0.1:80" is not an IPv4 address`,
		slice("IPv4", "::1", "80"):                                   `endpoints[1].addresses[0]: "::1" is not an IPv4 address`,
		slice("IPv4", "localhost", "80"):                             `endpoints[1].addresses[0]: "localhost" is not an IPv4 address`,
		strings.Replace(slice("IPv6", "::1", "80"), "10.0", "::", 1): `endpoints[0].addresses[0]: "::.0.1" is not an IPv6 address`,
		slice("FQDN", "a.test", "80"):                                "",
		slice("FQDN", "a b", "80"):                                   `endpoints[1].addresses[0]: "a b" is not an IP address or a host name`,
		slice("IPv4", "10.0.0.2", "70000"):                           "ports[0].port: 70000 is not a valid port",
		slice("IPv4", "10.0.0.2", "0"):                               "ports[0].port: 0 is not a valid port",
		service("port: 65535"):                                       "",
		service("port: 70000"):                                       "spec.ports[1].port: 70000 is not a valid port",
		service("port: 80, targetPort: -1"):                          "spec.ports[1].targetPort: -1 is not a valid port",
		service("port: 80, targetPort: web"):                         "",
	} {
		in := Read([]string{"-"}, Options{Stdin: strings.NewReader(text)})
		if want == "" {
			assert.Empty(t, in.Findings, text)
			assert.Len(t, in.Set.Services, 1-len(in.Set.EndpointSlices), text)
			continue
		}
		require.Len(t, in.Findings, 1, text)
		f := in.Findings[0]
		assert.Equal(t, want+"; the object is left out", f.Field+": "+f.Message, text)
		assert.Equal(t, diag.Warning, f.Severity)
		assert.Greater(t, f.Place.Line, 3)
		assert.Len(t, in.Set.Refused, 1)
		assert.Empty(t, in.Set.Services)
		assert.Empty(t, in.Set.EndpointSlices)
	}
}
