package resource

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/diag"
)

// split parses the documents of one file. A document that is no YAML ends the file: what follows it has no borders.
func split(file string, data []byte, findings *diag.Findings) []*document {
	var docs []*document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			line, message := yamlError(err)
			findings.AddAt(diag.Place{File: file, Line: line}, diag.Error, "", nil, "", "%s", message)
			return docs
		}
		if len(node.Content) == 1 && !isNull(node.Content[0]) {
			docs = append(docs, flatten(newDocument(file, node.Content[0]))...)
		}
	}
}

// flatten takes the items out of a Kubernetes List.
func flatten(d *document) []*document {
	kind := child(d.root, "kind")
	items := child(d.root, "items")
	if kind == nil || kind.Value != "List" || items == nil || items.Kind != yaml.SequenceNode {
		return []*document{d}
	}
	var docs []*document
	for _, item := range items.Content {
		docs = append(docs, newDocument(d.file, item))
	}
	return docs
}

// yamlError takes the line out of the text of the parser's error.
func yamlError(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return n, "not YAML: " + text
			}
		}
	}
	return 0, "not YAML: " + message
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// child is the value of a key of a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n = resolve(n); n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}
