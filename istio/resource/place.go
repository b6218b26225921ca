package resource

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"waymark.dev/waymark/diag"
)

// at is the place of a field: of its value, or of the nearest parent that the document has.
//
// A field is a text for people, such as spec.http[0].match[1] or headers["x.y"], and may contain any key that a user
// wrote. It is never split into keys: at each mapping, the beginning of the field is compared with the keys of the
// mapping.
func (d *document) at(field string) diag.Place {
	if d == nil {
		return diag.Place{}
	}
	_, value, _ := d.find(field)
	return d.source.placeOf(value.Line, value.Column)
}

// keyAt is the place of the key of a field, or else of the nearest parent.
func (d *document) keyAt(field string) diag.Place {
	if d == nil {
		return diag.Place{}
	}
	key, _, _ := d.find(field)
	return d.source.placeOf(key.Line, key.Column)
}

// lines are the first and the last line of the document in its file.
func (d *document) lines() (first, last int) {
	if d.field == "" || d.field == "[0]" {
		return d.source.line, d.source.line + diag.CountLines(d.source.text) - 1
	}
	_, n, _ := d.find("")
	return d.source.line + n.Line - 1, d.source.line + lastLine(n) - 1
}

// lastLine is the number of the last line of a node.
func lastLine(n *yaml.Node) int {
	last := n.Line + diag.CountLines(n.Value) - 1
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// placeOf is the place in the file of a line and a column of the source.
func (s *source) placeOf(line, column int) diag.Place {
	if line <= 1 {
		column += s.column - 1
	}
	return diag.Place{File: s.file, Line: s.line + max(line, 1) - 1, Column: max(column, 1)}
}

// maxField is the longest field for which a place is looked up, in bytes. Fields of valid resources are shorter.
const maxField = 4 << 10

// find returns the nodes of a field of the document: its key and its value, or those of the nearest parent, for which
// isThere is false.
func (d *document) find(field string) (key, value *yaml.Node, isThere bool) {
	tree := d.source.trees.get(d.source)
	if field != "" && d.field != "" {
		field = d.field + "." + field
	} else {
		field = d.field + field
	}
	at := pair{tree.root, tree.root}
	rest := field
	for rest != "" && len(field) <= maxField {
		next, after := tree.step(at.value, strings.TrimPrefix(rest, "."))
		if next.value == nil {
			break
		}
		at, rest = next, after
	}
	return at.key, at.value, rest == ""
}

// placeholderIn returns the first placeholder or expression of a template in a field: in its key, in its value, or in
// the text that stands where the field's parent is expected; "" for none.
func (d *document) placeholderIn(field string) string {
	if d == nil {
		return ""
	}
	key, value, isThere := d.find(field)
	if !isThere && value.Kind != yaml.ScalarNode {
		return ""
	}
	seen := map[*yaml.Node]bool{}
	var in func(n *yaml.Node) string
	in = func(n *yaml.Node) string {
		if n = resolve(n); seen[n] {
			return ""
		}
		seen[n] = true
		if at := unfilledIn(n.Value); at != "" {
			return at
		}
		for _, child := range n.Content {
			if at := in(child); at != "" {
				return at
			}
		}
		return ""
	}
	if at := in(value); at != "" || key.Kind != yaml.ScalarNode {
		return at
	}
	return unfilledIn(key.Value)
}

// trees are the parsed texts of the sources for which a place was asked last. The others are parsed again, so that a
// large input does not take the memory of all its nodes.
type trees struct {
	mu     sync.Mutex
	recent []*source // the last one was used last
	parsed map[*source]*tree
	bytes  int // of the texts of recent
}

// maxTreeBytes bounds the texts of the trees that are kept; the last one is always kept.
const maxTreeBytes = 1 << 20

func newTrees() *trees { return &trees{parsed: map[*source]*tree{}} }

func (t *trees) get(s *source) *tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.parsed[s]; ok {
		return known
	}
	for len(t.recent) > 0 && t.bytes+len(s.text) > maxTreeBytes {
		t.bytes -= len(t.recent[0].text)
		delete(t.parsed, t.recent[0])
		t.recent = t.recent[1:]
	}
	out := parse(s.text)
	t.recent, t.parsed[s] = append(t.recent, s), out
	t.bytes += len(s.text)
	return out
}

// tree is a parsed text. It indexes the keys of each mapping once, so that the cost of many findings in one large
// mapping does not grow with their number times its size.
type tree struct {
	root     *yaml.Node
	children map[*yaml.Node]map[string]pair
}

// pair is a key of a mapping with its value, or an item of a sequence twice.
type pair struct{ key, value *yaml.Node }

// parse returns the tree of a text; an empty one for a text that is not YAML.
func parse(text string) *tree {
	t := &tree{root: &yaml.Node{Line: 1, Column: 1}, children: map[*yaml.Node]map[string]pair{}}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) == nil && len(doc.Content) == 1 {
		t.root = resolve(doc.Content[0])
	}
	return t
}

// resolve returns the node that an alias stands for, or the node itself.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// step returns the child of a node with whose key or index the field begins, and the rest of the field; a zero pair
// where there is none.
func (t *tree) step(n *yaml.Node, field string) (child pair, rest string) {
	switch n.Kind {
	case yaml.SequenceNode:
		number, rest, ok := strings.Cut(strings.TrimPrefix(field, "["), "]")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || i >= len(n.Content) {
			return pair{}, ""
		}
		return pair{n.Content[i], resolve(n.Content[i])}, rest
	case yaml.MappingNode:
		keys := t.keys(n)
		for end := 1; end <= len(field); end++ {
			if end < len(field) && field[end] != '.' && field[end] != '[' {
				continue
			}
			if child, ok := keys[field[:end]]; ok {
				return child, field[end:]
			}
		}
	}
	return pair{}, ""
}

// keys are the entries of a mapping by key, in both spellings that fields have. The last of two equal keys counts, and
// those that are merged in come after the mapping's own.
func (t *tree) keys(n *yaml.Node) map[string]pair {
	if known, ok := t.children[n]; ok {
		return known
	}
	keys := make(map[string]pair, len(n.Content)/2)
	t.children[n] = keys // a mapping that is merged into itself ends here
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if key.Value == "<<" {
			merged = append(merged, value)
			continue
		}
		keys[diag.KeyField("", key.Value)] = pair{key, value}
		keys[key.Value] = pair{key, value} // the spelling in errors of the decoder for Kubernetes kinds
	}
	for len(merged) > 0 {
		from := resolve(merged[0])
		merged = merged[1:]
		if from.Kind == yaml.SequenceNode {
			merged = append(merged, from.Content...)
			continue
		}
		if from.Kind == yaml.MappingNode {
			for key, entry := range t.keys(from) {
				if _, ok := keys[key]; !ok {
					keys[key] = entry
				}
			}
		}
	}
	return keys
}

// reportTwice adds a warning for each key that a mapping of the document has twice.
func (d *document) reportTwice(o *Object, findings *diag.Findings) {
	_, root, _ := d.find("")
	var walk func(n *yaml.Node, field string)
	walk = func(n *yaml.Node, field string) {
		switch n.Kind {
		case yaml.SequenceNode:
			for i, item := range n.Content {
				walk(item, fmt.Sprintf("%s[%d]", field, i))
			}
		case yaml.MappingNode:
			seen := make(map[string]*yaml.Node, len(n.Content)/2)
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				at := diag.KeyField(field, key.Value)
				if first := seen[key.Value]; first != nil && key.Value != "<<" {
					findings.AddAt(d.source.placeOf(key.Line, key.Column), diag.Warning, "VAL-ANY-06", o, at, "key %q is also in line %d; the last one counts, as with kubectl apply", key.Value, d.source.placeOf(first.Line, 1).Line)
				}
				seen[key.Value] = key
				walk(n.Content[i+1], at)
			}
		}
	}
	walk(root, "")
}
