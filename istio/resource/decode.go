package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	//nolint:staticcheck // Istio decodes its resources with this package; only it accepts a duration of "1m".
	"github.com/golang/protobuf/jsonpb"
	legacy "github.com/golang/protobuf/proto" //nolint:staticcheck // jsonpb requires it
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	strictjson "sigs.k8s.io/json"

	"waymark.dev/waymark/diag"
)

// istioKind is an Istio kind, whose spec is a protobuf message. add appends a decoded object to its list in the set.
func istioKind[M proto.Message](add func(*Set, *Object, M)) kind {
	return kind{versions: istioVersions, isIstio: true, add: func(r *Set, o *Object, b *body, findings *diag.Findings, _ bool) {
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
		unknown := len(*findings) > before // the spec is decoded all the same, so that other fields are checked, too
		raw := b.member("spec")
		if raw == nil {
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

// body is a document as JSON, with its members by key. They are in a map, since keys of a struct would be compared without
// regard to case: "Spec" is not "spec".
type body struct {
	text    []byte
	members map[string]json.RawMessage
}

func newBody(text []byte) *body {
	b := &body{text: text}
	_ = json.Unmarshal(text, &b.members) // what is not an object has no members
	return b
}

// member is the value of a key; nil where there is none, or null.
func (b *body) member(key string) json.RawMessage {
	if value := b.members[key]; string(value) != "null" {
		return value
	}
	return nil
}

// unmarshalSpec decodes a spec as Istio does. It tries the newer decoder first, which is three times as fast. What the
// newer one accepts, the older one decodes to the same message; the older one, which Istio uses, accepts more, such as
// a duration of "1m".
func unmarshalSpec(text []byte, spec proto.Message, unknownFields bool) error {
	if (protojson.UnmarshalOptions{DiscardUnknown: unknownFields}).Unmarshal(text, spec) == nil {
		return nil
	}
	proto.Reset(spec)
	return (&jsonpb.Unmarshaler{AllowUnknownFields: unknownFields}).Unmarshal(bytes.NewReader(text), legacy.MessageV1(spec))
}

// blame returns the field of the smallest part of a spec that cannot be decoded, since the decoder's error does not
// have a place: it decodes each member alone, and continues inside the first one that fails.
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

// strict decodes a Kubernetes object, and reports unknown and duplicate fields. The result is false if anything is
// wrong.
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

// readMeta sets the object's metadata. A namespaced object without a namespace is in "default".
func (o *Object) readMeta(clusterScoped bool, b *body, findings *diag.Findings) {
	var m struct{ Metadata meta.ObjectMeta }
	if raw := b.member("metadata"); raw == nil {
	} else if err := json.Unmarshal(raw, &m.Metadata); err != nil {
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
