package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// decoded is what a caller without files has: the same objects, as an API server gives them.
func decoded(t *testing.T, text string) *resource.Input {
	var all []*resource.Decoded
	for _, document := range strings.Split(text, "\n---\n") {
		object, err := yaml.YAMLToJSON([]byte(document))
		require.NoError(t, err)
		if string(object) == "null" {
			continue
		}
		if !strings.Contains(string(object), `"namespace"`) {
			object = []byte(strings.Replace(string(object), `"metadata":{`, `"metadata":{"namespace":"default",`, 1))
		}
		d, err := resource.Decode(object)
		require.NoError(t, err)
		all = append(all, d)
	}
	return resource.Join(all)
}

// Objects that no file was read for are validated and translated as the same objects are in a file; only the places of
// findings are missing.
func TestTypedObjects(t *testing.T) {
	about := func(findings diag.Findings) (all []string) {
		for _, f := range findings {
			all = append(all, fmt.Sprint(f.Severity, f.Code, f.Object, f.Field, f.Message))
		}
		return all
	}
	for name, f := range fields {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.NewReplacer("<<", "", ">>", "").Replace(f.resources)
			fromFile := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
			inMemory := gateway.Prepare(decoded(t, text), version.All)
			assert.Len(t, inMemory.Set.Refused, len(fromFile.Set.Refused))
			for _, proxy := range []translate.ProxyType{translate.GatewayProxy, translate.SidecarProxy} {
				o := translate.Options{Proxy: proxy}
				_, want := translate.Plan(fromFile.Set, o)
				_, got := translate.Plan(inMemory.Set, o)
				assert.ElementsMatch(t, about(want), about(got))
				for _, f := range got {
					if !strings.HasPrefix(f.Object, "Service ") {
						assert.Zero(t, f.Place, f)
					}
				}
			}
			var decided diag.Findings
			for _, f := range fromFile.Findings {
				if f.Severity != diag.Notice {
					decided = append(decided, f)
				}
			}
			assert.ElementsMatch(t, about(decided), about(inMemory.Findings))
		})
	}
}

// Every error is about one object, whatever else there is, so an object can be judged alone, as the webhook of Kubernetes does.
func TestErrorsAreAboutOneObject(t *testing.T) {
	t.Parallel()
	errors := func(findings diag.Findings) (all []string) {
		for _, f := range findings {
			if f.Severity == diag.Error {
				all = append(all, f.String())
			}
		}
		return all
	}
	found := 0
	for name, f := range fields {
		text := strings.NewReplacer("<<", "", ">>", "").Replace(f.resources)
		together := errors(gateway.Prepare(decoded(t, text), version.All).Findings)
		var alone []string
		for _, document := range strings.Split(text, "\n---\n") {
			alone = append(alone, errors(gateway.Prepare(decoded(t, document), version.All).Findings)...)
		}
		assert.ElementsMatch(t, together, alone, name)
		found += len(alone)
	}
	assert.NotZero(t, found)
}
