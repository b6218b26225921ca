package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/plan"
)

// document is one YAML document of a file.
type document struct {
	file string
	root *yaml.Node // the top mapping, or nil for an empty document
}

// readFiles reads the documents of files and of the YAML and JSON files below folders; "-" is standard input. Files are read
// in the order of their names; their texts are kept.
func readFiles(paths []string, stdin io.Reader, texts map[string]string, problems *Problems) []document {
	var docs []document
	for _, path := range paths {
		files, err := listFiles(path)
		if err != nil {
			*problems = append(*problems, Problem{Severity: Error, Source: plan.Source{File: path}, Message: reason(err)})
		}
		for _, file := range files {
			data, err := readFile(file, stdin)
			if err != nil {
				*problems = append(*problems, Problem{Severity: Error, Source: plan.Source{File: file}, Message: reason(err)})
				continue
			}
			texts[file] = string(data)
			docs = append(docs, split(file, data, problems)...)
		}
	}
	return docs
}

func readFile(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// reason is an error of the file system without the path, which the problem names already.
func reason(err error) string {
	var e *fs.PathError
	if errors.As(err, &e) {
		return "cannot be read: " + e.Err.Error()
	}
	return "cannot be read: " + err.Error()
}

// Files lists the files that the arguments of -f stand for: a file itself, and of a folder every .yaml, .yml and .json
// file below it.
func Files(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		files, err := listFiles(path)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

func listFiles(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") && file != path
		if entry.IsDir() && hidden {
			return filepath.SkipDir
		}
		if !entry.IsDir() && !hidden && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// split parses the documents of one file. A document that is no YAML ends the file: what follows it has no borders.
func split(file string, data []byte, problems *Problems) []document {
	var docs []document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			line, message := yamlError(err)
			*problems = append(*problems, Problem{Severity: Error, Source: plan.Source{File: file, Line: line}, Message: message})
			return docs
		}
		if len(node.Content) == 1 && !isNull(node.Content[0]) {
			docs = append(docs, flatten(document{file, node.Content[0]})...)
		}
	}
}

// flatten takes the items out of a Kubernetes List.
func flatten(d document) []document {
	kind := child(d.root, "kind")
	items := child(d.root, "items")
	if kind == nil || kind.Value != "List" || items == nil || items.Kind != yaml.SequenceNode {
		return []document{d}
	}
	var docs []document
	for _, item := range items.Content {
		docs = append(docs, document{d.file, item})
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

// at is the place of a field: of its value, or of the nearest parent that the file has.
func (d document) at(field string) plan.Source {
	n := d.root
	where := n
	for _, key := range splitField(field) {
		if i, err := strconv.Atoi(key); err == nil && n.Kind == yaml.SequenceNode {
			if i >= len(n.Content) {
				break
			}
			n = resolve(n.Content[i])
		} else if n = child(n, key); n == nil {
			break
		}
		where = n
	}
	return plan.Source{File: d.file, Line: where.Line, Column: where.Column}
}

// splitField splits spec.http[0].match[1] into spec, http, 0, match, 1. A key with dots or brackets is written in
// quotes: headers["x.y"].
func splitField(field string) []string {
	var keys []string
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			end := strings.IndexByte(field, ']')
			if strings.HasPrefix(field, `["`) {
				if q, err := strconv.QuotedPrefix(field[1:]); err == nil {
					key, _ := strconv.Unquote(q)
					keys = append(keys, key)
					field = field[1+len(q)+1:]
					continue
				}
			}
			keys = append(keys, field[1:end])
			field = field[end+1:]
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			keys = append(keys, field[:end])
			field = field[end:]
		}
	}
	return keys
}

// keyField appends a map key to a field path.
func keyField(field, key string) string {
	if strings.ContainsAny(key, ".[]\"") || key == "" {
		return fmt.Sprintf("%s[%q]", field, key)
	}
	return field + "." + key
}
