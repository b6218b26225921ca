package routing

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// maxDepth bounds the nesting of a document. The format needs seven levels; the reader recurses, and the filter cannot
// recover from a stack overflow.
const maxDepth = 32

// maxProblems bounds the work on a document that is wrong everywhere.
const maxProblems = 1000

// reader reads a JSON document once, strictly, and collects every problem. Each method that reads a value of one type
// returns a zero value (for numbers, the lowest one) and reports a problem if the value has another type. At the first
// syntax error broken is set to the reason, at moves to the end of the document, and the other problems are ignored.
//
// encoding/json would read each level again for the level above it, while 10,000 rules are read on a worker's thread.
// The path of the current value is kept as a stack of steps, and written as text only for a problem.
type reader struct {
	text     string
	at       int // the offset of the next byte
	depth    int
	path     []step
	broken   string
	escaped  bool   // the last string had escapes
	changed  []byte // the decoded texts of strings with escapes
	problems []Problem
}

// step is one key of an object or, with an empty key, one index of an array.
type step struct {
	key   string
	index int
}

func itoa(n int) string { return strconv.Itoa(n) }

func (d *reader) problem(message string) {
	if len(d.problems) >= maxProblems {
		return
	}
	var b strings.Builder
	for i, s := range d.path {
		switch {
		case s.key == "":
			b.WriteString("[" + itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	d.problems = append(d.problems, Problem{b.String(), message})
}

func (d *reader) fail() {
	d.stop("not a JSON document: unexpected byte or end at " + itoa(d.at))
}

func (d *reader) stop(why string) {
	if d.broken == "" {
		d.broken = why
	}
	d.at = len(d.text)
}

// next skips white space and returns the byte that follows, or 0 at the end.
func (d *reader) next() byte {
	for d.at < len(d.text) {
		c := d.text[d.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		d.at++
	}
	return 0
}

// take skips white space and one byte, which must be c.
func (d *reader) take(c byte) {
	if d.next() != c {
		d.fail()
		return
	}
	d.at++
}

// end reports a syntax error if anything but white space follows.
func (d *reader) end() {
	if d.next(); d.at < len(d.text) {
		d.fail()
	}
}

// maxKeys is more than any object of the format has.
const maxKeys = 16

// object is how far an object has been read. The zero value is before its opening bracket:
//
//	var o object
//	for d.member(&o) {
//		switch o.key {
//		case "name":
//			name = d.readText()
//		default:
//			d.unknown()
//		}
//	}
//
// There is no callback, since its variables would be on the heap: of ten thousand rules that is more memory than the
// rules need, and it never shrinks.
type object struct {
	key    string // of the present member
	seen   [maxKeys]string
	n      int // how many keys are in seen
	inside bool
}

// member reads the key of the next member of an object, whose value must be read then, or [reader.unknown] called. false
// means that there is none: the object has been read, or the value is not an object, which is a problem. A key that
// occurs twice is a problem, too.
func (d *reader) member(o *object) bool {
	more := false
	switch {
	case o.inside:
		d.path = d.path[:len(d.path)-1]
		more = d.another('}')
	case d.next() != '{':
		d.wrongType("an object")
	default:
		o.inside = true
		more = d.enter('}')
	}
	for ; more; more = d.another('}') {
		if d.next() != '"' {
			d.fail()
			return false
		}
		o.key = d.string()
		d.take(':')
		twice := false
		for _, s := range o.seen[:o.n] {
			twice = twice || s == o.key
		}
		if o.n < maxKeys {
			o.seen[o.n] = o.key
			o.n++
		}
		if !twice {
			d.path = append(d.path, step{key: o.key})
			return true
		}
		d.problem("key " + strconv.Quote(clip(o.key)) + " occurs twice")
		d.skip()
	}
	return false
}

// unknown skips the value of a key that the format does not have, which is a problem of the object.
func (d *reader) unknown() {
	last := len(d.path) - 1
	member := d.path[last]
	d.path = d.path[:last]
	d.problem("unknown field " + strconv.Quote(clip(member.key)))
	d.skip()
	d.path = append(d.path, member)
}

// array is how far an array has been read. The zero value is before its opening bracket.
type array struct {
	index  int // of the next element
	inside bool
}

// element reports whether the array has a next element, which must be read then. false means that there is none: the
// array has been read, or the value is not an array, which is a problem.
func (d *reader) element(a *array) bool {
	more := false
	switch {
	case a.inside:
		d.path = d.path[:len(d.path)-1]
		more = d.another(']')
	case d.next() != '[':
		d.wrongType("an array")
	default:
		a.inside = true
		more = d.enter(']')
	}
	if more {
		d.path = append(d.path, step{index: a.index})
		a.index++
	}
	return more
}

// enter reads the opening bracket of an object or array, and reports whether there is a member or an element. If there
// is none, it reads the closing bracket, too.
func (d *reader) enter(end byte) bool {
	d.at++
	if d.depth++; d.depth > maxDepth {
		d.stop("nested deeper than " + itoa(maxDepth) + " levels")
		return false
	}
	if d.next() != end {
		return d.broken == ""
	}
	d.at++
	d.depth--
	return false
}

// another reads a comma and returns true, or reads the closing bracket and returns false.
func (d *reader) another(end byte) bool {
	switch d.next() {
	case ',':
		d.at++
		return true
	case end:
		d.at++
		d.depth--
	default:
		d.fail()
	}
	return false
}

// wrongType reports a value of a wrong type and skips it.
func (d *reader) wrongType(want string) {
	d.next()
	start := d.at
	d.skip()
	if d.broken == "" {
		d.problem("want " + want + ", got " + kindOf(d.text[start:d.at]))
	}
}

func kindOf(raw string) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "the string " + clip(raw)
	default:
		return clip(raw)
	}
}

// clip keeps a message to one short line.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// readSpan reads a string and returns its place in [texts]: in the document or, for a string with escapes, in changed.
func (d *reader) readSpan() span {
	s := d.readText()
	if s == "" {
		return span{}
	}
	if !d.escaped {
		return span{uint32(d.at - 1 - len(s)), uint32(len(s))} // before the closing quote
	}
	d.changed = append(d.changed, s...)
	return span{uint32(len(d.text) + len(d.changed) - len(s)), uint32(len(s))}
}

// skip reads a value of any type and ignores it.
func (d *reader) skip() {
	switch c := d.next(); c {
	case '{', '[':
		for more := d.enter(c + 2); more; more = d.another(c + 2) { // the closing bracket is two after the opening one
			if c == '{' {
				if d.next() != '"' {
					d.fail()
					return
				}
				d.string()
				d.take(':')
			}
			d.skip()
		}
	case '"':
		d.string()
	case 't':
		d.word("true")
	case 'f':
		d.word("false")
	case 'n':
		d.word("null")
	default:
		d.literal()
	}
}

func (d *reader) word(w string) {
	if !strings.HasPrefix(d.text[d.at:], w) {
		d.fail()
		return
	}
	d.at += len(w)
}

// literal reads a number as JSON spells it and returns its text.
func (d *reader) literal() string {
	d.next()
	start := d.at
	d.sign("-")
	if d.at < len(d.text) && d.text[d.at] == '0' {
		d.at++
	} else {
		d.digits()
	}
	if d.at < len(d.text) && d.text[d.at] == '.' {
		d.at++
		d.digits()
	}
	if d.at < len(d.text) && d.text[d.at]|0x20 == 'e' {
		d.at++
		d.sign("+-")
		d.digits()
	}
	return d.text[start:d.at]
}

func (d *reader) sign(signs string) {
	if d.at < len(d.text) && strings.IndexByte(signs, d.text[d.at]) >= 0 {
		d.at++
	}
}

// digits reads one digit or more.
func (d *reader) digits() {
	start := d.at
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	if d.at == start {
		d.fail()
	}
}

func (d *reader) readText() string {
	if d.next() != '"' {
		d.wrongType("a string")
		return ""
	}
	return d.string()
}

func (d *reader) readBool() bool {
	switch d.next() {
	case 't':
		d.word("true")
		return true
	case 'f':
		d.word("false")
	default:
		d.wrongType("true or false")
	}
	return false
}

// readNumber reads a whole number between low and high, and returns low for anything else.
func (d *reader) readNumber(low, high uint32) uint32 {
	d.next()
	start := d.at
	d.skip()
	raw := d.text[start:d.at]
	n, err := strconv.ParseUint(raw, 10, 32)
	if err != nil || uint32(n) < low || uint32(n) > high {
		d.problem("want a whole number between " + itoa(int(low)) + " and " + itoa(int(high)) + ", got " + clip(raw))
		return low
	}
	return uint32(n)
}

// string reads a string; the next byte must be its opening quote. The result shares the document's memory if it has no
// escapes. The string is scanned eight bytes at a time.
func (d *reader) string() string {
	d.at++
	d.escaped = false
	start := d.at
	for d.at+8 <= len(d.text) {
		w := load64(unsafe.StringData(d.text), d.at)
		if specials(w) != 0 {
			break
		}
		d.at += 8
	}
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return d.text[start : d.at-1]
		case c == '\\':
			return d.unescape(start)
		case c < ' ':
			d.fail()
			return ""
		}
	}
	d.fail()
	return ""
}

// specials is not zero if one of the eight bytes of w ends a string, begins an escape or is a control character.
func specials(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w) & tops
}

// unescape reads the rest of a string whose text begins at start and whose first escape is the next byte.
func (d *reader) unescape(start int) string {
	d.escaped = true
	out := append(make([]byte, 0, 2*(d.at-start)+16), d.text[start:d.at]...)
	for d.at < len(d.text) {
		c := d.text[d.at]
		d.at++
		switch {
		case c == '"':
			return string(out)
		case c < ' ':
			d.at--
			d.fail()
			return ""
		case c != '\\':
			out = append(out, c)
			continue
		}
		if d.at == len(d.text) {
			break
		}
		c = d.text[d.at]
		d.at++
		if c == 'u' {
			out = utf8.AppendRune(out, d.character())
		} else if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[i])
		} else {
			break
		}
	}
	d.fail()
	return ""
}

// character reads what follows \u: four hexadecimal digits and, after the first half of a surrogate pair, a second
// escape.
func (d *reader) character() rune {
	r := d.hex()
	if utf16.IsSurrogate(r) && strings.HasPrefix(d.text[d.at:], `\u`) {
		d.at += 2
		return utf16.DecodeRune(r, d.hex())
	}
	return r
}

func (d *reader) hex() rune {
	if d.at+4 <= len(d.text) {
		if n, err := strconv.ParseUint(d.text[d.at:d.at+4], 16, 16); err == nil {
			d.at += 4
			return rune(n)
		}
	}
	d.fail()
	return utf8.RuneError
}
