package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
)

// reader reads the nodes of a file. Everything that is wrong is collected with its place, so that one run reports all.
type reader struct {
	file     string
	findings diag.Findings
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.findings.AddAt(diag.Place{File: r.file, Line: n.Line, Column: n.Column}, diag.Error, "", nil, "", format, args...)
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isNull reports whether a node has no value: null, ~ or nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// mapping is an object: its values by key, and the keys in their order.
type mapping struct {
	node   *yaml.Node
	keys   []*yaml.Node
	values map[string]*yaml.Node
}

// at is the node of a key's value, or nil.
func (m *mapping) at(key string) *yaml.Node { return m.values[key] }

// has reports whether a key is there.
func (m *mapping) has(key string) bool { return m.values[key] != nil }

// object reads an object. what names it in messages. nil is returned where n is something else.
func (r *reader) object(n *yaml.Node, what string) *mapping {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s: must be an object with keys", what)
		return nil
	}
	m := &mapping{node: n, values: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if m.values[key.Value] != nil {
			r.fail(key, "%s: the key %q is there twice", what, key.Value)
			continue
		}
		m.keys = append(m.keys, key)
		m.values[key.Value] = resolve(n.Content[i+1])
	}
	return m
}

// strict reads an object that may have only some keys. A key that is misspelt would change a test in silence.
func (r *reader) strict(n *yaml.Node, what string, known ...string) *mapping {
	m := r.object(n, what)
	if m == nil {
		return nil
	}
	for _, key := range m.keys {
		if !slices.Contains(known, key.Value) {
			nearest := resource.DidYouMean(key.Value, known)
			if nearest == "" {
				nearest = "; the keys are " + strings.Join(known, ", ")
			}
			r.fail(key, "%s: the key %q is not known%s", what, key.Value, nearest)
		}
	}
	return m
}

// list returns the entries of a list; a value that is not a list is a list of itself.
func list(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	out := make([]*yaml.Node, len(n.Content))
	for i, entry := range n.Content {
		out[i] = resolve(entry)
	}
	return out
}

// text reads a scalar as it is written: 10 is "10". There is no value for null.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.fail(n, "%s: must be a text", what)
		return "", false
	}
	return n.Value, true
}

// texts reads a text or a list of texts.
func (r *reader) texts(n *yaml.Node, what string) (out []string) {
	for _, entry := range list(n) {
		if text, ok := r.text(entry, what); ok {
			out = append(out, text)
		}
	}
	if len(list(n)) == 0 {
		r.fail(n, "%s: the list is empty", what)
	}
	return out
}

// number reads an integer between least and most.
func (r *reader) number(n *yaml.Node, what string, least, most uint64) (uint64, bool) {
	v, err := strconv.ParseUint(n.Value, 10, 64)
	if n.Kind != yaml.ScalarNode || err != nil || v < least || v > most {
		r.fail(n, "%s: must be a number from %d to %d", what, least, most)
		return 0, false
	}
	return v, true
}

// percent reads a number from 0 to 100, which may have a fraction, with or without a percent sign.
func (r *reader) percent(n *yaml.Node, what string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSuffix(n.Value, "%"), 64)
	if n.Kind != yaml.ScalarNode || err != nil || !(v >= 0 && v <= 100) {
		r.fail(n, "%s: must be a percentage from 0 to 100", what)
	}
	return v
}

// boolean reads true or false.
func (r *reader) boolean(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.fail(n, "%s: must be true or false", what)
		return false
	}
	v, err := strconv.ParseBool(strings.ToLower(n.Value))
	if err != nil {
		r.fail(n, "%s: must be true or false", what)
	}
	return v
}

// duration reads a duration such as 2s or 1.5s.
func (r *reader) duration(n *yaml.Node, what string) (time.Duration, bool) {
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d < 0 {
		r.fail(n, "%s: must be a duration, such as 2s", what)
		return 0, false
	}
	return d, true
}

// toJSON writes a node as JSON, with objects in their order.
func toJSON(n *yaml.Node) (json.RawMessage, error) {
	var b bytes.Buffer
	err := writeNode(&b, n, 0)
	return b.Bytes(), err
}

// maxDepth and maxJSON bound a value: an anchor that contains its own alias is nested without end, and aliases of aliases
// multiply.
const (
	maxDepth = 100
	maxJSON  = 1 << 20
)

func writeNode(b *bytes.Buffer, n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("nested more than %d levels deep", maxDepth)
	case b.Len() > maxJSON:
		return fmt.Errorf("larger than %d MiB", maxJSON>>20)
	}
	switch n = resolve(n); n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := json.Marshal(resolve(n.Content[i]).Value)
			if err != nil {
				return err
			}
			b.Write(append(key, ':'))
			if err := writeNode(b, n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, entry := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeNode(b, entry, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		var value any
		if err := n.Decode(&value); err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}

// sortedKeys are the keys of a map, sorted.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
