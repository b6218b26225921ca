package resource

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/diag"
)

// document is one YAML document of a file.
type document struct {
	file   string
	root   *yaml.Node // the outermost mapping
	places *places
}

func newDocument(file string, root *yaml.Node) *document {
	return &document{file, root, &places{children: map[*yaml.Node]map[string]*yaml.Node{}}}
}

// at is the place of a field: of its value, or of the nearest parent that the document has.
//
// A field is a text for people, such as spec.http[0].match[1] or headers["x.y"], and may contain any key that a user
// wrote. It is never split into keys: at each mapping, the beginning of the field is compared with the keys of the
// mapping.
func (d *document) at(field string) diag.Place {
	n := d.root
	for rest := field; rest != "" && len(field) <= maxField; {
		next, after := d.places.step(n, strings.TrimPrefix(rest, "."))
		if next == nil {
			break
		}
		n, rest = next, after
	}
	return diag.Place{File: d.file, Line: n.Line, Column: n.Column}
}

// maxField is the longest field for which a place is looked up, in bytes. Fields of valid resources are shorter.
const maxField = 4 << 10

// places finds the nodes of fields. It indexes the keys of each mapping once, so that the cost of many findings in one
// large mapping does not grow with their number times its size.
type places struct {
	children map[*yaml.Node]map[string]*yaml.Node
}

// step returns the child of a node with whose key or index the field begins, and the rest of the field; nil where there
// is none.
func (p *places) step(n *yaml.Node, field string) (child *yaml.Node, rest string) {
	switch n.Kind {
	case yaml.SequenceNode:
		number, rest, ok := strings.Cut(strings.TrimPrefix(field, "["), "]")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || i >= len(n.Content) {
			return nil, ""
		}
		return resolve(n.Content[i]), rest
	case yaml.MappingNode:
		keys := p.keys(n)
		for end := 1; end <= len(field); end++ {
			if end < len(field) && field[end] != '.' && field[end] != '[' {
				continue
			}
			if child, ok := keys[field[:end]]; ok {
				return child, field[end:]
			}
		}
	}
	return nil, ""
}

// keys are the values of a mapping by key, in both spellings that fields have. The first of two equal keys counts.
func (p *places) keys(n *yaml.Node) map[string]*yaml.Node {
	if known, ok := p.children[n]; ok {
		return known
	}
	keys := make(map[string]*yaml.Node, len(n.Content)/2)
	add := func(text string, value *yaml.Node) {
		if _, ok := keys[text]; !ok {
			keys[text] = value
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, resolve(n.Content[i+1])
		add(diag.KeyField("", key), value)
		add(key, value) // the spelling in errors of the decoder for Kubernetes kinds
	}
	p.children[n] = keys
	return keys
}
