package resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
)

// What is behind a JSON value or a document in flow style is read, or it is reported where it is: nothing is dropped.
func TestNothingIsDropped(t *testing.T) {
	v, w, x := virtualService("v"), virtualService("w"), virtualService("x")
	flow := "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v}, spec: {hosts: [a.test]}}"
	broken := func(from, to string) string { return strings.Replace(w, from, to, 1) }
	for what, c := range map[string]struct {
		text string
		want []string
		at   string // place, severity and a part of the message; "" for no finding
	}{
		"not YAML":                       {v + "\nTHIS IS NOT YAML: [", []string{"v"}, "-:2:1: error: "},
		"not YAML, behind flow style":    {flow + "\nTHIS IS NOT YAML: [", []string{"v"}, "-:2:1: error: "},
		"flow style twice":               {flow + "\n" + flow, []string{"v"}, "-:2:1: error: "},
		"flow style on one line":         {flow + " more", []string{"v"}, "-:1:106: error: "},
		"a first line too far in":        {"  " + strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\n  ") + "\nspec:\n  hosts: [a.test]\n", []string{"v"}, "-:4:1: error: "},
		"an item too far in":             {"  - " + v + "\na: b\n", []string{"v"}, "-:2:1: error: "},
		"the third is truncated":         {v + "\n" + w + "\n" + x[:60], []string{"v", "w"}, "-:3:47: error: not YAML: the quoted text that begins here does not end"},
		"a word behind the second":       {v + "\n" + w + " garbage\n" + x, []string{"v", "w", "x"}, "-:2:117: error: "},
		"a comma between objects":        {v + ",\n" + w, []string{"v", "w"}, "-:1:116: error: "},
		"a comment between objects":      {"# a\n" + v + "\n# b\n\n  # c\n" + w + "# d", []string{"v", "w"}, ""},
		"a byte order mark":              {v + "\n\uFEFF" + w + "\uFEFF" + x, []string{"v", "w", "x"}, ""},
		"a byte order mark and a marker": {rule(served) + "\uFEFF---\n" + w, []string{"v", "w"}, ""},
		"NaN":                            {v + "\n" + broken(`{"hosts"`, `{"a":NaN,"hosts"`), []string{"v"}, "-:2:100: error: this is not JSON, unlike the document before it"},
		"single quotes":                  {v + "\n" + strings.ReplaceAll(w, `"`, "'"), []string{"v"}, "-:2:2: error: "},
		"a brace is missing":             {v + "\n" + strings.TrimSuffix(w, "}") + "\n---\n" + x, []string{"v", "x"}, "-:2:1: error: not YAML: the mapping that begins here does not end"},
		"block style":                    {v + "\n" + rule(served), []string{"v"}, "-:2:1: error: "},
		"a placeholder":                  {v + "\n" + broken(`["a.test"]`, "${X}") + x, []string{"v", "x"}, "-:2:104: warning: left aside: it has the placeholder ${X}"},
		"a placeholder in the first":     {broken(`["a.test"]`, "${X}") + v, []string{"v"}, "-:1:104: warning: left aside: it has the placeholder ${X}"},
		"a template alone":               {v + "\n{{ if x }}\n" + w + "\n{{ end }}\n", []string{"v", "w"}, "-: warning: left aside: this is a Helm template"},
		"a template before all":          {"{{- if .x }}\n" + rule(served) + "{{- end }}\n", nil, "-: warning: left aside: this is a Helm template"},
		"a template before JSON":         {"{{- if .x }}\n" + v + "{{- end }}\n", nil, "-: warning: left aside: this is a Helm template"},
		"a template":                     {v + "\n" + broken(`["a.test"]`, "{{ x }}") + x, []string{"v", "x"}, "-: warning: left aside: this is a Jinja template"},
	} {
		in := read(c.text)
		assert.Equal(t, c.want, names(in), "%s: %v", what, in.Findings)
		if c.at == "" {
			assert.Empty(t, in.Findings, what)
			assert.Empty(t, in.Broken, what)
			continue
		}
		if c.want != nil {
			require.Len(t, in.Findings, 1, "%s: %v", what, in.Findings)
		}
		assert.True(t, strings.HasPrefix(in.Findings[0].String(), c.at), "%s: %s", what, in.Findings[0])
		assert.Contains(t, in.Broken, "-", what)
	}
}

// What cannot be converted is reported where it is.
func TestPlacesOfWhatCannotBeConverted(t *testing.T) {
	for value, want := range map[string]string{
		"!!int \"abc\"":       "7:6: error: not YAML: a value does not fit its tag",
		".inf":                "7:6: error: not YAML: a number is infinite or not a number",
		"[1, .nan]":           "7:10: error: not YAML: a number is infinite or not a number",
		"{<<: b}":             "7:11: error: not YAML: << takes a mapping or a list of mappings",
		"{<<: [{}, 1]}":       "7:11: error: not YAML: << takes a mapping or a list of mappings",
		"{a: b, null: c}":     "7:13: error: not YAML: a key must be a text, and is null",
		"{~: c}":              "7:7: error: not YAML: a key must be a text, and is null",
		"{[a]: c}":            "7:7: error: not YAML: a key is a list or a mapping",
		"{!!int a: c}":        "7:7: error: not YAML: a value does not fit its tag",
		"ü \xff":              "7:8: error: not YAML: this is not UTF-8",
		"a\n    b \x01":       "8:7: error: not YAML: control characters are not allowed",
		"&n ~\n  b: {*n : c}": "8:7: error: not YAML: a key must be a text, and is null",
	} {
		in := read("# a\n---\n" + head + "more:\n  a: " + value + "\n")
		require.Len(t, in.Findings, 1, "%s: %v", value, in.Findings)
		assert.True(t, strings.HasPrefix(in.Findings[0].String(), "-:"+want), "%s: %s", value, in.Findings[0])
	}
}

// No value of a Secret is in a message or an excerpt, also where the mistake is next to it.
func TestBrokenSecrets(t *testing.T) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	for what, text := range map[string]string{
		"a null key":      secret + "stringData: {null: TOPSECRET}\n",
		"a short null":    secret + "stringData:\n  ~: TOPSECRET\n",
		"an anchor":       secret + "stringData: {a: *TOPSECRET }\n",
		"a number":        secret + "stringData: {a: !!int TOPSECRET}\n",
		"a quote":         secret + "stringData: {a: 'TOPSECRET', 'b' 'c'}\n",
		"a SecretList":    "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: s}\n  stringData: {a: \"TOPSECRET\"x}\n",
		"its flow style":  "{apiVersion: v1, kind: SecretList, items: [{stringData: {a: \"TOPSECRET\"x}}]}\n",
		"a List":          "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  stringData: {a: \"TOPSECRET\"x}\n",
		"behind JSON":     `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}` + "\nTOPSECRET: [\n",
		"behind its list": secret + "stringData: {a: b}\n---\n{kind: Secret} TOPSECRET\n",
		"a misspelt kind": "{apiVersion: v1, kind: secret, metadata: {name: s}, stringData: {a: TOPSECRET}}",
	} {
		in := read(namespace + "---\n" + text)
		require.NotEmpty(t, in.Findings, what)
		for _, f := range in.Findings {
			assert.NotContains(t, f.String()+in.Texts.Excerpt(f.Place), "TOPSECRET", what)
			assert.NotRegexp(t, "%!|expected ;|expected$|interface", f.Message, what)
		}
		for line := range diag.CountLines(namespace + "---\n" + text) {
			assert.NotContains(t, in.Texts.Excerpt(diag.Place{File: "-", Line: line + 1, Column: 1}), "TOPSECRET", what)
		}
	}
	in := read(namespace + "---\n" + secret + "stringData: {a: b, null: TOPSECRET}\n")
	assert.True(t, strings.HasPrefix(in.Findings[0].String(), fmt.Sprintf("-:%d:20: warning: not YAML: a key must be a text, and is null; left aside", diag.CountLines(namespace+"---\n"+secret))), in.Findings[0])
}
