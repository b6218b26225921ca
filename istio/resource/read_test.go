package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

func read(text string) *Input { return Read([]string{"-"}, Options{Stdin: strings.NewReader(text)}) }

// No line of a Secret is ever shown, whether or not it can be decoded.
func TestLinesOfSecretsAreHidden(t *testing.T) {
	for _, broken := range []string{"", "more: 1\n", "apiVersion: v2\n"} {
		in := read(namespace + "---\nkind: Secret\napiVersion: v1\n" + broken + "metadata: {name: s}\ndata:\n  key: c2VjcmV0\n---\n" + namespace)
		for line := 1; line <= 20; line++ {
			excerpt := in.Texts.Excerpt(diag.Place{File: "-", Line: line, Column: 1})
			assert.NotContains(t, excerpt, "c2VjcmV0")
			assert.Equal(t, line == 2 || strings.HasPrefix(excerpt, "kind: Namespace"), strings.Contains(excerpt, "Namespace"), "other lines are shown")
		}
		assert.Contains(t, in.Texts.Excerpt(diag.Place{File: "-", Line: 2, Column: 1}), "kind: Namespace")
	}
}

// An object without a namespace is in "default", in findings on documents that cannot be read as well; one of the whole
// cluster has none.
func TestNamespaces(t *testing.T) {
	const istio = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
	in := read(istio + "metadata: {name: v}\nspec: {hosts: [a.test]}\n---\n" + istio + "metadata: {name: w, namespace: m}\nspec: {hosts: [a.test]}\n---\n" + namespace)
	require.Empty(t, in.Findings)
	assert.Equal(t, "VirtualService default/v", in.Set.VirtualServices[0].String())
	assert.Equal(t, "VirtualService m/w", in.Set.VirtualServices[1].String())
	assert.Empty(t, in.Set.Namespaces[0].Namespace)
	in = read(istio + "metadata: {name: v}\na: &a [*a]\n")
	require.Len(t, in.Findings, 1)
	assert.Equal(t, "-:1:1: error: an alias is a part of what it stands for", in.Findings[0].String())
	assert.Empty(t, in.Set.VirtualServices)
}

// Kinds that Waymark does not read are left aside; a kind or version of Istio's group that does not exist is an error.
func TestOtherKinds(t *testing.T) {
	for doc, want := range map[string]string{
		"apiVersion: networking.istio.io/v1\nkind: Gateway":          "",
		"apiVersion: networking.istio.io/v1beta1\nkind: Gateway":     "",
		"apiVersion: networking.istio.io/v1alpha3\nkind: Gateway":    "",
		"apiVersion: networking.istio.io/v2\nkind: Gateway":          `error: Gateway g: apiVersion: "networking.istio.io/v2" is not a version of Gateway; Istio has networking.istio.io/v1, v1beta1 and v1alpha3`,
		"apiVersion: networking.istio.io/v1\nkind: VirtualSevice":    `error: VirtualSevice g: kind: networking.istio.io has no kind "VirtualSevice"; did you mean "VirtualService"?`,
		"apiVersion: networking.isto.io/v1\nkind: VirtualService":    `error: VirtualService g: apiVersion: there is no VirtualService in "networking.isto.io/v1"; did you mean "networking.istio.io/v1"?`,
		"apiVersion: networking.istio.io\nkind: Gateway":             `error: Gateway g: apiVersion: there is no Gateway in "networking.istio.io"; did you mean "networking.istio.io/v1"?`,
		"apiVersion: istio.io/v1\nkind: DestinationRule":             `error: DestinationRule g: apiVersion: there is no DestinationRule in "istio.io/v1"; did you mean "networking.istio.io/v1"?`,
		"apiVersion: ''\nkind: ServiceEntry":                         `error: ServiceEntry g: apiVersion: there is no ServiceEntry in ""; did you mean "networking.istio.io/v1"?`,
		"kind: VirtualService":                                       `error: VirtualService g: apiVersion: there is no VirtualService in ""; did you mean "networking.istio.io/v1"?`,
		"apiVersion: v1\nkind: Servce":                               `warning: Servce g: kind: there is no Servce in v1; did you mean "Service"?; the object is left out`,
		"apiVersion: v1\nkind: Secrets":                              `warning: Secrets g: kind: there is no Secrets in v1; did you mean "Secret"?`,
		"apiVersion: v1\nkind: secret":                               `warning: secret g: kind: there is no secret in v1; did you mean "Secret"?`,
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlces":       `warning: EndpointSlces g: kind: there is no EndpointSlces in discovery.k8s.io/v1; did you mean "EndpointSlice"?`,
		"apiVersion: v1\nkind: Node":                                 "notice: left aside: 1 Node",
		"apiVersion: serving.knative.dev/v1\nkind: Service":          "notice: left aside: 1 Service (serving.knative.dev)",
		"apiVersion: networking.gke.io/v1\nkind: Gateway":            "notice: left aside: 1 Gateway (networking.gke.io)",
		"apiVersion: networking.k8s.io/v1\nkind: Gateway":            "notice: left aside: 1 Gateway (networking.k8s.io)",
		"apiVersion: networking.istio.io/v1\nkind: Sidecar":          "warning: Sidecar default/g: is not applied: services that it hides are visible",
		"apiVersion: security.istio.io/v1\nkind: PeerAuthentication": "warning: PeerAuthentication default/g: is not applied: mutual TLS is not required",
		"apiVersion: networking.istio.io/v1\nkind: ProxyConfig":      "notice: left aside: 1 ProxyConfig",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway":    "notice: left aside: 1 Gateway (gateway.networking.k8s.io)",
		"apiVersion: v1\nkind: ConfigMap":                            "notice: left aside: 1 ConfigMap",
		"kind: ConfigMap":                                            "notice: left aside: 1 ConfigMap",
		"apiVersion: v1\nkind: \"a\\nb\"":                            "notice: left aside: 1 document without apiVersion and kind",
		"a: 1":                                                       "notice: left aside: 1 document without apiVersion and kind",
	} {
		in := read(doc + "\nmetadata: {name: g}\nspec: {}\n")
		assert.Equal(t, want == "", len(in.Set.Gateways) == 1, doc)
		assert.Contains(t, fmt.Sprint(in.Findings), want, doc)
		assert.Equal(t, want != "", in.Findings.HasErrors(), "%s: without anything to serve, there is an error", doc)
	}
}
