package resource

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"waymark.dev/waymark/diag"
)

// source is the text of one document of a file.
type source struct {
	file         string
	text         string
	line, column int // of its first character, counted from 1
	trees        *trees
}

// shared is a text as a part of the source, whose text is kept, where that saves memory and is quickly found.
func (s *source) shared(text string) string {
	const long, quick = 64, 64 << 10
	if len(text) >= long && len(s.text) <= quick {
		if i := strings.Index(s.text, text); i >= 0 {
			return s.text[i : i+len(text)]
		}
	}
	return text
}

// document is one object of a source.
type document struct {
	source *source
	field  string // of the object in the source: "" for the whole, items[3] in a list
}

// plainText returns the content of a file as UTF-8 without a byte order mark. PowerShell writes UTF-16.
func plainText(text string) string {
	var low, high int // the bytes of a unit
	switch {
	case strings.HasPrefix(text, "\xFF\xFE"):
		low, high = 0, 1
	case strings.HasPrefix(text, "\xFE\xFF"):
		low, high = 1, 0
	default:
		return strings.TrimPrefix(text, "\uFEFF")
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i+1 < len(text); i += 2 {
		units = append(units, uint16(text[i+low])|uint16(text[i+high])<<8)
	}
	return string(utf16.Decode(units))
}

// split cuts the text of a file into its documents, at lines that begin with "---" or "...". YAML has such lines between
// documents only, so that a broken document does not affect those behind it.
func split(file, text string, trees *trees) (sources []*source) {
	lines := newLineCounter(text)
	current := &source{file: file, line: 1, column: 1, trees: trees}
	begin := 0
	end := func(at int) {
		if current.text = text[begin:at]; !isBlank(current.text) {
			sources = append(sources, current)
		}
	}
	for at := 0; at < len(text); {
		next := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if line := text[at:next]; isMarker(line, "---") || isMarker(line, "...") {
			end(at)
			begin = at + 3 // there may be content on the line
			current = &source{file: file, line: lines.at(begin), column: 4, trees: trees}
		}
		at = next
	}
	end(len(text))
	return sources
}

// isMarker reports whether a line is one between documents.
func isMarker(line, marker string) bool {
	rest, ok := strings.CutPrefix(line, marker)
	return ok && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// isBlank reports whether a text has nothing but white space, comments and directives.
func isBlank(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// lineCounter counts lines up to ascending positions of a text, by YAML's line ends.
type lineCounter struct {
	text   string
	simple bool // all line ends are line feeds
	line   int
	done   int
}

func newLineCounter(text string) *lineCounter {
	odd := strings.ContainsAny(text, "\u0085\u2028\u2029") || strings.Count(text, "\r") != strings.Count(text, "\r\n")
	return &lineCounter{text: text, simple: !odd, line: 1}
}

// at is the number of the line of a position, which is not less than the one before.
func (c *lineCounter) at(position int) int {
	part := c.text[c.done:position]
	c.done = position
	if c.simple {
		c.line += strings.Count(part, "\n")
	} else {
		c.line += diag.CountLines(part) - 1
	}
	return c.line
}

// columnAt is the column of a position in its line, in characters and counted from 1.
func columnAt(text string, position int) int {
	before := text[:position]
	if i := strings.LastIndexAny(before, "\n\r\u0085\u2028\u2029"); i >= 0 {
		_, width := utf8.DecodeRuneInString(before[i:])
		before = before[i+width:]
	}
	return utf8.RuneCountInString(before) + 1
}

// jsonValues cuts a source that is a stream of JSON values into them. ok is false where it is not one.
func jsonValues(s *source) (sources []*source, ok bool) {
	trimmed := strings.TrimLeft(s.text, " \t\r\n")
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' {
		return nil, false
	}
	lines := newLineCounter(s.text)
	decoder := json.NewDecoder(strings.NewReader(s.text))
	begin := 0
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return sources, true
		}
		if err != nil {
			return nil, false
		}
		end := int(decoder.InputOffset())
		begin += len(s.text[begin:end]) - len(strings.TrimLeft(s.text[begin:end], " \t\r\n"))
		line, column := s.line+lines.at(begin)-1, columnAt(s.text, begin)
		if line == s.line {
			column += s.column - 1
		}
		sources = append(sources, &source{file: s.file, text: s.text[begin:end], line: line, column: column, trees: s.trees})
		begin = end
	}
}

var (
	listKind = regexp.MustCompile(`(?m)^kind: *["']?([A-Za-z]*List)["']?[ \t\r]*$`)
	itemsKey = regexp.MustCompile(`(?m)^items:[ \t\r]*\n`)
	alias    = regexp.MustCompile(`(?m)(?:^|[\s\[{,])\*[A-Za-z0-9_-]+[ \t\r]*(?:$|[,\]}])`)
)

// listItems cuts a List in block style, which is how kubectl prints it, into its items without parsing it, so that only
// one item at a time takes memory, and a broken item does not affect the others. Each item is a source with a
// sequence of one element. ok is false where a source is not such a list; it is parsed as a whole then.
func listItems(s *source) (kind string, items []*source, ok bool) {
	key, is := itemsKey.FindStringIndex(s.text), listKind.FindStringSubmatch(s.text)
	if key == nil || is == nil || alias.MatchString(s.text) {
		return "", nil, false
	}
	lines := newLineCounter(s.text)
	indent, begin := -1, 0
	end := func(at int) {
		if begin > 0 {
			items = append(items, &source{file: s.file, text: s.text[begin:at], line: s.line + lines.at(begin) - 1, column: 1, trees: s.trees})
		}
		begin = at
	}
	at := key[1]
	for at < len(s.text) {
		line := s.text[at:]
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		content := strings.TrimLeft(line, " ")
		level := len(line) - len(content)
		isItem := strings.HasPrefix(content, "- ") || strings.TrimSpace(content) == "-"
		if content = strings.TrimSpace(content); content != "" && content[0] != '#' {
			if indent < 0 {
				indent = level
			}
			switch {
			case level == indent && isItem:
				end(at)
			case level <= indent:
				end(at)
				return is[1], items, len(items) > 0
			}
		}
		at += len(line)
	}
	end(at)
	return is[1], items, len(items) > 0
}
