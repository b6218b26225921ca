package resource

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	kyaml "sigs.k8s.io/yaml"

	"waymark.dev/waymark/diag"
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
	errItself  = errors.New("an alias is a part of what it stands for")
)

// converter converts YAML documents to JSON with the library of Kubernetes, so that a document means here what it means
// in a cluster. RATIONALE.md says why. Its field counts what the aliases of all documents expand to.
type converter struct {
	aliasNodes int
}

// json converts the YAML of a source. twice is true if a mapping in it may have a key twice, of which the last one
// counts, as with kubectl apply. The error is a [*syntaxError] for a text that is not YAML, and a [*moreError] for one with something behind
// its document, which the library drops.
func (c *converter) json(s *source) (text []byte, twice bool, err error) {
	if more := moreThanOne(s); more != nil {
		return nil, false, more
	}
	if strings.Contains(s.text, "&") || isDeep(s.text) {
		if err := c.bound(s); err != nil {
			return nil, false, err
		}
	}
	text, err = kyaml.YAMLToJSONStrict([]byte(s.text))
	if err == nil {
		return text, false, nil
	}
	text, err = kyaml.YAMLToJSON([]byte(s.text))
	if err != nil {
		return nil, false, newSyntaxError(s, err)
	}
	return text, true, nil
}

// isDeep reports whether a text may be nested too deeply for the parser's stack.
func isDeep(text string) bool {
	return len(text) > maxNesting && (strings.Count(text, "[")+strings.Count(text, "{") > maxNesting || strings.Count(text, "- -") > maxNesting/4 || strings.Contains(text, deepIndent))
}

// deepIndent is the indentation of a part that may be nested too deeply.
var deepIndent = strings.Repeat(" ", maxNesting/2)

// bound checks what the aliases of a source would expand to, before anything expands them. A text that is not YAML passes:
// the conversion reports what is wrong.
func (c *converter) bound(s *source) error {
	e := expansion{sizes: map[*yaml.Node]size{}}
	if err := e.walk(s.trees.get(s).root, 1); err != nil {
		return err
	}
	if e.aliases.nodes > maxAliasNodes || e.aliases.bytes > maxAliasBytes {
		return errAliases
	}
	if c.aliasNodes += e.aliases.nodes; c.aliasNodes > maxAllAliases {
		return errAll
	}
	return nil
}

// size is that of a part of a document with all aliases expanded.
type size struct{ nodes, bytes, depth int }

func (s *size) add(other size) {
	const enough = 1 << 40 // sums do not overflow
	s.nodes, s.bytes = min(s.nodes+other.nodes, enough), min(s.bytes+other.bytes, enough)
}

// expansion computes sizes in one visit of each node.
type expansion struct {
	sizes   map[*yaml.Node]size // of what anchors name; present and zero while it is computed
	aliases size                // of all outermost aliases together
}

func (e *expansion) walk(n *yaml.Node, depth int) error {
	_, err := e.size(n, depth, false)
	return err
}

func (e *expansion) size(n *yaml.Node, depth int, inAlias bool) (size, error) {
	if depth > maxNesting {
		return size{}, errNesting
	}
	if n.Kind == yaml.AliasNode {
		known, ok := e.sizes[n.Alias]
		switch {
		case ok && known.nodes == 0:
			return size{}, errItself
		case !ok:
			var err error
			if known, err = e.size(n.Alias, depth, true); err != nil {
				return size{}, err
			}
		}
		if depth+known.depth > maxNesting {
			return size{}, errNesting
		}
		if !inAlias {
			e.aliases.add(known)
		}
		return known, nil
	}
	if n.Anchor != "" {
		e.sizes[n] = size{}
	}
	total := size{nodes: 1, bytes: len(n.Value) + 4, depth: 1}
	for _, child := range n.Content {
		// An alias in an anchor is counted for itself, and again with each alias of the anchor.
		s, err := e.size(child, depth+1, inAlias)
		if err != nil {
			return size{}, err
		}
		total.add(s)
		total.depth = max(total.depth, s.depth+1)
	}
	if n.Anchor != "" {
		e.sizes[n] = total
	}
	return total, nil
}

// moreError is a text with something behind its document.
type moreError struct {
	*syntaxError
	at int // where the rest begins
}

func (e *moreError) Unwrap() error { return e.syntaxError }

// moreThanOne finds what is behind the document of a source, which has one. That is possible where the document does not
// begin with a key or an item at the left border: behind {a: b}, or where the first line is further in than another one.
func moreThanOne(s *source) error {
	if s.single || blockStyle.MatchString(s.text) {
		return nil
	}
	var root yaml.Node
	var at *yaml.LoadError
	if err := yaml.Unmarshal([]byte(s.text), &root); !errors.As(err, &at) || !strings.Contains(at.Message, "<document start>") {
		return nil
	}
	position := positionOf(s.text, at.Mark.Index)
	if isBlank(s.text[:position]) {
		return nil // directives, whose mistakes the conversion reports
	}
	return &moreError{newNotJSON(s, position), position}
}

// blockStyle is a text that begins with a key or an item at the left border.
var blockStyle = regexp.MustCompile(`\A(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:[A-Za-z0-9_./$-]+[ \t]*:[ \t\r\n]|- )`)

// positionOf is the position of a character.
func positionOf(text string, index int) int {
	for i := range text {
		if index--; index < 0 {
			return i
		}
	}
	return len(text)
}

// newNotJSON is the error for a part of a source behind a document, at a position of it.
func newNotJSON(s *source, at int) *syntaxError {
	place := s.placeOf(newLineCounter(s.text).at(at), columnAt(s.text, at))
	return &syntaxError{place, "this is neither a part of the document before it nor a JSON value; write a line of --- between documents"}
}

// withoutQuotes is a message up to what it quotes of a text. Signs of YAML, such as ',', are not from the text.
func withoutQuotes(message string) string {
	rest := quotedSign.ReplaceAllStringFunc(message, func(s string) string { return strings.Repeat("x", len(s)) })
	if i := strings.IndexAny(rest, "'\"`"); i >= 0 {
		message = strings.TrimSpace(message[:i])
	}
	return message
}

var quotedSign = regexp.MustCompile("'[[:punct:]]'")

// syntaxError is a text that is not YAML, with its place.
type syntaxError struct {
	place   diag.Place
	message string
}

func (e *syntaxError) Error() string { return e.message }

// newSyntaxError finds the place and the words for an error of the conversion. The converter's own error has no column,
// and a line that may be off, so the place is that of a second parser.
func newSyntaxError(s *source, err error) error {
	out := &syntaxError{place: diag.Place{File: s.file, Line: s.line}, message: "not YAML: " + plainMessage(err)}
	var root yaml.Node
	var at *yaml.LoadError
	second := yaml.Unmarshal([]byte(s.text), &root)
	if !errors.As(second, &at) {
		if n, message := misfit(&root); n != nil {
			out.place = s.placeOf(n.Line, n.Column)
			if message != "" {
				out.message = "not YAML: " + message
			}
		}
		return out
	}
	if at.Mark.Line == 0 { // a character that YAML does not have
		if i := strings.IndexFunc(s.text, isForbidden); i >= 0 {
			out.place = s.placeOf(newLineCounter(s.text).at(i), columnAt(s.text, i))
			if c, size := utf8.DecodeRuneInString(s.text[i:]); c == utf8.RuneError && size == 1 {
				out.message = "not YAML: this is not UTF-8"
			}
		}
		return out
	}
	mark, message := at.Mark, at.Message
	if at.ContextMsg != "" && at.ContextMark.Line > 0 {
		context := strings.TrimPrefix(strings.TrimPrefix(at.ContextMsg, "while parsing "), "while scanning ")
		switch context {
		case "a quoted scalar":
			if !strings.Contains(message, "unexpected") {
				break // such as an unknown escape, whose own place is better
			}
			mark, message = at.ContextMark, "the quoted text that begins here does not end"
		case "a simple key":
			mark, message = at.ContextMark, "there is no colon behind this key"
		case "a flow sequence":
			mark, message = at.ContextMark, fmt.Sprintf("the list that begins here does not end: %s in line %d", message, s.line+at.Mark.Line-1)
		case "a flow mapping":
			mark, message = at.ContextMark, fmt.Sprintf("the mapping that begins here does not end: %s in line %d", message, s.line+at.Mark.Line-1)
		}
	}
	text := strings.TrimRight(s.text, " \t\r\n\u0085\u2028\u2029")
	if last := diag.CountLines(text); mark.Line > last { // the end of the text
		mark.Line, mark.Column = last, columnAt(text, len(text))-1
		message = "the document ends in the middle of a value: " + message
	}
	out.message = "not YAML: " + message
	out.place = s.placeOf(mark.Line, mark.Column)
	return out
}

// isForbidden reports whether YAML does not have a character. What is not UTF-8 is among them.
func isForbidden(c rune) bool {
	return c == utf8.RuneError || c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7F || c >= 0x80 && c < 0xA0 && c != 0x85 || c == 0xFFFE || c == 0xFFFF
}

// nullKey is the message about a key that is null, as an empty one is.
const nullKey = "a key must be a text, and is null"

// misfit finds what cannot be converted to JSON in a text that is YAML, with a message if it is better than that of the
// converter; nil where it is not found.
func misfit(n *yaml.Node) (at *yaml.Node, message string) {
	if n.Kind == yaml.ScalarNode {
		var value any
		switch {
		case n.Decode(&value) != nil:
			return n, "a value does not fit its tag"
		case isInfinite(value):
			return n, "a number is infinite or not a number"
		}
		return nil, ""
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
			switch {
			case key.Kind != yaml.ScalarNode:
				return n.Content[i], ""
			case key.ShortTag() == "!!null" && key.Value != "<<":
				return n.Content[i], nullKey
			case key.ShortTag() == "!!merge" && !isMergeable(value):
				return n.Content[i+1], "<< takes a mapping or a list of mappings"
			case key.ShortTag() != "!!merge" && key.Decode(new(any)) != nil:
				return n.Content[i], "a value does not fit its tag"
			}
			if at, message = misfit(n.Content[i+1]); at != nil {
				return at, message
			}
		}
		return nil, ""
	}
	if n.Kind != yaml.AliasNode {
		for _, child := range n.Content {
			if at, message = misfit(child); at != nil {
				return at, message
			}
		}
	}
	return nil, ""
}

func isInfinite(value any) bool {
	number, ok := value.(float64)
	return ok && (math.IsInf(number, 0) || math.IsNaN(number))
}

// isMergeable reports whether << can have a value.
func isMergeable(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(item *yaml.Node) bool { return resolve(item).Kind != yaml.MappingNode })
}

// plainMessage is the text of a YAML error without the names of libraries and types of Go.
func plainMessage(err error) string {
	text := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "json: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	switch {
	case strings.HasPrefix(text, "invalid map key"):
		return "a key is a list or a mapping; quote a value that begins with {"
	case strings.HasPrefix(text, "unsupported map key"): // it has the value
		return nullKey
	case strings.HasPrefix(text, "map merge"):
		return "<< takes a mapping or a list of mappings"
	case strings.Contains(text, "cannot decode"), strings.Contains(text, "cannot unmarshal"): // it has the value, which may be a key
		return "a value does not fit its tag"
	case strings.HasPrefix(text, "unsupported value"):
		return "a number is infinite or not a number"
	}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, message, ok := strings.Cut(rest, ": "); ok {
			return message
		}
	}
	return text
}
