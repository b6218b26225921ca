package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

func read(text string) *Input { return Read([]string{"-"}, strings.NewReader(text)) }

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
	in := read(istio + "metadata: {name: v}\nspec: {hosts: [a.test]}\n---\n" + istio + "metadata: {name: w, namespace: n}\nspec: {hosts: [a.test]}\n---\n" + namespace)
	require.Empty(t, in.Findings)
	assert.Equal(t, "VirtualService default/v", in.Set.VirtualServices[0].String())
	assert.Equal(t, "VirtualService n/w", in.Set.VirtualServices[1].String())
	assert.Empty(t, in.Set.Namespaces[0].Namespace)
	in = read(istio + "metadata: {name: v}\na: &a [*a]\n")
	require.Len(t, in.Findings, 1)
	assert.Contains(t, in.Findings[0].String(), "VirtualService default/v: it is nested more than 1000 levels deep")
	assert.Empty(t, in.Set.VirtualServices)
}

// Kinds and versions that Waymark does not read are skipped with a notice.
func TestOtherKinds(t *testing.T) {
	for doc, want := range map[string]string{
		"apiVersion: networking.istio.io/v1":       "",
		"apiVersion: networking.istio.io/v1beta1":  "",
		"apiVersion: networking.istio.io/v1alpha3": "",
		"apiVersion: networking.istio.io/v2":       "networking.istio.io/v2 Gateway is not a resource that Waymark reads; skipped",
		"apiVersion: gateway.networking.k8s.io/v1": "gateway.networking.k8s.io/v1 Gateway is not a resource that Waymark reads; skipped",
		"apiVersion: v1":                           "v1 Gateway is not a resource that Waymark reads; skipped",
	} {
		in := read(doc + "\nkind: Gateway\nmetadata: {name: g}\nspec: {}\n")
		assert.Equal(t, want == "", len(in.Set.Gateways) == 1, doc)
		if want == "" {
			assert.Empty(t, in.Findings)
			continue
		}
		require.Len(t, in.Findings, 1)
		assert.Equal(t, diag.Notice, in.Findings[0].Severity)
		assert.Contains(t, fmt.Sprint(in.Findings), want)
		assert.Empty(t, in.Objects)
	}
	in := read("a: 1\n")
	assert.Contains(t, fmt.Sprint(in.Findings), "a document without apiVersion and kind is not a resource that Waymark reads")
}
