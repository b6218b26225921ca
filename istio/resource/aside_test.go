package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

// A document that is YAML only once its placeholders are replaced is left aside, and the finding is at the first of them.
func TestPlaceholdersThatBreakYAML(t *testing.T) {
	const (
		envsubst  = "; run envsubst < FILE | waymark check -f -, or build it with the program that fills it in"
		kustomize = "; build it with the program that fills it in, such as kustomize build FOLDER | waymark check -f -"
		erb       = "; run erb FILE | waymark check -f -, or build it with the program that fills it in"
	)
	for spec, want := range map[string]string{
		"  hosts: [${HOST}]\n":                                          "-:5:11: warning: left aside: it has the placeholder ${HOST}" + envsubst,
		"  hosts: [a.test, ${HOST:-a.test}]\n":                          "-:5:19: warning: left aside: it has the placeholder ${HOST:-a.test}" + envsubst,
		"  hosts: [a.test, $${HOST}]\n":                                 "-:5:20: warning: left aside: it has the placeholder ${HOST}" + envsubst,
		"  hosts: [${A}, \"${B}\"]\n  gateways: [${C}]\n":               "-:5:11: warning: left aside: it has the placeholder ${A}" + envsubst,
		"  http: [{timeout: 1s, match: [{port: ${PORT}}]}]\n":           "-:5:39: warning: left aside: it has the placeholder ${PORT}" + envsubst,
		"  hosts: [a.test]\n  ${RULES}\n":                               "-:6:3: warning: left aside: it has the placeholder ${RULES}" + envsubst,
		"  hosts: [a.test]\n  $(RULES)\n":                               "-:6:3: warning: left aside: it has the placeholder $(RULES)" + kustomize,
		"  hosts: [<%= host ? {} : 'a, b' %>]\n":                        "-:5:11: warning: left aside: it has the placeholder <%= host ? {} : 'a, b' %>" + erb,
		"  hosts: [${HOST:-" + strings.Repeat("a", 50) + ".test}]\n":    "-:5:11: warning: left aside: it has the placeholder ${HOST}" + envsubst,
		"  <% hosts.each do |h| %>\n  hosts: [<%= h %>]\n  <% end %>\n": "-:5:3: warning: left aside: it has the placeholder <% hosts.each do |h| %>" + erb,
	} {
		in := read(head + "spec:\n" + spec + "---\n" + strings.Replace(rule(served), "name: v", "name: w", 1))
		assert.Equal(t, []string{"w"}, names(in), spec)
		require.Len(t, in.Findings, 1, "%s: %v", spec, in.Findings)
		assert.Equal(t, want, in.Findings[0].String(), spec)
		assert.Equal(t, []string{"-"}, in.Broken, spec)

		in = Read([]string{"-"}, Options{Stdin: strings.NewReader(head + "spec:\n" + spec), Strict: true})
		require.Len(t, in.Findings, 1, "%s: %v", spec, in.Findings)
		assert.Equal(t, diag.Error, in.Findings[0].Severity, spec)
	}
	in := read(rule(served) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: ${PORT}}]}\n")
	require.Len(t, in.Findings, 1)
	assert.Equal(t, "-:12:23: warning: left aside: it has the placeholder ${PORT}"+envsubst, in.Findings[0].String())
	assert.Empty(t, in.Broken)

	dir := write(t, map[string]string{"a.yaml": head + "spec: {hosts: [${HOST}]}\n"})
	assert.Contains(t, Read([]string{dir}, Options{}).Findings[0].Message, "run envsubst < "+dir+"/a.yaml | waymark check -f -")
}

// A mistake is reported where it is, also in a document that has placeholders as well.
func TestMistakesBesidePlaceholders(t *testing.T) {
	for spec, want := range map[string]string{
		"  hosts: [${HOST}]\n  http: [{\n":       "-:6:10: error: not YAML: the document ends in the middle of a value",
		"  # ${HOST}\n  hosts: @a\n":             "-:6:10: error: not YAML: found character that cannot start any token",
		"  hosts: [${HOST}]\n  hosts: @a.test\n": "-:6:10: error: not YAML: found character that cannot start any token",
		"  hosts: [${HOST:-a\n   }]\n":           "-:5:10: error: not YAML: the list that begins here does not end",
		"  hosts: [${HOST]\n":                    "-:5:10: error: not YAML: the list that begins here does not end",
	} {
		in := read(head + "spec:\n" + spec)
		require.Len(t, in.Findings, 1, "%s: %v", spec, in.Findings)
		assert.Contains(t, in.Findings[0].String(), want, spec)
	}
}

// What may be in a Secret is in no message: a placeholder has no default there.
func TestPlaceholdersOfSecrets(t *testing.T) {
	for value, want := range map[string]string{
		"${KEY:-c2VjcmV0}": "${KEY}", "${KEY-c2VjcmV0}": "${KEY}", "${KEY}": "${KEY}", "<%= {a: 'c2VjcmV0'} %>": "<%= %>",
	} {
		in := read(namespace + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: [" + value + "}\n  b: }]\n")
		assert.NotContains(t, in.Findings[0].String(), "c2VjcmV0")
		in = read(namespace + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: {" + value + ", b: c}}\n")
		require.NotEmpty(t, in.Findings)
		if strings.HasPrefix(value, "$") {
			assert.Contains(t, in.Findings[0].String(), "it has the placeholder "+want+"; ")
		}
		assert.NotContains(t, in.Findings[0].String(), "c2VjcmV0")
	}
}

// What Go's templates may begin with is a template in any place: as a value, an item, a key and a line of its own, also
// where it is in a list or a mapping.
func TestTemplatesInAnyPlace(t *testing.T) {
	for _, spec := range []string{
		"  hosts: {{ .X }}\n", "  hosts: [{{ .X }}]\n", "  hosts: [a.test, {{.X}}]\n", "  hosts:\n  - {{ .X }}\n", "  {{ .X }}: 1\n", "  hosts: [a.test]\n  {{ .X }}\n",
		"  http: [{timeout: {{ .X }}}]\n", "  http: [{{{ .X }}: 1s}]\n", "  hosts: {{ \"a.test\" | quote }}\n", "  hosts: [{{- `a` }}]\n", "  hosts: {{ 80 }}\n", "  hosts: [a.{{ .X }}.test]\n",
		"  hosts: [{{ dict \"a\"\n  1 }}]\n",
	} {
		in := read(head + "spec:\n" + spec + "---\n" + strings.Replace(rule(served), "name: v", "name: w", 1))
		assert.Equal(t, []string{"w"}, names(in), spec)
		require.Len(t, in.Findings, 1, "%s: %v", spec, in.Findings)
		assert.Regexp(t, "^-: warning: left aside: this is a ((Helm|Jinja) )?template; ", in.Findings[0].String(), spec)
	}
}

// A text that may be anything is read as it is, also with what a template has; a host or a name with it is a template.
func TestTemplatesInTexts(t *testing.T) {
	for _, spec := range []string{
		`hosts: [a.test], http: [{directResponse: {status: 200, body: {string: "Hello {{ user }} {% if x %}"}}}]`,
		`hosts: [a.test], http: [{name: "{{ .Values.x }}", headers: {response: {set: {x: "{{ x }}"}}}, directResponse: {status: 200}}]`,
		`hosts: [a.test], http: [{redirect: {uri: "/{{ x }}"}}]`,
	} {
		for _, meta := range []string{"{name: v}", "{name: v, annotations: {argocd.argoproj.io/tracking-id: 'x:y/z:{{ignored}}'}}"} {
			in := read(strings.Replace(head, "{name: v}", meta, 1) + "spec: {" + spec + "}\n")
			assert.Equal(t, []string{"v"}, names(in), spec)
			assert.Empty(t, in.Findings, spec)
			assert.Empty(t, in.Broken, spec)
			assert.True(t, strings.HasPrefix(in.Objects[0].Placeholder, "{"), in.Objects[0].Placeholder)
		}
	}
	for text, form := range map[string]string{
		head + "spec: {hosts: ['{{ .Values.host }}']}\n":                                                   "a Helm template",
		head + "spec: {hosts: [a.test], http: [{route: [{destination: {host: '{{ x }}'}}]}]}\n":            "a Jinja template",
		head + "spec: {hosts: [a.test], gateways: ['{{ x }}']}\n":                                          "a Jinja template",
		strings.Replace(head, "name: v", "name: '{{ .Release.Name }}-v'", 1) + "spec: {hosts: [a.test]}\n": "a Helm template",
	} {
		in := read(text)
		assert.Empty(t, names(in), text)
		require.NotEmpty(t, in.Findings, text)
		assert.Contains(t, in.Findings[0].String(), "left aside: this is "+form, text)
		assert.Equal(t, []string{"-"}, in.Broken, text)
	}
}

// The message about an expression of a template names the program that fills it in.
func TestUnfilledTemplates(t *testing.T) {
	for placeholder, want := range map[string]string{
		"{{ .Values.t }}": "left aside: it has the placeholder {{ .Values.t }}; run helm template NAME chart | waymark check -f -",
		"{{ t }}":         "left aside: it has the placeholder {{ t }}; let the program that it is written for, such as Ansible, fill it in",
		"{{ .Values.t | " + strings.Repeat("x", 60) + " }}": "left aside: it has the placeholder {{ }}; run helm template NAME chart | waymark check -f -",
	} {
		assert.Equal(t, want, Unfilled(unfilledIn("a "+placeholder+" b }}"), "chart/templates/a.yaml"))
	}
	in := read("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: '${PORT}', targetPort: []}]}\n")
	require.Len(t, in.Findings, 2, in.Findings)
	assert.Contains(t, fmt.Sprint(in.Findings), "spec.ports[0].targetPort: must be an integer or a text")
	assert.Contains(t, fmt.Sprint(in.Findings), "it has the placeholder ${PORT}; run envsubst")
}
