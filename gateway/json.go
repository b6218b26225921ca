package gateway

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Limits on what a document's aliases may unfold to.
const (
	maxUnfolded = 256 << 20 // bytes of JSON
	maxNesting  = 1000
)

var errAliases = errors.New("aliases unfold to more than a document may hold")

// toJSON writes a YAML document as JSON, aliases and merge keys unfolded. Keys are strings whatever they look like, as
// in every Kubernetes object.
func toJSON(n *yaml.Node) ([]byte, error) { return appendJSON(nil, n, 0) }

func appendJSON(b []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth > maxNesting || len(b) > maxUnfolded {
		return nil, errAliases
	}
	n = resolve(n)
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		first := true
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if !first {
				b = append(b, ',')
			}
			first = false
			b = appendText(b, key.Value)
			b = append(b, ':')
			if b, err = appendJSON(b, value, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	default:
		return appendScalar(b, n)
	}
}

func appendScalar(b []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		var v bool
		if n.Decode(&v) != nil {
			return nil, wrongTag(n)
		}
		return strconv.AppendBool(b, v), nil
	case "!!int":
		var v int64
		if err := n.Decode(&v); err != nil {
			return append(b, n.Value...), nil // wider than 64 bits: the decoder of the field refuses it
		}
		return strconv.AppendInt(b, v, 10), nil
	case "!!float":
		var v float64
		if n.Decode(&v) != nil {
			return nil, wrongTag(n)
		}
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return appendText(b, n.Value), nil
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64), nil
	default:
		return appendText(b, n.Value), nil
	}
}

// wrongTag does not say what the value is: it may be a key.
func wrongTag(n *yaml.Node) error {
	return errors.New("line " + itoa(n.Line) + ": the value is no " + n.ShortTag())
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // a string always marshals
	}
	return append(b, text...)
}
