package diag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts has the contents of files, for the excerpts of findings. The zero value is ready to use.
type Texts struct {
	lines map[string][]string // by file
	marks map[Place][]int     // by line that was shown: the byte at which every 1024th character begins
}

// Add adds the content of a file, without lines that have a key or a certificate, which a user may have written where only
// its name belongs.
func (t *Texts) Add(file, text string) {
	if t.lines == nil {
		t.lines, t.marks = map[string][]string{}, map[Place][]int{}
	}
	lines := splitLines(text)
	for i, line := range lines {
		if strings.Contains(line, pem) || strings.Contains(line, pemInBase64) {
			lines[i] = hidden
		}
	}
	t.lines[file] = lines
}

// The beginning of PEM, plain and in base64.
const (
	pem         = "-----BEGIN"
	pemInBase64 = "LS0tLS1CRUdJT"
)

// Hide removes the lines from first to last, both included and counted from 1, which must never be shown, such as those
// of a Secret. A finding about another object may be on such a line: a JSON file may have a Secret and the object on
// one line.
func (t *Texts) Hide(file string, first, last int) {
	lines := t.lines[file]
	for i := max(first, 1); i <= min(last, len(lines)); i++ {
		lines[i-1] = hidden
	}
}

// hidden replaces a line that is not shown.
const hidden = "\x00"

// CountLines returns the number of lines of a text, by YAML's line ends.
func CountLines(text string) int { return len(splitLines(text)) }

// splitLines splits a text at YAML's line ends, by which the parser counts lines: line feeds, carriage returns, and
// Unicode's next line, line separator and paragraph separator.
func splitLines(text string) (lines []string) {
	for {
		i := strings.IndexAny(text, "\n\r\u0085\u2028\u2029")
		if i < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:i])
		_, n := utf8.DecodeRuneInString(text[i:])
		if strings.HasPrefix(text[i:], "\r\n") {
			n = 2
		}
		text = text[i+n:]
	}
}

// maxExcerpt is the largest part of a line that is shown, in characters. Half of it is before the place.
const maxExcerpt = 120

// Excerpt returns the line of a place, or the part of a long line around it, and a second line with a caret under the
// place, each with a line end. It is "" if there is no such line or if it must not be shown, and for a nil t. Characters
// that are not printable are shown as question marks.
func (t *Texts) Excerpt(p Place) string {
	if t == nil {
		return ""
	}
	line, at, ok := t.cut(p, maxExcerpt)
	if !ok {
		return ""
	}
	caret := make([]rune, at)
	for i, c := range line {
		if c != '\t' && (c == utf8.RuneError || !unicode.IsPrint(c)) {
			line[i] = '?'
		}
		if i < at {
			caret[i] = ' '
			if c == '\t' {
				caret[i] = '\t'
			}
		}
	}
	return strings.TrimRightFunc(string(line), unicode.IsSpace) + "\n" + string(caret) + "^\n"
}

// cut returns the part of a line around a place, at most width characters, and the index of the place in it. ok is
// false if there is no such line, or it must not be shown.
func (t *Texts) cut(p Place, width int) (text []rune, at int, ok bool) {
	lines := t.lines[p.File]
	if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || lines[p.Line-1] == hidden {
		return nil, 0, false
	}
	begin := max(0, p.Column-1-width/2)
	if line := lines[p.Line-1]; len(line) <= utf8.UTFMax*width && utf8.RuneCountInString(line) <= width {
		begin = 0 // the whole line is shown
	}
	line, at := t.from(p, begin)
	for _, c := range line[:min(len(line), utf8.UTFMax*width)] {
		if len(text) == width {
			break
		}
		text = append(text, c)
	}
	return text, min(p.Column-1-at, len(text)), true
}

// from returns the rest of a place's line from a character on, counted from 0, and the index of that character: the end
// of a shorter line. It searches from the nearest mark, so that many findings in one long line do not each read it from
// the beginning.
func (t *Texts) from(p Place, character int) (rest string, at int) {
	line := t.lines[p.File][p.Line-1]
	key := Place{File: p.File, Line: p.Line}
	marks, ok := t.marks[key]
	if !ok {
		n := 0
		for i := range line {
			if n%markEvery == 0 {
				marks = append(marks, i)
			}
			n++
		}
		t.marks[key] = marks
	}
	if len(marks) == 0 {
		return line, 0
	}
	mark := min(character/markEvery, len(marks)-1)
	at = mark * markEvery
	for i := range line[marks[mark]:] {
		if at == character {
			return line[marks[mark]+i:], at
		}
		at++
	}
	return "", at
}

// markEvery is the distance between marks in a line, in characters.
const markEvery = 1024
