package diag

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts has the contents of files, for the excerpts of findings. The zero value is ready to use.
type Texts struct {
	files map[string]*lines
}

// lines is a text whose lines are found once one of them is to be shown.
type lines struct {
	text   string
	begins []int    // the byte at which each line begins; nil before they were looked for
	hidden [][2]int // first and last lines that are not shown
	sorted bool     // hidden is, by first lines, and last lines ascend
	shown  map[int]line
}

// line is one that was to be shown.
type line struct {
	text  string
	ok    bool  // it may be shown
	marks []int // the byte at which every 1024th character begins
}

// Add adds the content of a file.
func (t *Texts) Add(file, text string) {
	if t.files == nil {
		t.files = map[string]*lines{}
	}
	t.files[file] = &lines{text: text}
}

// The beginning of PEM, plain and in base64. A user may have written a key or a certificate where only its name belongs:
// a line with one is not shown.
const (
	pem         = "-----BEGIN"
	pemInBase64 = "LS0tLS1CRUdJT"
)

// Hide hides the lines from first to last, both included and counted from 1, which must never be shown, such as those of
// a Secret. A finding about another object may be on such a line: a JSON file may have a Secret and the object on one
// line.
func (t *Texts) Hide(file string, first, last int) {
	if l := t.files[file]; l != nil {
		l.hidden, l.sorted, l.shown = append(l.hidden, [2]int{first, last}), false, nil
	}
}

// isHidden reports whether a line must not be shown.
func (l *lines) isHidden(number int) bool {
	if !l.sorted {
		slices.SortFunc(l.hidden, func(a, b [2]int) int { return a[0] - b[0] })
		for i := 1; i < len(l.hidden); i++ {
			l.hidden[i][1] = max(l.hidden[i][1], l.hidden[i-1][1])
		}
		l.sorted = true
	}
	i, _ := slices.BinarySearchFunc(l.hidden, number, func(part [2]int, number int) int { return part[1] - number })
	return i < len(l.hidden) && l.hidden[i][0] <= number
}

// line is a line, counted from 1. It is found once, so that many findings in one long line do not each read it.
func (l *lines) line(number int) line {
	if l == nil {
		return line{}
	}
	known, ok := l.shown[number]
	if !ok {
		if l.shown == nil {
			l.shown = map[int]line{}
		}
		known = l.find(number)
		l.shown[number] = known
	}
	return known
}

func (l *lines) find(number int) line {
	if l.begins == nil {
		l.begins = append(l.begins, 0)
		for end := range lineEnds(l.text) {
			l.begins = append(l.begins, end.after)
		}
	}
	if number < 1 || number > len(l.begins) || l.isHidden(number) {
		return line{}
	}
	out := line{text: l.text[l.begins[number-1]:]}
	for end := range lineEnds(out.text) {
		out.text = out.text[:end.at]
		break
	}
	out.ok = !strings.Contains(out.text, pem) && !strings.Contains(out.text, pemInBase64)
	n := 0
	for i := range out.text {
		if n%markEvery == 0 {
			out.marks = append(out.marks, i)
		}
		n++
	}
	return out
}

// CountLines returns the number of lines of a text, by YAML's line ends.
func CountLines(text string) int {
	n := 1
	for range lineEnds(text) {
		n++
	}
	return n
}

// lineEnd is where a line ends, and where the one behind it begins.
type lineEnd struct{ at, after int }

// lineEnds yields YAML's line ends, by which the parser counts lines: line feeds, carriage returns, and Unicode's next
// line, line separator and paragraph separator.
func lineEnds(text string) iter.Seq[lineEnd] {
	return func(yield func(lineEnd) bool) {
		for at := 0; ; {
			i := strings.IndexAny(text[at:], "\n\r\u0085\u2028\u2029")
			if i < 0 {
				return
			}
			end := lineEnd{at: at + i}
			_, n := utf8.DecodeRuneInString(text[end.at:])
			if strings.HasPrefix(text[end.at:], "\r\n") {
				n = 2
			}
			if at = end.at + n; !yield(lineEnd{end.at, at}) {
				return
			}
		}
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
	l := t.files[p.File].line(p.Line)
	if !l.ok || p.Column < 1 {
		return nil, 0, false
	}
	begin := max(0, p.Column-1-width/2)
	if len(l.text) <= utf8.UTFMax*width && utf8.RuneCountInString(l.text) <= width {
		begin = 0 // the whole line is shown
	}
	rest, at := l.from(begin)
	for _, c := range rest[:min(len(rest), utf8.UTFMax*width)] {
		if len(text) == width {
			break
		}
		text = append(text, c)
	}
	return text, min(p.Column-1-at, len(text)), true
}

// from returns the rest of a line from a character on, counted from 0, and the index of that character: the end of a
// shorter line. It searches from the nearest mark.
func (l *line) from(character int) (rest string, at int) {
	if len(l.marks) == 0 {
		return l.text, 0
	}
	mark := min(character/markEvery, len(l.marks)-1)
	at = mark * markEvery
	for i := range l.text[l.marks[mark]:] {
		if at == character {
			return l.text[l.marks[mark]+i:], at
		}
		at++
	}
	return "", at
}

// markEvery is the distance between marks in a line, in characters.
const markEvery = 1024
