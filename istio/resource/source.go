package resource

import (
	"encoding/json"
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

	// What the text around a part of a document says.
	broken bool // it is not JSON, behind JSON
	single bool // nothing is behind its document
	ours   bool // a resource of Istio is named there
	secret bool // a Secret is named there
}

// namesIstio reports whether a text, or what it is a part of, names a resource that Waymark reads.
func (s *source) namesIstio() bool { return s.ours || ours.MatchString(s.text) }

// mayBeSecret reports whether a text may be a part of a Secret.
func (s *source) mayBeSecret() bool { return s.secret || strings.Contains(s.text, "Secret") }

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

// document is one object of a source. The methods of a nil one, that of an object from no file, find nothing.
type document struct {
	source *source
	field  string // of the object in the source: "" for the whole, items[3] in a list
}

// shared is [source.shared] of the document's source.
func (d *document) shared(text string) string {
	if d == nil {
		return text
	}
	return d.source.shared(text)
}

// plainText returns the content of a file as UTF-8 without byte order marks. PowerShell writes UTF-16.
func plainText(text string) string {
	var low, high int // the bytes of a unit
	switch {
	case strings.HasPrefix(text, "\xFF\xFE"):
		low, high = 0, 1
	case strings.HasPrefix(text, "\xFE\xFF"):
		low, high = 1, 0
	case !strings.Contains(text, byteOrderMark):
		return text
	default:
		return joinedMark.ReplaceAllString(strings.TrimPrefix(text, byteOrderMark), "$1")
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i+1 < len(text); i += 2 {
		units = append(units, uint16(text[i+low])|uint16(text[i+high])<<8)
	}
	return string(utf16.Decode(units))
}

const byteOrderMark = "\uFEFF"

// joinedMark is a byte order mark at the beginning of a line, where a file begins that was joined to another one.
var joinedMark = regexp.MustCompile(`(?m)^\x{FEFF}([^ \t\r\n])`)

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
	odd := strings.Contains(text, "\u0085") || strings.Contains(text, "\u2028") || strings.Contains(text, "\u2029") ||
		strings.Count(text, "\r") != strings.Count(text, "\r\n")
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

// jsonValues cuts a source that is a stream of JSON values into them. Between them are white space, comments with # and
// byte order marks, which files have that were joined. What is not JSON behind the first value is a source of its own,
// marked as broken. There are no sources where the text does not begin with a JSON value, or with one that has
// placeholders or templates.
func jsonValues(s *source) (sources []*source) {
	at := jsonBegin(s.text, 0)
	if at == len(s.text) || !isJSONBegin(s.text[at]) {
		return nil
	}
	lines, filled := newLineCounter(s.text), ""
	add := func(end int, broken bool) {
		part := s.part(at, end, lines)
		part.broken = broken
		sources = append(sources, part)
		at = jsonBegin(s.text, end)
	}
	for at < len(s.text) {
		length, ok := jsonLength(s.text[at:])
		if ok {
			add(at+length, false)
			continue
		}
		if filled == "" {
			filled = jsonFilled(s.text)
		}
		if length, ok = jsonLength(filled[at:]); ok && isJSONBegin(filled[at]) {
			add(at+length, true)
			continue
		}
		if len(sources) == 0 {
			return nil
		}
		end := len(s.text)
		if next := strings.Index(s.text[at:], "\n{"); s.text[at] == ',' {
			end = at + 1
		} else if next >= 0 && !isJSONBegin(filled[at]) {
			end = at + next + 1
		}
		add(end, true)
	}
	return sources
}

func isJSONBegin(c byte) bool { return c == '{' || c == '[' }

// jsonBegin is where the next value of a stream of JSON begins.
func jsonBegin(text string, at int) int {
	for at < len(text) {
		switch {
		case strings.IndexByte(" \t\r\n", text[at]) >= 0:
			at++
		case strings.HasPrefix(text[at:], byteOrderMark):
			at += len(byteOrderMark)
		case text[at] == '#':
			end := strings.IndexByte(text[at:], '\n')
			if end < 0 {
				return len(text)
			}
			at += end
		default:
			return at
		}
	}
	return at
}

// jsonLength is the length of the JSON value with which a text begins.
func jsonLength(text string) (length int, ok bool) {
	var value json.RawMessage
	decoder := json.NewDecoder(strings.NewReader(text))
	err := decoder.Decode(&value)
	return int(decoder.InputOffset()), err == nil
}

// part is a part of a source, from one position to another. Parts are made in the order of their positions.
func (s *source) part(begin, end int, lines *lineCounter) *source {
	line, column := s.line+lines.at(begin)-1, columnAt(s.text, begin)
	if line == s.line {
		column += s.column - 1
	}
	return &source{file: s.file, text: s.text[begin:end], line: line, column: column, trees: s.trees, ours: s.namesIstio(), secret: s.mayBeSecret()}
}

var (
	listKind = regexp.MustCompile(`(?m)^kind: *["']?([A-Za-z]*List)["']?[ \t\r]*$`)
	// listOfIstio is a list whose items need not say that they are Istio's.
	listOfIstio = regexp.MustCompile(`(?m)^apiVersion: *["']?networking\.istio\.io/`)
	itemsKey    = regexp.MustCompile(`(?m)^items:[ \t\r]*\n`)
	alias       = regexp.MustCompile(`(?m)(?:^|[\s\[{,])\*[A-Za-z0-9_-]+[ \t\r]*(?:$|[,\]}])`)
)

// listItems cuts a List in block style, which is how kubectl prints it, into its items without parsing it, so that only
// one item at a time takes memory, and a broken item does not affect the others. Each item is a source with a
// sequence of one element. ok is false where a source is not such a list; it is parsed as a whole then.
func listItems(s *source) (kind string, items []*source, ok bool) {
	if !strings.Contains(s.text, "items:") {
		return "", nil, false
	}
	key, is := itemsKey.FindStringIndex(s.text), listKind.FindStringSubmatch(s.text)
	if key == nil || is == nil || alias.MatchString(s.text) {
		return "", nil, false
	}
	lines := newLineCounter(s.text)
	indent, begin := -1, 0
	isOurs, isSecret := listOfIstio.MatchString(s.text), strings.Contains(is[1], "Secret")
	end := func(at int) {
		if begin > 0 {
			text := s.text[begin:at]
			secret := isSecret || !strings.Contains(text, "kind:") && s.mayBeSecret()
			items = append(items, &source{file: s.file, text: text, line: s.line + lines.at(begin) - 1, column: 1, trees: s.trees, single: true, ours: isOurs, secret: secret})
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
