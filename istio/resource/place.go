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
	root   *yaml.Node // the top mapping
	places *places
}

func newDocument(file string, root *yaml.Node) *document {
	return &document{file, root, &places{children: map[*yaml.Node]map[string]*yaml.Node{}}}
}

// at is the place of a field: of its value, or of the nearest parent that the document has.
//
// A field is a text for people, such as spec.http[0].match[1] or headers["x.y"], in which keys are whatever a user wrote.
// It is never split into keys: at each mapping, the texts of the keys that are there are compared with the field.
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

// maxField bounds the fields that are looked for, in bytes. No field of a resource is as long.
const maxField = 4 << 10

// places finds the nodes of fields. It remembers the keys of the mappings it came by, so that many findings in one
// mapping cost no more than its size.
type places struct {
	children map[*yaml.Node]map[string]*yaml.Node
}

// step goes to the child of a node that a field begins with, and returns the rest of the field; nil where there is none.
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

// keys are the values of a mapping, by their keys as fields have them. The first of two equal keys counts.
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
		add(key, value) // as the decoder of Kubernetes' kinds writes it
	}
	p.children[n] = keys
	return keys
}
