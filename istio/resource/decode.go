package resource

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	//nolint:staticcheck // Istio decodes its resources with this package; only it accepts a duration of "1m".
	"github.com/golang/protobuf/jsonpb"
	legacy "github.com/golang/protobuf/proto" //nolint:staticcheck // jsonpb requires it
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/util/validation"
	strictjson "sigs.k8s.io/json"

	"waymark.dev/waymark/diag"
)

// istioKind is an Istio kind, whose spec is a protobuf message. add appends a decoded object to its list in the set.
func istioKind[M proto.Message](add func(*Set, *Object, M)) kind {
	return kind{versions: istioVersions, isIstio: true, add: func(r *reader, o *Object, b *body) {
		var zero M
		spec := zero.ProtoReflect().New().Interface().(M)
		findings := &r.input.Findings
		before := len(*findings)
		s := r.schema(o)
		for _, key := range slices.Sorted(maps.Keys(b.members)) {
			switch key {
			case "apiVersion", "kind", "metadata", "status":
			case "spec":
				if raw := b.member(key); raw != nil {
					s.message(decoded(raw), spec.ProtoReflect().Descriptor(), key)
				}
			default:
				s.report(unknownCode, diag.KeyField("", key), true, "unknown field %q", key)
			}
		}
		unknown := len(*findings) > before // the spec is decoded all the same, so that other fields are checked, too
		raw := b.member("spec")
		if raw == nil {
			raw = []byte("{}")
		}
		if err := unmarshalSpec(raw, spec, unknown); err != nil {
			field := blame(raw, spec, "spec")
			said := false
			for i := range (*findings)[before:] { // the schema may have said it, in better words
				if f := &(*findings)[before+i]; f.Code == SchemaCode && (f.Field == field || strings.HasPrefix(f.Field, field+".") || strings.HasPrefix(f.Field, field+"[")) {
					f.Code, said = wrongTypeCode, true
				}
			}
			if !said {
				findings.Add(diag.Error, wrongTypeCode, o, field, "%s", plainDecoding(err))
			}
			r.input.Set.Refused = append(r.input.Set.Refused, Refused{o, hostsIn(raw)})
			return
		}
		add(r.input.Set, o, spec)
	}}
}

// schema checks an object, whose findings are at the place of the value, or of the key, in its document.
func (r *reader) schema(o *Object) *schema {
	return &schema{add: func(severity diag.Severity, code, field string, key bool, format string, args ...any) {
		place := o.document.at
		if key {
			place = o.document.keyAt
		}
		r.input.Findings.AddAt(place(field), severity, code, o, field, format, args...)
	}}
}

// hostsIn are the hosts of a spec that cannot be decoded, or the host, as far as they can be read.
func hostsIn(spec []byte) (hosts []string) {
	members := newBody(spec).members
	var all []json.RawMessage
	_ = json.Unmarshal(members["hosts"], &all) // as documented
	if one := members["host"]; one != nil {
		all = append(all, one) // of a DestinationRule
	}
	for _, raw := range all {
		var host string
		if json.Unmarshal(raw, &host) == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// wrongTypeCode is the code of a value that Istio itself cannot decode.
const wrongTypeCode = "VAL-ANY-04"

// decoded is a JSON value as maps, lists, texts and json.Number.
func decoded(raw []byte) (value any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	_ = d.Decode(&value) // it has been decoded before
	return value
}

// body is a document as JSON, with its members by key. They are in a map, since keys of a struct would be compared without
// regard to case: "Spec" is not "spec".
type body struct {
	json    []byte
	members map[string]json.RawMessage // nil for what is not an object
}

func newBody(text []byte) *body {
	b := &body{json: text}
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

// text is the text of a key; "" where it is none.
func (b *body) text(key string) (text string) {
	_ = json.Unmarshal(b.members[key], &text) // as documented
	return text
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

// plainDecoding is the text of a decoder's error, without the names of types and functions of Go.
func plainDecoding(err error) string {
	text := err.Error()
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return "must be " + plainKind(wrong.Type) + ", and is a " + strings.Replace(wrong.Value, "string", "text", 1)
	}
	for _, prefix := range []string{"json: ", "proto: ", "unable to parse quantity's suffix: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = strings.TrimPrefix(text, "(line 1:") // the decoder's line is that of the JSON
	if m := badDuration.FindStringSubmatch(text); m != nil {
		return "not a duration, such as 300ms or 5s: " + m[1]
	}
	if goWords.MatchString(text) {
		return "the value does not fit the field"
	}
	return text
}

// badDuration is what the decoder of durations prints, with the value at the end.
var badDuration = regexp.MustCompile(`bad Duration: time: .* ("[^"]*")$`)

// goWords are parts of messages for programmers.
var goWords = regexp.MustCompile(`unmarshal|Go value|Go struct|RawMessage|reflect|protobuf|syntax error|interface`)

// plainKind names the type that a value must have.
func plainKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "an integer"
	}
}

// strict decodes a Kubernetes object. The result is false if it cannot be decoded; a field that is not known is a
// warning, since a cluster may be newer than this program.
func (r *reader) strict(o *Object, text []byte, into any) bool {
	findings := &r.input.Findings
	unknown, err := strictjson.UnmarshalStrict(text, into)
	if err == nil && len(unknown) == 0 {
		return true
	}
	s := r.schema(o)
	s.secret = o.Kind == "Secret"
	said := map[string]bool{} // fields that were reported before, of the metadata
	for i := len(*findings) - 1; i >= 0 && (*findings)[i].About == o; i-- {
		said[(*findings)[i].Field] = true
	}
	add, misfit, unfilled := s.add, false, ""
	s.add = func(_ diag.Severity, code, field string, key bool, format string, args ...any) {
		if code == SchemaCode {
			misfit = true
			if at := o.document.placeholderIn(field); at != "" && !s.secret {
				unfilled = cmp.Or(unfilled, at)
				return
			}
			format += "; the object is left out"
		}
		if !said[field] {
			add(r.lost(), code, field, key, format, args...)
		}
	}
	s.typed(decoded(text), reflect.TypeOf(into).Elem(), "")
	for _, e := range unknown { // the schema does not see a key that JSON has twice
		var field strictjson.FieldError
		if errors.As(e, &field) && strings.HasPrefix(e.Error(), "duplicate") {
			findings.Add(r.lost(), "", o, field.FieldPath(), "%s", e)
		}
	}
	if err != nil && !misfit && !s.secret && o.document != nil {
		unfilled = placeholderIn(text)
	}
	switch {
	case unfilled != "":
		findings.Add(r.lost(), PlaceholderCode, o, "", "%s", Unfilled(unfilled, o.document.source.file))
	case err != nil && !misfit:
		findings.Add(r.lost(), "", o, "", "%s; the object is left out", s.plain(err))
	}
	return err == nil
}

const aTime = "a time such as 2024-01-01T00:00:00Z"

// lastApplied is an annotation with the whole object as it was given to kubectl apply. Nothing needs it.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// readMeta reads the object's metadata, and reports what the API server would refuse.
func (o *Object) readMeta(b *body, findings *diag.Findings, severity diag.Severity) {
	wrong := func(field, want string, value any) {
		findings.Add(severity, SchemaCode, o, field, "must be %s, and is %s", want, describe(value))
	}
	raw := b.member("metadata")
	meta, ok := decoded(raw).(map[string]any)
	if !ok && raw != nil {
		wrong("metadata", "an object", decoded(raw))
	}
	text := func(key string) string {
		value, ok := meta[key].(string)
		if !ok && meta[key] != nil {
			wrong("metadata."+key, "a text", meta[key])
		}
		return value
	}
	texts := func(key string) map[string]string {
		entries, ok := meta[key].(map[string]any)
		if !ok && meta[key] != nil {
			wrong("metadata."+key, "an object", meta[key])
		}
		if len(entries) == 0 {
			return nil
		}
		out := make(map[string]string, len(entries))
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			value, ok := entries[name].(string)
			if !ok && entries[name] != nil {
				wrong(diag.KeyField("metadata."+key, name), "a text", entries[name])
			}
			if name != lastApplied {
				out[name] = o.document.shared(value)
			}
		}
		return out
	}
	o.Labels, o.Annotations = texts("labels"), texts("annotations")
	if created := text("creationTimestamp"); created != "" {
		t, err := time.Parse(time.RFC3339, created)
		if err != nil {
			wrong("metadata.creationTimestamp", aTime, created)
		} else if !t.IsZero() {
			o.Created = t
		}
	}
	if n, ok := meta["generation"].(json.Number); ok {
		o.Generation, _ = n.Int64() // 0 for what is not one
	}
	text("namespace")
	if text("name") == "" && (meta["name"] == nil || meta["name"] == "") {
		findings.Add(severity, unknownCode, o, "metadata.name", "is missing")
	}
}

// checkName warns of a name or a namespace that no API server takes. It is no error: what Istio makes itself of other
// resources, which a dump of its memory has, has such names. Istio's validation has a stricter rule for the name of a Gateway.
func (o *Object) checkName(findings *diag.Findings) {
	if o.Name != "" && o.Kind != "Gateway" && len(validation.IsDNS1123Subdomain(o.Name)) > 0 {
		findings.Add(diag.Warning, unknownCode, o, "metadata.name", "an API server refuses the name %s: it can have lower-case letters, digits, - and ., begins and ends with a letter or a digit, and has at most %d characters", shortened(o.Name), validation.DNS1123SubdomainMaxLength)
	}
	if o.Namespace != "" && len(validation.IsDNS1123Label(o.Namespace)) > 0 {
		findings.Add(diag.Warning, unknownCode, o, "metadata.namespace", "an API server refuses the namespace %s: it can have lower-case letters, digits and -, begins and ends with a letter or a digit, and has at most %d characters", shortened(o.Namespace), validation.DNS1123LabelMaxLength)
	}
}

// shortened is a quoted name, or how long it is.
func shortened(name string) string {
	if n := utf8.RuneCountInString(name); n > 100 {
		return fmt.Sprintf("a text of %d characters", n)
	}
	return strconv.Quote(name)
}
