package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Limits on the expansion of YAML aliases. maxAliasNodes is the limit of Kubernetes for one document; the other limits
// bound the memory that one call of Read takes.
const (
	maxAliasNodes = 400_000
	maxAliasBytes = 16 << 20
	maxAllAliases = 1_000_000 // nodes of all documents
	maxNesting    = 1000      // levels
)

var (
	errAliases = fmt.Errorf("its aliases expand to more than %d nodes or %d MiB; write the objects without aliases, or in several documents", maxAliasNodes, maxAliasBytes>>20)
	errAll     = fmt.Errorf("the aliases of all documents together expand to more than %d nodes", maxAllAliases)
	errNesting = fmt.Errorf("it is nested more than %d levels deep", maxNesting)
)

// unfolder converts YAML documents to JSON, with aliases expanded. Keys are always strings, even if they look like
// numbers or booleans, as in every Kubernetes object.
type unfolder struct {
	all int // nodes to which the aliases of all documents expand
}

// JSON converts one document. The error is a limit that is exceeded, or a value that does not fit its YAML tag.
func (uf *unfolder) JSON(n *yaml.Node) ([]byte, error) {
	j := jsonWriter{}
	err := j.node(n, 0, false)
	uf.all += j.aliasNodes
	if err == nil && uf.all > maxAllAliases {
		err = errAll
	}
	return j.out, err
}

// jsonWriter writes one document.
type jsonWriter struct {
	out        []byte
	aliasNodes int
	aliasBytes int // bytes of the aliases that are written completely
	aliasBegin int // where the outermost alias that is being written begins in out
}

// node writes a node; inAlias is true inside the expansion of an alias.
func (j *jsonWriter) node(n *yaml.Node, depth int, inAlias bool) error {
	if depth > maxNesting {
		return errNesting
	}
	outermost := !inAlias && n.Kind == yaml.AliasNode
	if outermost {
		j.aliasBegin = len(j.out)
	}
	if inAlias = inAlias || outermost; inAlias {
		if j.aliasNodes++; j.aliasNodes > maxAliasNodes || j.aliasBytes+len(j.out)-j.aliasBegin > maxAliasBytes {
			return errAliases
		}
	}
	err := j.value(resolve(n), depth, inAlias)
	if outermost {
		j.aliasBytes += len(j.out) - j.aliasBegin
	}
	return err
}

func (j *jsonWriter) value(n *yaml.Node, depth int, inAlias bool) error {
	switch n.Kind {
	case yaml.MappingNode:
		j.out = append(j.out, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				j.out = append(j.out, ',')
			}
			j.out = append(appendText(j.out, n.Content[i].Value), ':')
			if err := j.node(n.Content[i+1], depth+1, inAlias); err != nil {
				return err
			}
		}
		j.out = append(j.out, '}')
		return nil
	case yaml.SequenceNode:
		j.out = append(j.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				j.out = append(j.out, ',')
			}
			if err := j.node(item, depth+1, inAlias); err != nil {
				return err
			}
		}
		j.out = append(j.out, ']')
		return nil
	default:
		var err error
		j.out, err = appendScalar(j.out, n)
		return err
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
			return append(b, n.Value...), nil // more than 64 bits: decoding the field fails
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

// wrongTag is the error for a value that does not fit its tag. It does not contain the value, which may be a private
// key.
func wrongTag(n *yaml.Node) error {
	return errors.New("line " + strconv.Itoa(n.Line) + ": the value is not of type " + n.ShortTag())
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // a string always marshals
	}
	return append(b, text...)
}
