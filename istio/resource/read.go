package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	//nolint:staticcheck // Istio decodes its resources with this package; a duration of "1m" is only understood here.
	"github.com/golang/protobuf/jsonpb"
	legacy "github.com/golang/protobuf/proto" //nolint:staticcheck // what jsonpb asks for
	"github.com/tidwall/gjson"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"
	"waymark.dev/waymark/diag"
)

// Set is a set of resources. Those that were read are in the order of the files.
type Set struct {
	Gateways         []*Gateway
	VirtualServices  []*VirtualService
	DestinationRules []*DestinationRule
	ServiceEntries   []*ServiceEntry
	Services         []*Service
	EndpointSlices   []*EndpointSlice
	Namespaces       []*Object
	WorkloadEntries  []*WorkloadEntry
	Secrets          []*Secret

	// Refused are objects that were taken out, see [Set.Without]: what refers to one of them is not to be blamed.
	Refused []*Object
}

// Object is what all resources have in common.
type Object struct {
	Kind, Namespace, Name string
	Labels, Annotations   map[string]string
	// Created decides which of two objects is older. From files it mostly is unknown, and the same for all.
	Created time.Time

	document *document // nil for an object that was read from no file
}

// String is Kind namespace/name, as far as they are known.
func (o *Object) String() string {
	switch {
	case o == nil:
		return ""
	case o.Name == "":
		return o.Kind
	case o.Namespace == "":
		return o.Kind + " " + o.Name
	default:
		return o.Kind + " " + o.Key()
	}
}

// Key is namespace/name.
func (o *Object) Key() string { return o.Namespace + "/" + o.Name }

// Place is where a field, or the nearest parent that is there, was written; nowhere for an object that was read from no
// file.
func (o *Object) Place(field string) diag.Place {
	if o == nil || o.document == nil {
		return diag.Place{}
	}
	return o.document.at(field)
}

// The resources of Istio and Kubernetes that Waymark reads.
type (
	// Gateway says which ports, hosts and certificates a proxy serves.
	Gateway struct {
		*Object
		Spec *istio.Gateway
	}
	// VirtualService holds rules for hosts.
	VirtualService struct {
		*Object
		Spec *istio.VirtualService
	}
	// DestinationRule holds subsets and policies of a destination.
	DestinationRule struct {
		*Object
		Spec *istio.DestinationRule
	}
	// ServiceEntry makes a service known by hand.
	ServiceEntry struct {
		*Object
		Spec *istio.ServiceEntry
	}
	// WorkloadEntry is an endpoint that is known by hand.
	WorkloadEntry struct {
		*Object
		Spec *istio.WorkloadEntry
	}
	// Secret holds a certificate. What is in it is never printed.
	Secret struct {
		*Object
		Data map[string][]byte
	}
	// Service is a Kubernetes service.
	Service struct {
		*Object
		Spec core.ServiceSpec
	}
	// EndpointSlice holds addresses of a Kubernetes service.
	EndpointSlice struct {
		*Object
		Ports     []discovery.EndpointPort
		Endpoints []discovery.Endpoint
	}
)

// routeSemantics is the annotation of VirtualServices that Istio makes of other APIs (VS-MATCH-06).
const routeSemantics = "internal.istio.io/route-semantics"

// IsIngress says that a VirtualService was made of an Ingress. Prefixes of paths end at segment borders then.
func (vs *VirtualService) IsIngress() bool { return vs.Annotations[routeSemantics] == "ingress" }

// IsRoute says that it was made of a route of the Gateway API. Prefixes of paths end at segment borders then, and names are
// written out already (VS-NAME-01).
func (vs *VirtualService) IsRoute() bool { return vs.Annotations[routeSemantics] == "gateway" }

// defaultCreated stands in for a missing creationTimestamp, so that age never decides between objects from files.
var defaultCreated = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Input is what was read.
type Input struct {
	// Set has the objects that could be decoded.
	Set *Set
	// Objects are Istio's resources in the order of the files, those that could not be decoded among them.
	Objects []*Object
	// Texts of the files, for excerpts. Lines of Secrets are hidden.
	Texts diag.Texts
	// Findings are about files and documents that cannot be decoded, and about those of other kinds.
	Findings diag.Findings
}

// Read reads the resources in files and folders ("-" is stdin). Documents of other kinds are skipped with a notice;
// everything that cannot be decoded is reported. It does not validate.
func Read(paths []string, stdin io.Reader) *Input {
	in := &Input{Set: &Set{}}
	r := &reader{stdin: stdin, input: in}
	docs := r.documents(paths)
	for _, doc := range docs {
		r.add(doc)
	}
	return in
}

// Without is the set without some objects, which it notes as refused.
func (r *Set) Without(all []*Object) *Set {
	refused := make(map[*Object]bool, len(all))
	for _, o := range all {
		refused[o] = true
	}
	out := *r
	out.Gateways = without(r.Gateways, func(gw *Gateway) bool { return refused[gw.Object] })
	out.VirtualServices = without(r.VirtualServices, func(vs *VirtualService) bool { return refused[vs.Object] })
	out.DestinationRules = without(r.DestinationRules, func(dr *DestinationRule) bool { return refused[dr.Object] })
	out.ServiceEntries = without(r.ServiceEntries, func(se *ServiceEntry) bool { return refused[se.Object] })
	out.WorkloadEntries = without(r.WorkloadEntries, func(we *WorkloadEntry) bool { return refused[we.Object] })
	out.Refused = slices.Concat(r.Refused, all)
	return &out
}

func without[T any](all []T, isRefused func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), isRefused)
}

// add decodes one document into its list.
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
	if o.Kind == "Secret" { // whether or not it can be decoded
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
	before := len(*findings)
	o.readMeta(kind.clusterScoped, json, findings)
	kind.add(r.input.Set, o, json, findings, len(*findings) > before)
}

// lastLine is the last line of a node.
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

// kind says how documents of one kind are read.
type kind struct {
	versions      map[string]bool
	clusterScoped bool
	isIstio       bool
	// add decodes the document and, unless it is broken, appends it.
	add func(r *Set, o *Object, text []byte, findings *diag.Findings, broken bool)
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
}

// kubernetesKind reads a kind of Kubernetes' own: one version, and nothing of an object in which anything is wrong.
func kubernetesKind[T any](version string, clusterScoped bool, add func(*Set, *Object, *T)) kind {
	return kind{versions: map[string]bool{version: true}, clusterScoped: clusterScoped,
		add: func(r *Set, o *Object, text []byte, findings *diag.Findings, broken bool) {
			var object T
			if strict(o, text, &object, findings) && !broken {
				add(r, o, &object)
			}
		}}
}

// istioKind reads a kind whose spec is a protobuf message.
func istioKind[M proto.Message](add func(*Set, *Object, M)) kind {
	return kind{versions: istioVersions, isIstio: true, add: func(r *Set, o *Object, text []byte, findings *diag.Findings, _ bool) {
		var zero M
		spec := zero.ProtoReflect().New().Interface().(M)
		before := len(*findings)
		report := func(code, field string, n *yaml.Node, format string, args ...any) {
			findings.AddAt(diag.Place{File: o.document.file, Line: n.Line, Column: n.Column}, diag.Error, code, o, field, format, args...)
		}
		eachKey(resolve(o.document.root), "", report, func(key, value *yaml.Node) {
			switch key.Value {
			case "apiVersion", "kind", "metadata", "status":
			case "spec":
				checkFields(value, spec.ProtoReflect().Descriptor(), "spec", report)
			default:
				report("VAL-ANY-03", diag.KeyField("", key.Value), key, "unknown field %q", key.Value)
			}
		})
		unknown := len(*findings) > before // it is decoded all the same, so that the rest is checked, too
		raw := []byte(gjson.GetBytes(text, "spec").Raw)
		if len(raw) == 0 || string(raw) == "null" {
			raw = []byte("{}")
		}
		if err := unmarshalSpec(raw, spec, unknown); err != nil {
			field := blame(raw, spec, "spec")
			findings.Add(diag.Error, "VAL-ANY-04", o, field, "%s", strings.TrimPrefix(err.Error(), "json: "))
			return
		}
		add(r, o, spec)
	}}
}

// unmarshalSpec reads a spec as Istio does. What the newer decoder takes means the same to the older one, which takes
// more, a duration of "1m" among it, and needs three times as long.
func unmarshalSpec(text []byte, spec proto.Message, unknownFields bool) error {
	if (protojson.UnmarshalOptions{DiscardUnknown: unknownFields}).Unmarshal(text, spec) == nil {
		return nil
	}
	proto.Reset(spec)
	return (&jsonpb.Unmarshaler{AllowUnknownFields: unknownFields}).Unmarshal(bytes.NewReader(text), legacy.MessageV1(spec))
}

// blame finds the smallest part of a spec that cannot be decoded, since the decoder's error does not say where it is:
// it decodes each member alone and goes down into the first that fails.
func blame(text []byte, message proto.Message, field string) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return field
	}
	for key, value := range members {
		alone, _ := json.Marshal(map[string]json.RawMessage{key: value})
		fresh := message.ProtoReflect().New().Interface()
		if unmarshalSpec(alone, fresh, true) == nil {
			continue
		}
		at := diag.KeyField(field, key)
		f := message.ProtoReflect().Descriptor().Fields().ByJSONName(key)
		if f == nil || f.Message() == nil || f.IsMap() || strings.HasPrefix(string(f.Message().FullName()), "google.protobuf.") {
			return at
		}
		if !f.IsList() {
			return blame(value, message.ProtoReflect().NewField(f).Message().Interface(), at)
		}
		var items []json.RawMessage
		if json.Unmarshal(value, &items) != nil {
			return at
		}
		for i, item := range items {
			element := message.ProtoReflect().NewField(f).List().NewElement().Message().Interface()
			if unmarshalSpec(item, element, true) != nil {
				return blame(item, element, at+"["+strconv.Itoa(i)+"]")
			}
		}
		return at
	}
	return field
}

// strict decodes a Kubernetes object and reports unknown and duplicate fields.
func strict(o *Object, text []byte, into any, findings *diag.Findings) bool {
	unknown, err := strictjson.UnmarshalStrict(text, into)
	if err != nil {
		findings.Add(diag.Error, "", o, "", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, e := range unknown {
		var field strictjson.FieldError
		if errors.As(e, &field) {
			findings.Add(diag.Error, "", o, field.FieldPath(), "%s", e)
		} else {
			findings.Add(diag.Error, "", o, "", "%s", e)
		}
	}
	return err == nil && len(unknown) == 0
}

// readMeta fills in the metadata. An object without namespace is in "default".
func (o *Object) readMeta(clusterScoped bool, text []byte, findings *diag.Findings) {
	var m struct{ Metadata meta.ObjectMeta }
	if raw := gjson.GetBytes(text, "metadata").Raw; raw == "" || raw == "null" {
	} else if err := json.Unmarshal([]byte(raw), &m.Metadata); err != nil {
		findings.Add(diag.Error, "VAL-ANY-04", o, "metadata", "%s", strings.TrimPrefix(err.Error(), "json: "))
		return
	}
	o.Name, o.Namespace, o.Labels, o.Annotations = m.Metadata.Name, m.Metadata.Namespace, m.Metadata.Labels, m.Metadata.Annotations
	if o.Namespace == "" && !clusterScoped {
		o.Namespace = "default"
	}
	if t := m.Metadata.CreationTimestamp.Time; !t.IsZero() {
		o.Created = t
	}
	if o.Name == "" {
		findings.Add(diag.Error, "VAL-ANY-03", o, "metadata.name", "is missing")
	}
}
