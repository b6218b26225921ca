package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"

	"waymark.dev/waymark/diag"
)

// Input is the result of reading files.
type Input struct {
	// Set has the objects that could be decoded.
	Set *Set
	// Objects are all Istio resources in the order of the files, including those that could not be decoded.
	Objects []*Object
	// Texts are the contents of the files, for excerpts. The lines of Secrets are hidden.
	Texts diag.Texts
	// Findings are errors for what cannot be read or decoded, and notices for what was left aside.
	Findings diag.Findings
	// Strict is that of the options.
	Strict bool
	// Broken are the files that could not be read completely, so that it is not known which objects are missing.
	Broken []string
}

// Of returns an input with typed objects that were not read from files. It has no texts and no findings.
func Of(set *Set) *Input {
	in := &Input{Set: set}
	for _, gw := range set.Gateways {
		in.Objects = append(in.Objects, gw.Object)
	}
	for _, vs := range set.VirtualServices {
		in.Objects = append(in.Objects, vs.Object)
	}
	for _, dr := range set.DestinationRules {
		in.Objects = append(in.Objects, dr.Object)
	}
	for _, se := range set.ServiceEntries {
		in.Objects = append(in.Objects, se.Object)
	}
	for _, we := range set.WorkloadEntries {
		in.Objects = append(in.Objects, we.Object)
	}
	return in
}

// Options say how to read.
type Options struct {
	// Stdin is what "-" stands for. Default: nothing.
	Stdin io.Reader
	// DefaultNamespace is that of documents without one. Default: "default".
	DefaultNamespace string
	// Strict makes everything an error that is left out or left aside.
	Strict bool
	// AllowRemote lets paths be addresses that begin with http:// or https://.
	AllowRemote bool
	// Progress is called before each file is read, and again after each MiB of it, with its name and about how many bytes
	// of all files were read before. Default: nothing.
	Progress func(file string, bytes int64)
}

// Read reads the resources in files and folders, as [Files] finds them; "-" is standard input. Documents of other kinds are
// left aside with a notice for each kind; all that cannot be read or decoded is reported in [Input.Findings]. It does
// not validate. If nothing of the kinds that Waymark reads is there, that is an error.
//
// A document means what it means in a cluster: YAML is converted with the library of Kubernetes, and held against the
// schema that the API server has.
func Read(paths []string, o Options) *Input {
	if o.DefaultNamespace == "" {
		o.DefaultNamespace = "default"
	}
	r := &reader{options: o, input: &Input{Set: &Set{}, Strict: o.Strict}, trees: newTrees()}
	for _, path := range paths {
		before := r.ours
		r.path(path)
		if r.ours == before && len(paths) > 1 {
			r.input.Findings.AddAt(diag.Place{File: path}, diag.Warning, "", nil, "", "nothing in it is a resource that Waymark reads")
		}
	}
	r.asides.report(&r.input.Findings, o.Strict)
	if r.ours == 0 && !r.input.Findings.HasErrors() {
		r.input.Findings.AddAt(diag.Place{File: strings.Join(paths, ", ")}, diag.Error, "", nil, "",
			"nothing here is a resource that Waymark reads (Gateway, VirtualService, DestinationRule, ServiceEntry, WorkloadEntry, Service, EndpointSlice, Secret)")
	}
	return r.input
}

// text reads the documents of a file; real is its path without links.
func (r *reader) text(file, real, text string) {
	r.input.Texts.Add(file, text)
	switch base := filepath.Base(file); {
	case r.patches[real]:
		r.asides.addForm(patchForm, &source{file: file, text: text})
		return
	case slices.Contains(kustomizationFiles, base):
		r.asides.addForm(kustomizationForm, &source{file: file, text: text})
		return
	case mayBeJSON(file, text) && jsonComment.MatchString(text) && !json.Valid([]byte(text)):
		if values := jsonValues(&source{text: text}); len(values) == 0 || slices.ContainsFunc(values, func(s *source) bool { return s.broken }) {
			r.form(commentedForm, &source{file: file, text: text})
			return
		}
	}
	at := r.at
	for _, s := range split(file, text, r.trees) {
		r.source(s)
		at += int64(len(s.text))
		r.reached(at)
	}
}

// source reads the objects of one document of a file.
func (r *reader) source(s *source) {
	if r.skip(s) {
		return
	}
	at := r.at
	if values := jsonValues(s); len(values) > 0 {
		for _, value := range values {
			if value.broken {
				r.broken(value, r.notJSON(value))
			} else {
				r.value([]byte(value.text), &document{source: value}, "", "")
			}
			if at += int64(len(value.text)); len(values) > 1 {
				r.reached(at)
			}
		}
		return
	}
	if list, items, ok := listItems(s); ok {
		for _, item := range items {
			if !r.skip(item) {
				r.yaml(item, strings.TrimSuffix(list, "List"))
			}
			at += int64(len(item.text))
			r.reached(at)
		}
		return
	}
	r.yaml(s, "")
}

// skip leaves a document aside whose kind can be seen without parsing it.
func (r *reader) skip(s *source) bool {
	version, kind := headOf(s.text)
	if version == "" || kind == "" || strings.HasSuffix(kind, "List") || strings.Contains(s.text, "{{") || strings.Contains(s.text, "{%") {
		return false
	}
	key := groupOf(version) + "/" + kind
	if _, ok := kinds[key]; ok || policies[key] != "" || groupOf(version) == "networking.istio.io" || misspelt(kind) != "" || wrongGroup(version, kind) != "" || misspeltCore(version, kind) != "" || isKustomize(version) {
		return false
	}
	r.asides.addObject(version, kind)
	return true
}

// yaml reads a document in YAML. itemKind is the kind of an item of a list that does not say its own.
func (r *reader) yaml(s *source, itemKind string) {
	text, twice, err := r.converter.json(s)
	var more *moreError
	if errors.As(err, &more) && !anyTemplate.MatchString(s.text[:more.at]) {
		lines := newLineCounter(s.text)
		first, rest := s.part(0, more.at, lines), s.part(more.at, len(s.text), lines)
		first.single = true
		r.yaml(first, itemKind)
		r.broken(rest, newNotJSON(rest, 0))
		return
	}
	if err != nil {
		r.broken(s, err)
		return
	}
	r.twice = twice
	r.value(text, &document{source: s}, itemKind, "")
	r.twice = false
}

// notJSON is what is wrong with the part of a stream of JSON values that is not one.
func (r *reader) notJSON(s *source) error {
	if !isJSONBegin(s.text[0]) {
		return newNotJSON(s, 0)
	}
	_, _, err := r.converter.json(s)
	if err != nil && !errors.As(err, new(*moreError)) {
		return err
	}
	at := 0
	var invalid *json.SyntaxError
	if errors.As(json.Unmarshal([]byte(s.text), new(json.RawMessage)), &invalid) {
		at = int(invalid.Offset) - 1
	}
	out := newNotJSON(s, at)
	out.message = "this is not JSON, unlike the document before it; write a line of --- between documents"
	return out
}

// form leaves a document aside that another program must make into resources. The resources of its file are missing.
func (r *reader) form(f form, s *source) {
	r.asides.addForm(f, s)
	if s.namesIstio() {
		r.input.Broken = append(r.input.Broken, s.file)
	}
}

// broken reports a document that is not YAML. One that names no kind that Waymark reads is left aside.
func (r *reader) broken(s *source, err error) {
	if s.mayBeSecret() {
		r.input.Texts.Hide(s.file, s.line, s.line+diag.CountLines(s.text)-1)
	}
	if template := templateOf(s.text); template != nil {
		r.form(*template, s)
		return
	}
	if anyTemplate.MatchString(s.text) {
		r.form(anyTemplateForm, s)
		return
	}
	if at := placeholder.FindStringIndex(s.text); at != nil {
		words := *s
		words.text = filled(s.text)
		if _, _, err = r.converter.json(&words); err == nil {
			r.unfilled(s, at[0], s.text[at[0]:at[1]])
			return
		}
	}
	message := err.Error()
	if s.mayBeSecret() {
		message = withoutQuotes(message)
	}
	place := diag.Place{File: s.file, Line: s.line, Column: 1}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		place = syntax.place
	}
	if r.isMissing(s) {
		r.input.Findings.AddAt(place, diag.Error, "", nil, "", "%s", message)
		return
	}
	r.input.Findings.AddAt(place, r.lost(), "", nil, "", "%s; left aside, since it names no resource of networking.istio.io", message)
}

// isMissing records that a document cannot be read, if its kind is one of Istio's.
func (r *reader) isMissing(s *source) bool {
	if !s.namesIstio() {
		return false
	}
	r.ours++
	r.input.Broken = append(r.input.Broken, s.file)
	return true
}

// unfilled leaves a document aside that is YAML only once its placeholders are replaced.
func (r *reader) unfilled(s *source, at int, placeholder string) {
	r.isMissing(s)
	if s.mayBeSecret() {
		placeholder = withoutValue(placeholder)
	}
	place := s.placeOf(newLineCounter(s.text).at(at), columnAt(s.text, at))
	r.input.Findings.AddAt(place, r.lost(), PlaceholderCode, nil, "", "%s", Unfilled(placeholder, s.file))
}

// lost is the severity of what is left out because it is broken, and does no harm unless something needs it.
func (r *reader) lost() diag.Severity { return diag.Warning.Strict(r.options.Strict) }

// maxLists is how deep lists may be in each other.
const maxLists = 8

// value reads the objects of a JSON value: an object, or those of a list.
func (r *reader) value(text []byte, doc *document, itemKind, itemVersion string) {
	var list []json.RawMessage
	if bytes.HasPrefix(text, []byte("[")) && json.Unmarshal(text, &list) == nil {
		if isPatch(list) {
			r.asides.addForm(patchForm, doc.source)
			return
		}
		r.items(list, doc, doc.field, itemKind, itemVersion)
		return
	}
	b := newBody(text)
	if b.members == nil {
		if string(text) != "null" {
			r.asides.addKind(noKind)
		}
		return
	}
	version, kind := b.text("apiVersion"), b.text("kind")
	if kind == "" {
		kind = itemKind
	}
	if version == "" && itemVersion != "v1" { // a List of version v1 has items of any
		version = itemVersion
	}
	if raw, ok := b.members["items"]; ok && json.Unmarshal(raw, &list) == nil && list != nil {
		field := "items"
		if doc.field != "" {
			field = doc.field + ".items"
		}
		r.items(list, doc, field, strings.TrimSuffix(kind, "List"), version)
		return
	}
	r.object(b, doc, version, kind)
}

func (r *reader) items(list []json.RawMessage, doc *document, field, kind, version string) {
	if strings.Count(field, "items") > maxLists {
		r.input.Findings.AddAt(doc.at(""), r.lost(), "", nil, "", "there are more than %d lists in each other", maxLists)
		return
	}
	for i, item := range list {
		r.value(item, &document{doc.source, field + "[" + strconv.Itoa(i) + "]"}, kind, version)
		if strings.Count(field, "items") <= 1 { // the lists in it are parts of an item
			r.reached(r.at + int64(len(item)))
		}
	}
}

// isPatch reports whether a list is a JSON patch.
func isPatch(list []json.RawMessage) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(item json.RawMessage) bool {
		b := newBody(item)
		return b.text("op") == "" || b.text("path") == ""
	})
}

// object decodes one object, and appends it to the list of its kind.
func (r *reader) object(b *body, doc *document, version, kindName string) {
	o := &Object{Kind: kindName, document: doc, Created: defaultCreated}
	metadata := newBody(b.members["metadata"])
	o.Name, o.Namespace = metadata.text("name"), metadata.text("namespace")
	key := groupOf(version) + "/" + kindName
	if strings.HasPrefix(strings.ToLower(kindName), "secret") || strings.Contains(misspeltCore(version, kindName), `"Secret"`) { // also if it cannot be decoded
		first, last := doc.lines()
		r.input.Texts.Hide(doc.source.file, first, last)
	}
	findings := &r.input.Findings
	kind, known := kinds[key]
	switch {
	case b.members["sops"] != nil && bytes.Contains(b.json, sopsValue):
		r.form(sopsForm, doc.source)
		return
	case isKustomize(version):
		r.asides.addForm(kustomizationForm, doc.source)
		return
	case !known || !kind.versions[version]:
		r.other(o, version, b)
		return
	case patchDirective.Match(b.json):
		r.asides.addForm(patchForm, doc.source)
		return
	}
	if kind.isIstio {
		if template := templateOfName(b, metadata); template != nil {
			r.form(*template, doc.source)
			return
		}
	}
	r.ours++
	if o.Namespace == "" && !kind.clusterScoped {
		o.Namespace = r.options.DefaultNamespace
	}
	if kind.isIstio {
		r.input.Objects = append(r.input.Objects, o)
		if o.Placeholder = placeholderIn(b.json); o.Placeholder == "" {
			o.Placeholder = unfilledIn(string(b.json))
		}
	}
	if r.twice {
		doc.reportTwice(o, findings)
	}
	r.decode(kind, o, b)
}

// decode reads the metadata of an object, and appends it to the list of its kind, or to the refused ones.
func (r *reader) decode(k kind, o *Object, b *body) {
	o.readMeta(b, &r.input.Findings, k.severity(r))
	if k.isIstio {
		o.checkName(&r.input.Findings)
	}
	k.add(r, o, b)
}

// other reports an object of a kind that Waymark does not read.
func (r *reader) other(o *Object, version string, b *body) {
	findings := &r.input.Findings
	group := groupOf(version)
	if missing, ok := policies[group+"/"+o.Kind]; ok {
		if o.Namespace == "" {
			o.Namespace = r.options.DefaultNamespace
		}
		findings.Add(diag.Warning, CodePolicy, o, "", "is not applied: %s", missing)
		if spec := (&security.AuthorizationPolicy{}); o.Kind == "AuthorizationPolicy" && unmarshalSpec(b.member("spec"), spec, true) == nil {
			r.input.Set.AuthorizationPolicies = append(r.input.Set.AuthorizationPolicies, &AuthorizationPolicy{o, spec})
		}
		return
	}
	near := misspelt(o.Kind)
	switch {
	case group == "networking.istio.io" && kinds[group+"/"+o.Kind].add != nil:
		findings.Add(diag.Error, "", o, "apiVersion", "%q is not a version of %s; Istio has networking.istio.io/v1, v1beta1 and v1alpha3", version, o.Kind)
	case group == "networking.istio.io" && !slices.Contains(otherIstioKinds, o.Kind):
		findings.Add(diag.Error, "", o, "kind", "networking.istio.io has no kind %q%s", o.Kind, near)
	case wrongGroup(version, o.Kind) != "":
		findings.Add(diag.Error, "", o, "apiVersion", "there is no %s in %q; did you mean %q?", o.Kind, version, wrongGroup(version, o.Kind))
	case misspeltCore(version, o.Kind) != "":
		findings.Add(r.lost(), "", o, "kind", "there is no %s in %s%s; the object is left out", o.Kind, version, misspeltCore(version, o.Kind))
	case near != "" && strings.Contains(group, "istio"):
		findings.Add(diag.Error, "", o, "apiVersion", "there is no %s in %q; Istio's kinds are in networking.istio.io/v1%s", o.Kind, version, near)
	case o.Kind == "":
		r.asides.addKind(noKind)
	default:
		r.asides.addObject(version, o.Kind)
	}
}

// misspelt returns a suggestion for a kind that is nearly one of Istio's that Waymark reads, or "".
func misspelt(kind string) string {
	return DidYouMean(kind, []string{"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "WorkloadEntry"})
}

// wrongGroup returns the apiVersion that is meant with an Istio kind in a group that does not exist: one that is nearly
// networking.istio.io, or none. It is "" for any other object, such as a Gateway of another API.
func wrongGroup(version, kind string) string {
	if kinds["networking.istio.io/"+kind].add == nil {
		return ""
	}
	const group, right = "networking.istio.io", "networking.istio.io/v1"
	switch name, _, ok := strings.Cut(version, "/"); {
	case !ok, strings.TrimSpace(name) == "", strings.EqualFold(name, "istio.io"), strings.EqualFold(name, "network.istio.io"):
		return right
	case name != group && DidYouMean(name, []string{group}) != "":
		return right
	}
	return ""
}

// misspeltCore returns a suggestion for a kind that is nearly one of Kubernetes itself that Waymark reads, or "".
func misspeltCore(version, kind string) string {
	var all []string
	switch {
	case slices.Contains(coreKinds, kind):
	case version == "v1":
		all = []string{"Service", "Secret", "Pod", "Namespace"}
	case version == "discovery.k8s.io/v1":
		all = []string{"EndpointSlice"}
	}
	return DidYouMean(kind, all)
}

// coreKinds are the kinds of Kubernetes itself of version v1, and the lists of those that Waymark reads.
var coreKinds = []string{
	"Binding", "ComponentStatus", "ConfigMap", "Endpoints", "Event", "LimitRange", "List", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim", "Pod",
	"PodTemplate", "ReplicationController", "ResourceQuota", "Secret", "Service", "ServiceAccount", "EndpointSlice",
	"EndpointSliceList", "NamespaceList", "PodList", "SecretList", "ServiceList",
}

// headOf returns apiVersion and kind of a document in block style, "" where they cannot be seen without parsing.
func headOf(text string) (version, kind string) {
	version, kind = onlyValue(text, "apiVersion:", versionLine), onlyValue(text, "kind:", kindLine)
	if version == "" || kind == "" {
		return "", ""
	}
	return version, kind
}

// onlyValue returns what a pattern captures in the only line of a text that it matches, "" if there is none or a second
// one. Only lines with the key, which is a part of the pattern, are compared with it.
func onlyValue(text, key string, pattern *regexp.Regexp) (value string) {
	for {
		at := strings.Index(text, key)
		if at < 0 {
			return value
		}
		line := text[strings.LastIndexByte(text[:at], '\n')+1:]
		line, text, _ = strings.Cut(line, "\n")
		if found := pattern.FindStringSubmatch(line); found != nil {
			if value != "" {
				return ""
			}
			value = found[1]
		}
	}
}

var (
	versionLine = regexp.MustCompile(`^(?:- |  )?apiVersion: *["']?([^\s"'#]+)["']?[ \t\r]*$`)
	kindLine    = regexp.MustCompile(`^(?:- |  )?kind: *["']?([A-Za-z]+)["']?[ \t\r]*$`)
)

func groupOf(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// kind describes how documents of one kind are read.
type kind struct {
	versions      map[string]bool
	clusterScoped bool
	isIstio       bool
	// add decodes the document, and appends the object if it can be decoded.
	add func(r *reader, o *Object, b *body)
}

// severity is that of findings for which an object is not used.
func (k kind) severity(r *reader) diag.Severity {
	if k.isIstio {
		return diag.Error
	}
	return r.lost()
}

var istioVersions = map[string]bool{"networking.istio.io/v1": true, "networking.istio.io/v1beta1": true, "networking.istio.io/v1alpha3": true}

var kinds = map[string]kind{
	"networking.istio.io/Gateway": istioKind(func(r *Set, o *Object, s *istio.Gateway) {
		r.Gateways = append(r.Gateways, &Gateway{o, s})
	}),
	"networking.istio.io/VirtualService": istioKind(func(r *Set, o *Object, s *istio.VirtualService) {
		r.VirtualServices = append(r.VirtualServices, &VirtualService{o, s})
	}),
	"networking.istio.io/DestinationRule": istioKind(func(r *Set, o *Object, s *istio.DestinationRule) {
		r.DestinationRules = append(r.DestinationRules, &DestinationRule{o, s})
	}),
	"networking.istio.io/ServiceEntry": istioKind(func(r *Set, o *Object, s *istio.ServiceEntry) {
		r.ServiceEntries = append(r.ServiceEntries, &ServiceEntry{o, s})
	}),
	"networking.istio.io/WorkloadEntry": istioKind(func(r *Set, o *Object, s *istio.WorkloadEntry) {
		r.WorkloadEntries = append(r.WorkloadEntries, &WorkloadEntry{o, s})
	}),
	"/Secret": kubernetesKind("v1", false, func(r *Set, o *Object, s *core.Secret) {
		for key, value := range s.StringData {
			if s.Data == nil {
				s.Data = map[string][]byte{}
			}
			s.Data[key] = []byte(value)
		}
		r.Secrets = append(r.Secrets, &Secret{o, s.Data})
	}),
	"/Service": kubernetesKind("v1", false, func(r *Set, o *Object, s *core.Service) {
		r.Services = append(r.Services, &Service{o, s.Spec})
	}),
	"/Namespace": kubernetesKind("v1", true, func(r *Set, o *Object, _ *core.Namespace) {
		r.Namespaces = append(r.Namespaces, o)
	}),
	"discovery.k8s.io/EndpointSlice": kubernetesKind("discovery.k8s.io/v1", false, func(r *Set, o *Object, s *discovery.EndpointSlice) {
		r.EndpointSlices = append(r.EndpointSlices, &EndpointSlice{o, s.Ports, s.Endpoints})
	}),
	"/Pod": kubernetesKind("v1", false, func(r *Set, o *Object, s *core.Pod) {
		r.Pods = append(r.Pods, &Pod{o, s.Spec, s.Status, s.DeletionTimestamp != nil})
	}),
}

// kubernetesKind is a kind of Kubernetes itself, of one version. An object that cannot be decoded is recorded as refused.
func kubernetesKind[T any](version string, clusterScoped bool, add func(*Set, *Object, *T)) kind {
	return kind{versions: map[string]bool{version: true}, clusterScoped: clusterScoped,
		add: func(r *reader, o *Object, b *body) {
			var object T
			if o.Name != "" && r.strict(o, b.json, &object) && !r.unfit(o, &object) {
				add(r.input.Set, o, &object)
			} else {
				r.input.Set.Refused = append(r.input.Set.Refused, Refused{Object: o})
			}
		}}
}
