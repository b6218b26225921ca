package diag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts are the texts of the files that were read, for the excerpts of findings. The zero value has none.
type Texts struct {
	lines map[string][]string // by file
	marks map[Place][]int     // of each line that was shown: where every 1024th character begins
}

// Add keeps the text of a file, but for lines with a key or a certificate, which may stand where only its name belongs.
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

// What PEM begins with, plain and in base64.
const (
	pem         = "-----BEGIN"
	pemInBase64 = "LS0tLS1CRUdJT"
)

// Hide takes out lines, both included, that must never be shown, such as those of a Secret. Nothing that is found points
// at one; but in a file of JSON, the line of another object may be the Secret's, too.
func (t *Texts) Hide(file string, first, last int) {
	lines := t.lines[file]
	for i := max(first, 1); i <= min(last, len(lines)); i++ {
		lines[i-1] = hidden
	}
}

// hidden stands for a line that is not shown.
const hidden = "\x00"

// CountLines is how many lines a text has.
func CountLines(text string) int { return len(splitLines(text)) }

// splitLines splits a text at what ends a line in YAML, which counts them so: besides line feeds, carriage returns and the
// three line ends of Unicode.
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

// maxExcerpt is how much of a long line is shown, in characters: half of it before the place.
const maxExcerpt = 120

// Excerpt is the line of a place, or the part of a long one around it, and below it a caret under the place, each with a
// line end. It is "" where there is no such line, or where it must not be shown. What cannot be printed is shown as a
// question mark. A nil t has no lines.
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

// cut is the part of a line around a place, in characters, at most width of them, and the index of the place in it. ok is
// false where there is no such line, or it must not be shown.
func (t *Texts) cut(p Place, width int) (text []rune, at int, ok bool) {
	lines := t.lines[p.File]
	if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || lines[p.Line-1] == hidden {
		return nil, 0, false
	}
	begin := max(0, p.Column-1-width/2)
	if line := lines[p.Line-1]; len(line) <= utf8.UTFMax*width && utf8.RuneCountInString(line) <= width {
		begin = 0 // it is shown whole
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

// from is the line of a place from a character on, and which character that is: the last one of a shorter line. In a long
// line it begins at a mark, so that many findings in one line cost no more than one.
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

// markEvery is the distance of marks in a line, in characters.
const markEvery = 1024
