package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// An object stays as it was if its document becomes one of which it is not known what it was to be.
func TestObjectsOfDocumentsThatCannotBeUsedStay(t *testing.T) {
	t.Parallel()
	vs := virtualServiceOf("{hosts: [a.com], http: [" + "{directResponse: {status: 200}}" + "]}")
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {tls.key: x}\n"
	for what, c := range map[string]struct {
		before, after string
		stays         bool
	}{
		"it is removed":                          {vs, "", false},
		"it is as it was":                        {vs, vs, false},
		"a value is wrong":                       {vs, strings.Replace(vs, "200", "2", 1), true},
		"it is not YAML":                         {vs, vs + "]", true},
		"its kind is misspelt":                   {vs, strings.Replace(vs, "VirtualService", "VirtualSevice", 1), true},
		"its kind is misspelt, with a namespace": {vs, strings.Replace(strings.Replace(vs, "VirtualService", "VirtualSevice", 1), "{name: a}", "{name: a, namespace: default}", 1), true},
		"its version is none, with a namespace":  {vs, strings.Replace(strings.Replace(vs, "istio.io/v1", "istio.io/v9", 1), "{name: a}", "{name: a, namespace: default}", 1), true},
		"its version is none":                    {vs, strings.Replace(vs, "istio.io/v1", "istio.io/v9", 1), true},
		"its name is missing":                    {vs, strings.Replace(vs, "name: a", "nam: a", 1), true},
		"it has another name":                    {vs, strings.Replace(vs, "name: a", "name: b", 1), false},
		"a Secret is not YAML":                   {secret, secret + "]", true},
		"another object is misspelt":             {vs + "---\n" + secret, vs + "---\n" + strings.Replace(virtualServiceOf("{}"), "VirtualService", "VirtualSevice", 1), true},
		"another kind is left aside":             {vs, vs + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n", false},
		"another object has warnings":            {vs + "---\n" + secret, vs + "---\n" + ruleOf("{"+to+"}, {"+to+"}"), false},
	} {
		file := filepath.Join(t.TempDir(), "a.yaml")
		read := func(text string) *resource.Input {
			require.NoError(t, os.WriteFile(file, []byte(text+"---\n"+everything), 0o600))
			return gateway.Load([]string{file}, resource.Options{}, version.All)
		}
		before := read(c.before)
		require.False(t, before.Findings.HasErrors(), what)
		kept := gateway.Keep(read(c.after), before.Set)
		said := 0
		for _, f := range kept.Findings {
			if strings.Contains(f.Message, "goes on being served as it was before") {
				said++
			}
		}
		assert.Equal(t, c.stays, said == 1, "%s: %v", what, kept.Findings)
		if c.stays {
			assert.Len(t, kept.Set.Secrets, len(before.Set.Secrets), what)
		}
	}
}

// A refused object names its hosts, and who asks for them is told that it is refused.
func TestRefusedObjectsNameTheirHosts(t *testing.T) {
	t.Parallel()
	text := everything + object("VirtualService", "a", "hosts: [a.com]\ngateways: [default/gw]\nhttp: [{route: [{destination: {host: e.test}}]}]") +
		object("ServiceEntry", "e", "hosts: [e.test]\nports: [{name: http, number: 0, protocol: HTTP}]\nresolution: STATIC") +
		object("DestinationRule", "d", "host: e.test\ntrafficPolicy: {}") + object("DestinationRule", "f", "host: f.test\nfield: 1")
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
	_, findings := translate.Plan(in.Set, translate.Options{}.WithDefaults())
	said := fmt.Sprint(findings)
	for _, want := range []string{
		"ServiceEntry default/e is refused", "DestinationRule default/d: is left out: the subsets and policies of e.test are missing",
		"DestinationRule default/f: is left out: the subsets and policies of f.test are missing",
	} {
		assert.Contains(t, said, want)
	}
}

// Objects of a file that holds nothing any more are gone, however many files there are; a file with comments in its JSON is
// one that cannot be read.
func TestFilesThatAreEmptied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.yaml")
	vs := `{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}, "spec": {"hosts": ["a.com"], "http": [{"directResponse": {"status": 200}}]}}`
	read := func(text string) *resource.Input {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.WriteFile(other, []byte(everything), 0o600))
		return gateway.Load([]string{other, file}, resource.Options{}, version.All)
	}
	before := read(vs)
	for text, stay := range map[string]int{vs: 1, "": 0, "\n": 0, "// to be done\n" + vs: 1} {
		kept := gateway.Keep(read(text), before.Set)
		assert.Len(t, kept.Set.VirtualServices, stay, "%q: %v", text, kept.Findings)
	}
}

// Objects of a cluster have no files. One that is refused stays as it was; one that is removed is gone, even while another one
// has an error, or there are errors about no object.
func TestObjectsOfAClusterStay(t *testing.T) {
	t.Parallel()
	vs := virtualServiceOf("{hosts: [a.com], http: [" + "{directResponse: {status: 200}}" + "]}")
	other := strings.Replace(virtualServiceOf("{hosts: [b.com], http: ["+"{directResponse: {status: 200}}"+"]}"), "name: a", "name: b", 1)
	for what, c := range map[string]struct {
		after   string
		stays   []string
		refused int
	}{
		"nothing changes":                         {vs + "---\n" + other, []string{"default/a 200", "default/b 200"}, 0},
		"one is valid and new":                    {strings.Replace(vs, "200", "201", 1) + "---\n" + other, []string{"default/a 201", "default/b 200"}, 0},
		"one is refused by validation":            {strings.Replace(vs, "200", "2", 1) + "---\n" + other, []string{"default/a 200", "default/b 200"}, 0},
		"one cannot be decoded":                   {strings.Replace(vs, "200", "many", 1) + "---\n" + other, []string{"default/a 200", "default/b 200"}, 0},
		"one is removed":                          {other, []string{"default/b 200"}, 0},
		"one is refused and the other is removed": {strings.Replace(vs, "200", "2", 1), []string{"default/a 200"}, 0},
		"one that is refused is new":              {vs + "---\n" + other + "---\n" + strings.Replace(strings.Replace(vs, "200", "2", 1), "name: a", "name: c", 1), []string{"default/a 200", "default/b 200"}, 1},
	} {
		before := gateway.Prepare(decoded(t, vs+"---\n"+other), version.All)
		require.Empty(t, before.Findings, what)
		after := gateway.Prepare(decoded(t, c.after), version.All)
		after.Findings.Add(diag.Error, "", nil, "", "there are more findings")
		kept := gateway.Keep(after, before.Set)
		var got []string
		for _, vs := range kept.Set.VirtualServices {
			got = append(got, fmt.Sprint(vs.Key(), " ", vs.Spec.Http[0].DirectResponse.Status))
		}
		assert.ElementsMatch(t, c.stays, got, what)
		assert.Len(t, kept.Set.Refused, c.refused, what)
	}
}
