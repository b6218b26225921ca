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

// split parses the documents of one file. Reading ends at a document that is not valid YAML, because the parser cannot
// find the beginning of the next one.
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

// flatten returns the items of a Kubernetes List as documents, or the document itself if it is not a List.
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

// yamlError splits the parser's error into its line, 0 where it has none, and the message.
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

// resolve returns the node that an alias stands for, or the node itself.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// child is the value of a key in a mapping, with aliases resolved; nil where there is no mapping or no such key.
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
