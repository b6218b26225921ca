package resource

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	istio "istio.io/api/networking/v1alpha3"
)

// head begins a VirtualService. Its spec begins in line 4.
const head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"

// rule is a VirtualService with one http rule.
func rule(more string) string { return head + "spec:\n  hosts: [a.test]\n  http:\n  - " + more + "\n" }

const served = "directResponse: {status: 200}"

// virtualService is a whole VirtualService in JSON.
func virtualService(name string) string {
	return fmt.Sprintf(`{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":%q},"spec":{"hosts":["a.test"]}}`, name)
}

func names(in *Input) (out []string) {
	for _, vs := range in.Set.VirtualServices {
		out = append(out, vs.Name)
	}
	return out
}

func utf16Text(text string, big bool) string {
	out := []byte{0xFF, 0xFE}
	if big {
		out = []byte{0xFE, 0xFF}
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		if big {
			out = append(out, byte(unit>>8), byte(unit))
		} else {
			out = append(out, byte(unit), byte(unit>>8))
		}
	}
	return string(out)
}

// Every form in which documents come is read as kubectl reads it.
func TestForms(t *testing.T) {
	block := rule(served)
	list := func(kind, items string) string {
		return "apiVersion: v1\nkind: " + kind + "\nitems:\n" + items
	}
	item := func(name string) string {
		return "- apiVersion: networking.istio.io/v1\n  kind: VirtualService\n  metadata: {name: " + name + "}\n  spec: {hosts: [a.test]}\n"
	}
	for what, c := range map[string]struct {
		text     string
		want     []string // names
		findings []string // one part of each
	}{
		"one document":                   {text: block, want: []string{"v"}},
		"a byte order mark":              {text: "\uFEFF" + block, want: []string{"v"}},
		"UTF-16":                         {text: utf16Text(block, false), want: []string{"v"}},
		"UTF-16, high bytes first":       {text: utf16Text(block, true), want: []string{"v"}},
		"lines that end with CRLF":       {text: strings.ReplaceAll(block+"---\n"+strings.Replace(block, "name: v", "name: w", 1), "\n", "\r\n"), want: []string{"v", "w"}},
		"documents without content":      {text: "---\n# nothing\n---\n" + block + "...\n---\n", want: []string{"v"}},
		"directives":                     {text: "%YAML 1.1\n---\n" + block, want: []string{"v"}},
		"content behind the marker":      {text: "--- " + virtualService("v") + "\n", want: []string{"v"}},
		"JSON":                           {text: virtualService("v"), want: []string{"v"}},
		"a stream of JSON":               {text: virtualService("v") + "\n" + virtualService("w") + virtualService("x"), want: []string{"v", "w", "x"}},
		"a list at the top":              {text: "[" + virtualService("v") + "," + virtualService("w") + "]", want: []string{"v", "w"}},
		"a list at the top, in YAML":     {text: item("v") + item("w"), want: []string{"v", "w"}},
		"a List in JSON":                 {text: `{"apiVersion":"v1","kind":"List","items":[` + virtualService("v") + `]}`, want: []string{"v"}},
		"a List in a List":               {text: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + virtualService("v") + `]},` + virtualService("w") + `]}`, want: []string{"v", "w"}},
		"a List that kubectl prints":     {text: list("List", item("v")+item("w")) + "metadata:\n  resourceVersion: \"\"\n", want: []string{"v", "w"}},
		"its items are indented":         {text: list("List", "  "+strings.ReplaceAll(strings.TrimSuffix(item("v"), "\n"), "\n", "\n  ")+"\n"), want: []string{"v"}},
		"one of its items is broken":     {text: list("List", item("v")+strings.Replace(item("w"), "[a.test]", "[a.test", 1)+item("x")), want: []string{"v", "x"}, findings: []string{"not YAML"}},
		"kinds of items from the list":   {text: `{"apiVersion":"networking.istio.io/v1","kind":"VirtualServiceList","items":[{"metadata":{"name":"v"},"spec":{"hosts":["a.test"]}}]}`, want: []string{"v"}},
		"an empty List":                  {text: "apiVersion: v1\nkind: List\nitems: []\n---\n" + block, want: []string{"v"}},
		"a broken document among others": {text: block + "---\n" + head + "spec: {hosts: [\n---\n" + strings.Replace(block, "name: v", "name: w", 1), want: []string{"v", "w"}, findings: []string{"not YAML"}},
		"a key twice":                    {text: rule("timeout: 1s\n    timeout: 2s\n    " + served), want: []string{"v"}, findings: []string{`key "timeout" is also in line 7; the last one counts`}},
		"yes is not a text":              {text: rule("match: [{uri: {exact: yes}}]\n    " + served), findings: []string{"must be a text, and is true (quote it"}},
		"a null document":                {text: "null\n---\n" + block, want: []string{"v"}},
		"a Helm template":                {text: strings.Replace(block, "a.test", "{{ .Values.host }}", 1) + "---\n" + strings.Replace(block, "name: v", "name: w", 1), want: []string{"w"}, findings: []string{"left aside: this is a Helm template"}},
		"a quoted Helm template":         {text: strings.Replace(block, "a.test", "'{{ .Values.host }}'", 1), findings: []string{"left aside: this is a Helm template", "nothing here"}},
		"a Jinja template":               {text: "{% for h in hosts %}\n" + block + "{% endfor %}\n", findings: []string{"left aside: this is a Jinja template", "nothing here"}},
		"SOPS":                           {text: head + "spec: {hosts: ['ENC[AES256_GCM,data:x,type:str]']}\nsops: {version: 3.8.1}\n", findings: []string{"left aside: this is encrypted with SOPS", "nothing here"}},
		"a patch in JSON":                {text: `[{"op":"add","path":"/spec/hosts/-","value":"b.test"}]` + "\n---\n" + block, want: []string{"v"}, findings: []string{"left aside: this is a patch"}},
		"a policy":                       {text: "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n---\n" + block, want: []string{"v"}, findings: []string{"is not applied: requests that it denies are let in"}},
		"a removed field":                {text: rule("websocketUpgrade: true\n    " + served), want: []string{"v"}, findings: []string{"is a field that Istio removed"}},
	} {
		in := read(c.text)
		assert.Equal(t, c.want, names(in), "%s: %v", what, in.Findings)
		require.Len(t, in.Findings, len(c.findings), "%s: %v", what, in.Findings)
		for i, part := range c.findings {
			assert.Contains(t, in.Findings[i].String(), part, what)
		}
	}
}

// A value means what it means in YAML 1.1, as in a cluster.
func TestValues(t *testing.T) {
	first := func(more string) *istio.HTTPRoute {
		in := read(rule(more))
		require.Empty(t, in.Findings, more)
		return in.Set.VirtualServices[0].Spec.Http[0]
	}
	assert.True(t, first("match: [{ignoreUriCase: yes}]\n    " + served).Match[0].IgnoreUriCase)
	assert.Contains(t, first("match: [{headers: {y: {exact: a}}}]\n    " + served).Match[0].Headers, "true")
	assert.Equal(t, "b", first("match: [{uri: {exact: 'no'}, name: b}]\n    " + served).Match[0].Name)
	assert.EqualValues(t, 8, first("directResponse: {status: 010}").DirectResponse.Status, "octal")
	merged := read(head + "spec:\n  hosts: &h [a.test]\n  gateways: *h\n  http:\n  - &r {timeout: 1s, directResponse: {status: 200}}\n  - {<<: *r, timeout: 2s}\n")
	require.Empty(t, merged.Findings)
	spec := merged.Set.VirtualServices[0].Spec
	assert.Equal(t, []string{"a.test"}, spec.Gateways)
	assert.EqualValues(t, 200, spec.Http[1].DirectResponse.Status)
	assert.EqualValues(t, 2, spec.Http[1].Timeout.Seconds)
}

// What aliases expand to is bounded before they are expanded, in nodes and in bytes.
func TestAliases(t *testing.T) {
	var nodes strings.Builder
	nodes.WriteString(head + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 8 {
		fmt.Fprintf(&nodes, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	long := head + "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.TrimSuffix(strings.Repeat("*a, ", 20), ", ") + "]\n"
	for what, c := range map[string]struct{ text, want string }{
		"nodes":                 {nodes.String(), errAliases.Error()},
		"bytes":                 {long, errAliases.Error()},
		"a part of itself":      {head + "a: &a {b: *a}\n", errItself.Error()},
		"merged into itself":    {head + "a: &a {<<: *a}\n", errItself.Error()},
		"depth":                 {head + "a: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "\n", errNesting.Error()},
		"an anchor that is not": {head + "a: *b\n", "unknown anchor"},
	} {
		begin := time.Now()
		in := read(c.text)
		require.Len(t, in.Findings, 1, what)
		assert.Contains(t, in.Findings[0].Message, c.want, what)
		assert.Less(t, time.Since(begin), 5*time.Second, what)
	}
	document := head + "spec: {hosts: [a.test]}\na: &a [" + strings.TrimSuffix(strings.Repeat("x, ", 1000), ", ") + "]\nb: [" + strings.TrimSuffix(strings.Repeat("*a, ", 300), ", ") + "]\n"
	all := fmt.Sprint(read(strings.Repeat(document+"---\n", 5)).Findings)
	assert.Contains(t, all, errAll.Error())
}

// The place of what is not YAML is that of the mistake.
func TestPlacesOfErrors(t *testing.T) {
	for text, want := range map[string]string{
		"spec: {hosts: [a.test}\n":                            "4:15",
		"spec: {hosts: [a.test]\n":                            "4:7",
		"spec:\n  hosts: [a.test]\n http: []\n":               "6:2",
		"spec:\n\thosts: [a.test]\n":                          "5:1",
		"spec:\n  hosts: \"a.test\n":                          "5:10",
		"spec:\n  hosts: 'a.test\n":                           "5:10",
		"spec:\n  hosts: @a\n":                                "5:10",
		"spec:\n  hosts: `a`\n":                               "5:10",
		"spec:\n  hosts: *b\n":                                "5:10",
		"spec:\n  hosts: a: b\n":                              "5:11",
		"spec:\n  hosts\n  http: []\n":                        "6:7",
		"spec:\n  hosts: \"\\q\"\n":                           "5:11",
		"spec:\n  - hosts: []\n  http: []\n":                  "6:3",
		"spec: {hosts: [a.test]}\n---\n" + head + "spec: [\n": "9:7",
	} {
		in := read(head + text)
		require.NotEmpty(t, in.Findings, text)
		place := in.Findings[0].Place
		assert.Equal(t, want, fmt.Sprintf("%d:%d", place.Line, place.Column), "%s: %s", text, in.Findings[0])
		assert.True(t, strings.HasPrefix(in.Findings[0].Message, "not YAML: "), in.Findings[0])
	}
}

// write makes files below a folder; a text that begins with "-> " makes a link.
func write(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			require.NoError(t, os.Symlink(target, file))
			continue
		}
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return dir
}

func TestFolders(t *testing.T) {
	for what, c := range map[string]struct {
		files    map[string]string
		paths    []string
		want     []string
		findings []string
	}{
		"a link as git-sync makes it": {
			files: map[string]string{"work/rev-1/a.yaml": virtualService("a"), "current": "-> work/rev-1"}, paths: []string{"current"}, want: []string{"a"},
		},
		"a folder below which such a link is": {
			files: map[string]string{"work/rev-1/a.yaml": virtualService("a"), "root/current": "-> ../work/rev-1"}, paths: []string{"root"}, want: []string{"a"},
		},
		"links as those of a ConfigMap": {
			files: map[string]string{"..2026/a.yaml": virtualService("a"), "..data": "-> ..2026", "a.yaml": "-> ..data/a.yaml"}, paths: []string{"."}, want: []string{"a"},
		},
		"a loop of links": {
			files: map[string]string{"a.yaml": virtualService("a"), "sub/up": "-> ..", "sub/b.yaml": virtualService("b")}, paths: []string{"."}, want: []string{"a", "b"},
		},
		"a link to nothing": {
			files: map[string]string{"a.yaml": virtualService("a"), "b.yaml": "-> missing.yaml"}, paths: []string{"."}, want: []string{"a"}, findings: []string{"cannot be read"},
		},
		"a pattern": {
			files: map[string]string{"a.yaml": virtualService("a"), "b.yaml": virtualService("b"), "c.txt": "x"}, paths: []string{"*.yaml"}, want: []string{"a", "b"},
		},
		"a pattern that nothing matches": {
			files: map[string]string{"a.yaml": virtualService("a")}, paths: []string{"a.yaml", "*.yml"}, want: []string{"a"}, findings: []string{"no file matches", "nothing in it"},
		},
		"names with a comma between them": {
			files: map[string]string{"a.yaml": virtualService("a"), "b.yaml": virtualService("b")}, paths: []string{"a.yaml,DIR/b.yaml"}, want: []string{"a", "b"},
		},
		"a name with a comma": {
			files: map[string]string{"a,b.yaml": virtualService("a")}, paths: []string{"a,b.yaml"}, want: []string{"a"},
		},
		"a file that is named twice": {
			files: map[string]string{"a.yaml": virtualService("a")}, paths: []string{".", "a.yaml"}, want: []string{"a"}, findings: []string{"nothing in it"},
		},
		"a file that is not there": {
			files: map[string]string{"a.yaml": virtualService("a")}, paths: []string{"b.yaml"}, findings: []string{"cannot be read"},
		},
		"JSON with comments": {
			files: map[string]string{"a.json": "// rules\n" + virtualService("a")}, paths: []string{"."}, findings: []string{"left aside: this is JSON with comments", "nothing here"},
		},
		"a patch without its kustomization": {
			files: map[string]string{"a.yaml": "$patch: delete\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n", "b.yaml": virtualService("b"), "c.json": `{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "g"}, "spec": {"servers": [{"$patch" : "replace"}]}}`},
			paths: []string{"."}, want: []string{"b"}, findings: []string{"left aside: this is a patch of a kustomization, and so is one more file; run kustomize build FOLDER | waymark check -f -"},
		},
		"a patch in a folder below": {
			files: map[string]string{"k/kustomization.yml": "patches: [{path: patches/p.yaml}]\n", "k/patches/p.yaml": virtualService("a"), "b.yaml": virtualService("b")},
			paths: []string{"."}, want: []string{"b"}, findings: []string{"this is a kustomization", "/k | waymark check -f -"},
		},
		"JSON with comments, by its name": {
			files: map[string]string{"a.jsonc": "{} // rules\n" + virtualService("a")}, paths: []string{"."}, findings: []string{"left aside: this is JSON with comments", "nothing here"},
		},
		"JSON with comments, by a comment": {
			files: map[string]string{"a.txt": "/* rules */ {}\n"}, paths: []string{"a.txt"}, findings: []string{"left aside: this is JSON with comments", "nothing here"},
		},
		"the first template that is Istio's": {
			files: map[string]string{"a.yaml": "a: {{ .X }}\n", "b.yaml": rule("{{ .X }}"), "c.yaml": rule("{{ .Y }}"), "d.yaml": virtualService("d")},
			paths: []string{"."}, want: []string{"d"}, findings: []string{"b.yaml: warning: left aside: this is a Helm template, and so are 2 more files"},
		},
		"a kustomization and its patch": {
			files: map[string]string{
				"kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml": virtualService("a"),
				"p.yaml": strings.Replace(virtualService("a"), "a.test", "b.test", 1),
			},
			paths: []string{"."}, want: []string{"a"}, findings: []string{"a kustomization, which is not applied", "a patch of a kustomization"},
		},
	} {
		dir := write(t, c.files)
		var paths []string
		for _, p := range c.paths {
			paths = append(paths, filepath.Join(dir, strings.ReplaceAll(p, "DIR", dir)))
			paths[len(paths)-1] = strings.ReplaceAll(paths[len(paths)-1], ","+dir+dir, ","+dir)
		}
		in := Read(paths, Options{})
		assert.Equal(t, c.want, names(in), "%s: %v", what, in.Findings)
		require.Len(t, in.Findings, len(c.findings), "%s: %v", what, in.Findings)
		for i, part := range c.findings {
			assert.Contains(t, in.Findings[i].String(), part, what)
		}
	}
}

// An address is read only where that is allowed.
func TestAddresses(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/a.yaml" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, rule(served))
	}))
	defer server.Close()
	in := Read([]string{server.URL + "/a.yaml"}, Options{})
	assert.Contains(t, fmt.Sprint(in.Findings), errRemote.Error())
	assert.Empty(t, names(in))
	assert.Zero(t, asked)
	in = Read([]string{server.URL + "/a.yaml"}, Options{AllowRemote: true})
	assert.Empty(t, in.Findings)
	assert.Equal(t, []string{"v"}, names(in))
	in = Read([]string{server.URL + "/b.yaml"}, Options{AllowRemote: true})
	assert.Contains(t, fmt.Sprint(in.Findings), "the answer is 404 Not Found")
}

// A placeholder is recorded, for a finding that says what to do.
func TestPlaceholders(t *testing.T) {
	for _, placeholder := range []string{"${HOST:-a.test}", "${HOST}", "$(HOST)", "<%= host %>"} {
		in := read(strings.Replace(rule(served), "[a.test]", "['"+placeholder+"']", 1))
		require.Len(t, in.Objects, 1)
		assert.Equal(t, placeholder, in.Objects[0].Placeholder)
	}
	assert.Empty(t, read(rule(served)).Objects[0].Placeholder)
}
