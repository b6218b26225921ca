package resource

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"waymark.dev/waymark/diag"
)

// reportNode adds a finding about a field, with the place of a node of the document.
type reportNode func(code, field string, n *yaml.Node, format string, args ...any)

// checkFields reports every key of a mapping that the message does not have, every key that occurs twice, and every
// null in place of an object, which the decoder would read as an empty object. It does not check types of values: the
// decoder does, and it knows the special JSON forms of messages such as Duration.
func checkFields(n *yaml.Node, message protoreflect.MessageDescriptor, field string, report reportNode) {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return
	}
	eachKey(n, field, report, func(key, value *yaml.Node) {
		f := message.Fields().ByJSONName(key.Value)
		if f == nil {
			f = message.Fields().ByTextName(key.Value)
		}
		at := diag.KeyField(field, key.Value)
		if f == nil {
			report("VAL-ANY-03", at, key, "unknown field %q%s", key.Value, suggest(key.Value, message))
			return
		}
		checkValue(value, f, at, report)
	})
}

func checkValue(value *yaml.Node, f protoreflect.FieldDescriptor, at string, report reportNode) {
	value = resolve(value)
	switch {
	case f.IsMap():
		if value.Kind != yaml.MappingNode {
			return
		}
		eachKey(value, at, report, func(key, v *yaml.Node) {
			if m := f.MapValue().Message(); m != nil {
				checkNull(v, f, diag.KeyField(at, key.Value), report)
				checkFields(v, m, diag.KeyField(at, key.Value), report)
			}
		})
	case f.IsList():
		if value.Kind != yaml.SequenceNode || f.Message() == nil {
			return
		}
		for i, item := range value.Content {
			at := fmt.Sprintf("%s[%d]", at, i)
			checkNull(item, f, at, report)
			checkFields(item, f.Message(), at, report)
		}
	case f.Message() != nil:
		checkFields(value, f.Message(), at, report)
	}
}

// checkNull reports a null in place of an object in a list or a map.
func checkNull(n *yaml.Node, f protoreflect.FieldDescriptor, at string, report reportNode) {
	if !isNull(resolve(n)) {
		return
	}
	switch f.FullName() {
	case "istio.networking.v1alpha3.VirtualService.http":
		report("VAL-VS-10", at, n, "a rule cannot be null")
	case "istio.networking.v1alpha3.HTTPMatchRequest.headers":
		report("VAL-H-07", at, n, "a condition cannot be null; {} matches any value")
	default:
		report("VAL-ANY-03", at, n, "an object cannot be null")
	}
}

// eachKey visits the pairs of a mapping and reports keys that occur twice.
func eachKey(n *yaml.Node, field string, report reportNode, visit func(key, value *yaml.Node)) {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			report("VAL-ANY-03", diag.KeyField(field, key.Value), key, "key %q occurs twice", key.Value)
			continue
		}
		seen[key.Value] = true
		visit(key, n.Content[i+1])
	}
}

// suggest returns "; did you mean NAME?" for a field of the message that differs from key only in case or by one edit,
// or "".
func suggest(key string, message protoreflect.MessageDescriptor) string {
	for i := range message.Fields().Len() {
		if name := message.Fields().Get(i).JSONName(); strings.EqualFold(name, key) || oneEdit(name, key) {
			return fmt.Sprintf("; did you mean %q?", name)
		}
	}
	return ""
}

// oneEdit reports whether one insertion, deletion or replacement of a byte changes a into b.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
