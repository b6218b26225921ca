package resource

import (
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
