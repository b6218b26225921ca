package resource

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/yaml"

	"waymark.dev/waymark/diag"
)

// asides collects what is left alone, for one line of each kind.
type asides struct {
	kinds   map[string]int        // documents of kinds that Waymark does not read, by kind
	reasons map[string]*asideFile // documents that only another program can read, by what they are
}

type asideFile struct {
	first string // file
	files map[string]bool
	ours  bool // one of them names a resource that Waymark reads
	way   func(file string) string
}

// form is a form of documents that another program must make into resources first.
type form struct {
	name    string // "a Helm template"
	pattern *regexp.Regexp
	way     func(file string) string // what to do
}

// forms are looked for in this order.
var forms = []form{
	{"a Helm template", regexp.MustCompile(`\{\{-?\s*(/\*|\.[A-Za-z]|\$|\(|(include|template|define|block|if|else|end|range|with|tpl|toYaml|printf|default|quote|required|lookup)\b)[^{}\n]*\}\}|\{\{-?\s*/\*`), func(file string) string {
		return "run helm template NAME " + chartOf(file) + " | waymark check -f -"
	}},
	{"a Jinja template", regexp.MustCompile(`\{%-?\s*[a-z]+|\{\{\s*[A-Za-z_][^{}\n]*\}\}`), func(string) string {
		return "let the program that it is written for, such as Ansible, fill it in"
	}},
}

// anyTemplate matches what no YAML has. It is looked for only in what is not YAML, since a text may have it.
var anyTemplate = regexp.MustCompile(`\{\{[^{}]+\}\}`)

var anyTemplateForm = form{name: "a template", way: func(string) string {
	return "let the program that it is written for, such as helm template, fill it in"
}}

// chartOf is the folder of the chart that has a template.
func chartOf(file string) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "templates" {
			return filepath.Dir(dir)
		}
		if dir == filepath.Dir(dir) {
			return "CHART"
		}
	}
}

// sopsValue is how SOPS writes a value.
var sopsValue = []byte("ENC[AES256_GCM,")

var sopsForm = form{name: "encrypted with SOPS", way: func(file string) string {
	return "run sops -d " + file + " | waymark check -f -"
}}

var commentedForm = form{name: "JSON with comments", way: func(string) string {
	return "take the comments out, or give the file a name that ends with .yaml and write the comments with #"
}}

var patchForm = form{name: "a patch of a kustomization", way: func(file string) string {
	return "run kustomize build " + kustomizationOf(file) + " | waymark check -f -"
}}

// kustomizationOf is the nearest folder above a file that has a kustomization, or the word FOLDER.
func kustomizationOf(file string) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		for _, name := range kustomizationFiles {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return dir
			}
		}
		if dir == filepath.Dir(dir) {
			return "FOLDER"
		}
	}
}

// patchDirective matches what only a strategic merge patch has, such as $patch: delete.
var patchDirective = regexp.MustCompile(`"\$(patch|retainKeys|setElementOrder/[^"]*|deleteFromPrimitiveList/[^"]*)"\s*:`)

var kustomizationForm = form{name: "a kustomization, which is not applied", way: func(file string) string {
	return "run kustomize build FOLDER | waymark check -f -, with the folder that you deploy, such as " + filepath.Dir(file)
}}

// mayBeJSON reports whether a text is written as JSON, by the name of its file, or by a comment of JSON before all else.
func mayBeJSON(file, text string) bool {
	text = strings.TrimSpace(text)
	return slices.Contains([]string{".json", ".jsonc"}, filepath.Ext(file)) || strings.HasPrefix(text, "//") || strings.HasPrefix(text, "/*")
}

// jsonComment is a comment or a trailing comma where JSON has none.
var jsonComment = regexp.MustCompile(`(?m)(^|[\s,{}\[\]])(//|/\*)|,\s*[}\]]`)

// templateOf returns the form of a template that a text is; nil where it is none.
func templateOf(text string) *form {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") {
		return nil
	}
	for i := range forms {
		if forms[i].pattern.MatchString(text) {
			return &forms[i]
		}
	}
	return nil
}

// nameKeys are the fields of a spec that hold a host or a name.
var nameKeys = []string{"host", "hosts", "gateways", "credentialName"}

// templateOfName returns the form of a template that a document is by its name, its namespace, or a host or a name in its
// spec; nil where it is none. Any other text may have {{ }}, such as the body of a response.
func templateOfName(b *body, metadata *body) *form {
	f := templateOf(string(b.json))
	if f == nil {
		return nil
	}
	var in func(value any, isName bool) bool
	in = func(value any, isName bool) bool {
		switch value := value.(type) {
		case string:
			return isName && templateOf(value) != nil
		case []any:
			return slices.ContainsFunc(value, func(item any) bool { return in(item, isName) })
		case map[string]any:
			for key, v := range value {
				if in(v, slices.Contains(nameKeys, key)) {
					return true
				}
			}
		}
		return false
	}
	if in(metadata.text("name"), true) || in(metadata.text("namespace"), true) || in(decoded(b.members["spec"]), false) {
		return f
	}
	return nil
}

// unfilledIn is the first placeholder of a text, or else the first expression of a template; "" for none.
func unfilledIn(text string) string {
	if at := firstPlaceholder(text); at != "" {
		return at
	}
	f := templateOf(text)
	if f == nil {
		return ""
	}
	at := f.pattern.FindStringIndex(text)
	expression, _, _ := strings.Cut(text[at[0]:], "\n")
	end := "}}"
	if strings.HasPrefix(expression, "{%") {
		end = "%}"
	}
	if before, _, ok := strings.Cut(expression, end); ok {
		return before + end
	}
	return text[at[0]:at[1]]
}

// placeholder matches what another program replaces by a value: ${NAME} and ${NAME:-default} of envsubst and Flux, $(NAME)
// of kustomize and Make, and <%= of ERB.
var placeholder = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*(:?[-=?+][^}\n\r\x{85}\x{2028}\x{2029}]*)?\}|\$\([A-Za-z_][A-Za-z0-9_.-]*\)|<%[^%\n\r\x{85}\x{2028}\x{2029}]*%>`)

// placeholderIn is the first placeholder of a document as JSON, in which < and > may be escaped; "" for none.
func placeholderIn(document []byte) string {
	if bytes.Contains(document, []byte(`\u003c%`)) {
		document = bytes.ReplaceAll(bytes.ReplaceAll(document, []byte(`\u003c`), []byte("<")), []byte(`\u003e`), []byte(">"))
	}
	return firstPlaceholder(string(document))
}

// firstPlaceholder is the first placeholder of a text; "" for none.
func firstPlaceholder(text string) string {
	if !strings.Contains(text, "${") && !strings.Contains(text, "$(") && !strings.Contains(text, "<%") {
		return "" // found much faster than by the pattern
	}
	return placeholder.FindString(text)
}

// placeholderLine matches a line that has a placeholder and nothing else, for which there may be any number of lines.
var placeholderLine = regexp.MustCompile(`(?m)^([ \t]*)(?:` + placeholder.String() + `)[ \t\r]*$`)

// filled is a text with a word in place of each placeholder, and a comment in place of one that is alone on its line.
// Every character has the line and column that it had before.
func filled(text string) string {
	word := func(s string) string {
		return strings.Map(func(c rune) rune {
			if strings.ContainsRune(" \t\r\n\u0085\u2028\u2029", c) {
				return c
			}
			return 'x'
		}, s)
	}
	text = placeholderLine.ReplaceAllStringFunc(text, func(line string) string { return strings.Replace(word(line), "x", "#", 1) })
	return placeholder.ReplaceAllStringFunc(text, word)
}

// jsonFilled is a text of JSON with a number in place of each placeholder and template. Every byte has the position that it
// had before.
func jsonFilled(text string) string {
	number := func(s string) string { return "1" + strings.Repeat(" ", len(s)-1) }
	return anyTemplate.ReplaceAllStringFunc(placeholder.ReplaceAllStringFunc(text, number), number)
}

// PlaceholderCode is the code of a document that cannot be used because a placeholder in it was not replaced.
const PlaceholderCode = "VAL-ANY-08"

// mostShown is the longest placeholder that is shown with its default, in bytes.
const mostShown = 60

// Unfilled is the message about a document of a file that cannot be used because a placeholder in it was not replaced.
func Unfilled(placeholder, file string) string {
	if file == "-" {
		file = "FILE"
	}
	if len(placeholder) > mostShown && !strings.HasPrefix(placeholder, "{") {
		placeholder = withoutValue(placeholder)
	}
	way := "run envsubst < " + file + " | waymark check -f -, or build it with the program that fills it in"
	switch {
	case strings.HasPrefix(placeholder, "<%"):
		way = "run erb " + file + " | waymark check -f -, or build it with the program that fills it in"
	case strings.HasPrefix(placeholder, "{"):
		way = anyTemplateForm.way(file)
		if f := templateOf(placeholder); f != nil {
			way = f.way(file)
		}
		if len(placeholder) > mostShown {
			placeholder = withoutValue(placeholder)
		}
	case strings.HasPrefix(placeholder, "$("):
		way = "build it with the program that fills it in, such as kustomize build FOLDER | waymark check -f -"
	}
	return "left aside: it has the placeholder " + placeholder + "; " + way
}

// withoutValue is a placeholder without what may be a secret: its default, or an expression.
func withoutValue(placeholder string) string {
	if strings.HasPrefix(placeholder, "<%") {
		return "<%= %>"
	}
	if strings.HasPrefix(placeholder, "{") {
		return placeholder[:2] + " " + placeholder[len(placeholder)-2:]
	}
	name, _, _ := strings.Cut(strings.TrimSuffix(placeholder, "}"), ":")
	if i := strings.IndexAny(name, "-=?+"); i >= 0 {
		name = name[:i]
	}
	if strings.HasPrefix(name, "${") {
		name += "}"
	}
	return name
}

// ours matches a document of a kind that Waymark reads, in YAML or JSON, even if it cannot be parsed.
var ours = regexp.MustCompile(`networking\.istio\.io/`)

// addForm records a document that is left aside.
func (a *asides) addForm(f form, s *source) {
	if a.reasons[f.name] == nil {
		if a.reasons == nil {
			a.reasons = map[string]*asideFile{}
		}
		a.reasons[f.name] = &asideFile{first: s.file, files: map[string]bool{}, way: f.way}
	}
	entry := a.reasons[f.name]
	isOurs := s.namesIstio()
	if isOurs && !entry.ours {
		entry.first = s.file
	}
	entry.files[s.file] = true
	entry.ours = entry.ours || isOurs
}

// addObject records a kind that is left aside. A kind with the name of one that Waymark reads has its group beside it,
// such as the Service of Knative.
func (a *asides) addObject(version, kind string) {
	if !isName.MatchString(kind) {
		a.addKind(noKind)
		return
	}
	group := groupOf(version)
	if !isName.MatchString(strings.NewReplacer(".", "", "-", "").Replace(group)) {
		group = ""
	}
	for key := range kinds {
		if group != "" && strings.HasSuffix(key, "/"+kind) {
			kind += " (" + group + ")"
			break
		}
	}
	a.addKind(kind)
}

// isName matches what can be a kind. Other texts of a user are in no message.
var isName = regexp.MustCompile(`^[A-Za-z0-9]{1,100}$`)

// noKind stands for the kind of documents that have none.
const noKind = "document without apiVersion and kind"

func (a *asides) addKind(kind string) {
	if a.kinds == nil {
		a.kinds = map[string]int{}
	}
	a.kinds[kind]++
}

// report adds a line for each form, and one for all other kinds.
func (a *asides) report(findings *diag.Findings, strict bool) {
	for _, name := range slices.Sorted(maps.Keys(a.reasons)) {
		entry := a.reasons[name]
		severity := diag.Notice
		if entry.ours {
			severity = diag.Warning
		}
		also := ""
		if n := len(entry.files) - 1; n > 0 {
			also = fmt.Sprintf(", and so are %d more files", n)
			if n == 1 {
				also = ", and so is one more file"
			}
		}
		findings.AddAt(diag.Place{File: entry.first}, severity.Strict(strict), "", nil, "", "left aside: this is %s%s; %s", name, also, entry.way(entry.first))
	}
	if len(a.kinds) == 0 {
		return
	}
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(a.kinds)) {
		all = append(all, fmt.Sprintf("%d %s", a.kinds[kind], plural(kind, a.kinds[kind])))
	}
	findings.AddAt(diag.Place{}, diag.Notice.Strict(strict), "", nil, "", "left aside: %s", strings.Join(all, ", "))
}

func plural(kind string, n int) string {
	switch {
	case n == 1:
		return kind
	case strings.HasSuffix(kind, ")"):
		name, group, _ := strings.Cut(kind, " ")
		return plural(name, n) + " " + group
	case kind == noKind:
		return strings.Replace(kind, "document", "documents", 1)
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ay"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	default:
		return kind + "s"
	}
}

// CodePolicy is the code of an object that changes who may come in or what a proxy does, and that is not applied.
const CodePolicy = "WM0206"

// policies are kinds that change who may come in or what a proxy does, and that Waymark does not apply, with what is
// missing without them.
var policies = map[string]string{
	"security.istio.io/AuthorizationPolicy":   "requests that it denies are let in",
	"security.istio.io/RequestAuthentication": "tokens are not checked",
	"security.istio.io/PeerAuthentication":    "mutual TLS is not required",
	"networking.istio.io/EnvoyFilter":         "what it changes in Envoy's configuration is not changed",
	"networking.istio.io/Sidecar":             "services that it hides are visible",
	"extensions.istio.io/WasmPlugin":          "its module is not loaded",
	"telemetry.istio.io/Telemetry":            "metrics, access logs and traces are Envoy's own",
}

// otherIstioKinds are kinds of networking.istio.io that exist and are not read.
var otherIstioKinds = []string{"EnvoyFilter", "Sidecar", "WorkloadGroup", "ProxyConfig"}

// isKustomize reports whether a version is of a kustomization.
func isKustomize(version string) bool { return groupOf(version) == "kustomize.config.k8s.io" }

// kustomizationFiles are the names that kustomize looks for.
var kustomizationFiles = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// patchesOf returns the files, by their real path, that the kustomizations among some files name as patches, which are
// parts of resources and not resources.
func patchesOf(files []string) map[string]bool {
	out := map[string]bool{}
	for _, file := range files {
		if !slices.Contains(kustomizationFiles, filepath.Base(file)) {
			continue
		}
		data, err := ReadFile(file)
		if err != nil {
			continue // reading it reports that
		}
		type patch struct{ Path string }
		var k struct {
			Patches               []patch
			PatchesJSON6902       []patch `json:"patchesJson6902"`
			PatchesStrategicMerge []string
			Replacements          []patch
			Configurations        []string
		}
		if kyaml.Unmarshal(data, &k) != nil {
			continue
		}
		all := slices.Concat(k.PatchesStrategicMerge, k.Configurations)
		for _, p := range slices.Concat(k.Patches, k.PatchesJSON6902, k.Replacements) {
			all = append(all, p.Path)
		}
		for _, p := range all {
			if p != "" && !strings.Contains(p, "\n") {
				out[realPath(filepath.Join(filepath.Dir(file), p))] = true
			}
		}
	}
	return out
}
