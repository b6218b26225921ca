package gateway

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkFields reports every key of a mapping that the message does not have, and every key that occurs twice. Types of
// values are left to the decoder, which knows the special JSON forms of messages such as Duration.
func checkFields(n *yaml.Node, message protoreflect.MessageDescriptor, field string, report func(field string, n *yaml.Node, format string, args ...any)) {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return
	}
	eachKey(n, field, report, func(key, value *yaml.Node) {
		f := message.Fields().ByJSONName(key.Value)
		if f == nil {
			f = message.Fields().ByTextName(key.Value)
		}
		at := keyField(field, key.Value)
		if f == nil {
			report(at, key, "unknown field %q%s", key.Value, suggest(key.Value, message))
			return
		}
		checkValue(value, f, at, report)
	})
}

func checkValue(value *yaml.Node, f protoreflect.FieldDescriptor, at string, report func(string, *yaml.Node, string, ...any)) {
	value = resolve(value)
	switch {
	case f.IsMap():
		if value.Kind != yaml.MappingNode {
			return
		}
		eachKey(value, at, report, func(key, v *yaml.Node) {
			if m := f.MapValue().Message(); m != nil {
				checkFields(v, m, keyField(at, key.Value), report)
			}
		})
	case f.IsList():
		if value.Kind != yaml.SequenceNode || f.Message() == nil {
			return
		}
		for i, item := range value.Content {
			checkFields(item, f.Message(), fmt.Sprintf("%s[%d]", at, i), report)
		}
	case f.Message() != nil:
		checkFields(value, f.Message(), at, report)
	}
}

// eachKey visits the pairs of a mapping and reports keys that occur twice.
func eachKey(n *yaml.Node, field string, report func(string, *yaml.Node, string, ...any), visit func(key, value *yaml.Node)) {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if seen[key.Value] {
			report(keyField(field, key.Value), key, "key %q occurs twice", key.Value)
			continue
		}
		seen[key.Value] = true
		visit(key, n.Content[i+1])
	}
}

// suggest names the field that was probably meant: one that differs in case or by one edit.
func suggest(key string, message protoreflect.MessageDescriptor) string {
	for i := range message.Fields().Len() {
		if name := message.Fields().Get(i).JSONName(); strings.EqualFold(name, key) || oneEdit(name, key) {
			return fmt.Sprintf("; did you mean %q?", name)
		}
	}
	return ""
}

// oneEdit says whether one insertion, deletion or replacement makes a into b.
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
