package resource

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	api "k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"waymark.dev/waymark/diag"
)

// typed checks a value against a type of Go, which is the schema of a Kubernetes kind as a message is that of an Istio
// kind. It reports every value that the decoder for the type would refuse, where the decoder reports the first one
// without its index.
func (s *schema) typed(value any, t reflect.Type, at string) {
	if value == nil {
		return // the decoder leaves the field as it is
	}
	if reflect.PointerTo(t).Implements(decodesItself) {
		text, _ := json.Marshal(value) // it was decoded from JSON
		switch err := json.Unmarshal(text, reflect.New(t).Interface()); {
		case err == nil:
		case ownForms[t] != "":
			s.wrongType(at, ownForms[t], value)
		default:
			s.report(SchemaCode, at, false, "%s", s.plain(err))
		}
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		s.typed(value, t.Elem(), at)
	case reflect.Struct:
		s.object(value, t, at)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			s.wrongType(at, "an object", value)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			s.typed(object[key], t.Elem(), diag.KeyField(at, key))
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.base64(value, at)
			return
		}
		list, ok := value.([]any)
		if !ok {
			s.wrongType(at, "a list", value)
			return
		}
		for i, item := range list {
			s.typed(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i))
		}
	case reflect.String:
		s.text(value, limit{}, at)
	case reflect.Bool:
		s.boolean(value, at)
	case reflect.Float32, reflect.Float64:
		s.number(value, limit{}, at)
	default:
		s.integer(value, integers(t), at)
	}
}

// decodesItself is implemented by types with a form of their own, such as a time, or a port that is a number or a name.
var decodesItself = reflect.TypeFor[json.Unmarshaler]()

// ownForms are the words for such types.
var ownForms = map[reflect.Type]string{
	reflect.TypeFor[intstr.IntOrString](): "an integer or a text",
	reflect.TypeFor[meta.Time]():          aTime,
	reflect.TypeFor[meta.MicroTime]():     "a time such as 2024-01-01T00:00:00.000000Z",
	reflect.TypeFor[api.Quantity]():       "a quantity such as 2, 100m or 1Gi",
}

// object checks an object against a struct.
func (s *schema) object(value any, t reflect.Type, at string) {
	object, ok := value.(map[string]any)
	if !ok {
		s.wrongType(at, "an object", value)
		return
	}
	fields := map[string]reflect.Type{}
	jsonFields(t, fields)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		field := diag.KeyField(at, key)
		if f, ok := fields[key]; ok {
			s.typed(object[key], f, field)
		} else {
			s.report(unknownCode, field, true, "unknown field %q%s", key, DidYouMean(key, slices.Sorted(maps.Keys(fields))))
		}
	}
}

// jsonFields collects the fields of a struct by their names in JSON.
func jsonFields(t reflect.Type, into map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			jsonFields(f.Type, into)
		case name != "" && name != "-":
			into[name] = f.Type
		}
	}
}

// integers are the bounds of a type of integers.
func integers(t reflect.Type) limit {
	out := limit{ruled: true} // 1.0 is not an integer for the decoder
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		out.most = math.Ldexp(1, t.Bits()) - 1
	default:
		out.least, out.most = -math.Ldexp(1, t.Bits()-1), math.Ldexp(1, t.Bits()-1)-1
	}
	return out
}

func (s *schema) base64(value any, at string) {
	text, ok := value.(string)
	if !ok {
		s.wrongType(at, "a text in base64", value)
		return
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		s.report(SchemaCode, at, false, "must be base64 with padding")
	}
}

// plain is the text of a decoder's error.
func (s *schema) plain(err error) string {
	if s.secret {
		return "the value does not fit the field"
	}
	return plainDecoding(err)
}
