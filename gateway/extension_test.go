package gateway_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// withAnnotation gives the object of a name an annotation.
func withAnnotation(resources, name, annotation string) string {
	return strings.Replace(resources, "{name: "+name+", namespace: default", "{name: "+name+", annotations: {"+annotation+"}, namespace: default", 1)
}

func TestExtensions(t *testing.T) {
	rules := ruled("a", "- {match: [{uri: {prefix: /api}}], route: [{destination: {host: api.svc}}]}\n- {route: [{destination: {host: rest.svc}}]}\n")
	delegating := ruled("a", "- {match: [{uri: {prefix: /a}}], delegate: {name: leaf}}\n- {route: [{destination: {host: rest.svc}}]}\n") +
		object("VirtualService", "leaf", "http:\n- {match: [{uri: {prefix: /api}}], route: [{destination: {host: api.svc}}]}")
	to := func(host string) string { return " => clusters.0.name=outbound|80||" + host + ".svc" }
	check(t, everything, []fact{
		{"without an annotation a prefix is text, as in Istio", rules, []string{"x/apix" + to("api")}},
		{"text is the default", withAnnotation(rules, "a", "waymark.dev/prefix-match: text"), []string{"x/apix" + to("api")}},
		{"segments end at a slash", withAnnotation(rules, "a", "waymark.dev/prefix-match: segments"), []string{"x/apix" + to("rest"), "x/api" + to("api"), "x/api/x" + to("api")}},
		{"the annotation of the object that holds the rule counts", withAnnotation(delegating, "leaf", "waymark.dev/prefix-match: segments"), []string{"x/apix" + to("rest"), "x/api/x" + to("api")}},
		{"... and not that of one that delegates to it", withAnnotation(delegating, "a", "waymark.dev/prefix-match: segments"), []string{"x/apix" + to("api")}},
	})
	for annotation, want := range map[string]string{
		"waymark.dev/prefix-match: segment": `metadata.annotations["waymark.dev/prefix-match"]: "segment" is neither text nor segments`,
		"waymark.dev/prefixmatch: segments": "it is not known; a VirtualService may have waymark.dev/prefix-match",
	} {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(withAnnotation(rules, "a", annotation))}, version.All)
		assert.Contains(t, fmt.Sprint(in.Findings), want)
		assert.Empty(t, in.Set.VirtualServices, "it is refused")
	}
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(withAnnotation(everything, "gw", "waymark.dev/prefix-match: text"))}, version.All)
	assert.Contains(t, fmt.Sprint(in.Findings), "a Gateway has no extensions")
}

func TestExtensionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/compatibility.md")
	require.NoError(t, err)
	listed := strings.Join(strings.Fields(string(text)), " ") // whatever the lines are
	for _, e := range names.AllExtensions {
		assert.Contains(t, listed, fmt.Sprintf("- `%s%s` of a %s: %s", names.ExtensionPrefix, e.Name, strings.Join(e.Kinds, ", "), e.Summary))
	}
}
