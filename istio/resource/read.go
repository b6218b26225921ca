package resource

import (
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	istio "istio.io/api/networking/v1alpha3"
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
	// Findings are errors for what cannot be read or decoded, and notices for what was skipped.
	Findings diag.Findings
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

// Read reads the resources in files and folders; "-" is stdin. Documents of other kinds are skipped with a notice; all
// that cannot be read or decoded is reported in [Input.Findings]. It does not validate.
func Read(paths []string, stdin io.Reader) *Input {
	in := &Input{Set: &Set{}}
	r := &reader{stdin: stdin, input: in}
	docs := r.documents(paths)
	for _, doc := range docs {
		r.add(doc)
	}
	return in
}

// add decodes one document, and appends the object to the list of its kind.
func (r *reader) add(doc *document) {
	text := func(key string) string {
		if n := child(doc.root, key); n != nil && n.Kind == yaml.ScalarNode {
			return n.Value
		}
		return ""
	}
	o := &Object{Kind: text("kind"), document: doc, Created: defaultCreated}
	if n := child(doc.root, "metadata"); n != nil {
		if name := child(n, "name"); name != nil {
			o.Name = name.Value
		}
		if namespace := child(n, "namespace"); namespace != nil {
			o.Namespace = namespace.Value
		}
	}
	if o.Kind == "Secret" { // also if it cannot be decoded
		r.input.Texts.Hide(doc.file, doc.root.Line, lastLine(doc.root))
	}
	findings := &r.input.Findings
	apiVersion := text("apiVersion")
	kind, known := kinds[groupOf(apiVersion)+"/"+o.Kind]
	if !known || !kind.versions[apiVersion] {
		what := strings.TrimSpace(apiVersion + " " + o.Kind)
		if what == "" {
			what = "a document without apiVersion and kind"
		}
		findings.Add(diag.Notice, "", o, "", "%s is not a resource that Waymark reads; skipped", what)
		return
	}
	if o.Namespace == "" && !kind.clusterScoped {
		o.Namespace = "default"
	}
	if kind.isIstio {
		r.input.Objects = append(r.input.Objects, o)
	}
	json, err := r.unfolder.JSON(doc.root)
	if err != nil {
		findings.Add(diag.Error, "VAL-ANY-04", o, "", "%s", err)
		return
	}
	b := newBody(json)
	before := len(*findings)
	o.readMeta(kind.clusterScoped, b, findings)
	kind.add(r.input.Set, o, b, findings, len(*findings) > before)
}

// lastLine is the number of the last line of a node.
func lastLine(n *yaml.Node) int {
	last := n.Line + diag.CountLines(n.Value) - 1
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

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
	// add decodes the document, and appends the object if it can be decoded. broken means that its metadata had errors,
	// with which an object of a Kubernetes kind is not appended.
	add func(r *Set, o *Object, b *body, findings *diag.Findings, broken bool)
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

// kubernetesKind is a kind of Kubernetes itself, of one version. An object with any error is not added to the set.
func kubernetesKind[T any](version string, clusterScoped bool, add func(*Set, *Object, *T)) kind {
	return kind{versions: map[string]bool{version: true}, clusterScoped: clusterScoped,
		add: func(r *Set, o *Object, b *body, findings *diag.Findings, broken bool) {
			var object T
			if strict(o, b.text, &object, findings) && !broken {
				add(r, o, &object)
			}
		}}
}
