package routing

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxDepth bounds the nesting of a document. The format needs seven levels; gjson recurses, and a stack overflow is the
// one thing that the filter cannot recover from.
const maxDepth = 32

// maxProblems bounds the work on a document that is wrong everywhere.
const maxProblems = 1000

// decoder walks a document strictly and collects every problem. Where it stands is kept as a stack of steps and turned
// into text only for a problem: a good document costs no formatting.
type decoder struct {
	at       []step
	problems []Problem
}

// step is one key or, with an empty key, one index.
type step struct {
	key   string
	index int
}

func itoa(n int) string { return strconv.Itoa(n) }

func (d *decoder) problem(message string) {
	if len(d.problems) >= maxProblems {
		return
	}
	var b strings.Builder
	for i, s := range d.at {
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

// maxKeys is more than any object of the format has.
const maxKeys = 16

// object calls member for each key; it reports a key that occurs twice and one for which member returns false.
func (d *decoder) object(v gjson.Result, member func(key string, v gjson.Result) bool) {
	if !v.IsObject() {
		d.problem("want an object, got " + kindOf(v))
		return
	}
	var seen [maxKeys]string
	n := 0
	v.ForEach(func(k, v gjson.Result) bool {
		key := k.Str
		for _, s := range seen[:n] {
			if s == key {
				d.problem("key " + strconv.Quote(key) + " occurs twice")
				return true
			}
		}
		if n < maxKeys {
			seen[n] = key
			n++
		}
		d.at = append(d.at, step{key: key})
		known := member(key, v)
		d.at = d.at[:len(d.at)-1]
		if !known {
			d.problem("unknown field " + strconv.Quote(clip(key)))
		}
		return true
	})
}

// array calls element for each element.
func (d *decoder) array(v gjson.Result, element func(v gjson.Result)) {
	if !v.IsArray() {
		d.problem("want an array, got " + kindOf(v))
		return
	}
	i := 0
	v.ForEach(func(_, v gjson.Result) bool {
		d.at = append(d.at, step{index: i})
		element(v)
		d.at = d.at[:len(d.at)-1]
		i++
		return true
	})
}

func (d *decoder) text(v gjson.Result) string {
	if v.Type != gjson.String {
		d.problem("want a string, got " + kindOf(v))
		return ""
	}
	return v.Str
}

func (d *decoder) boolean(v gjson.Result) bool {
	if v.Type != gjson.True && v.Type != gjson.False {
		d.problem("want true or false, got " + kindOf(v))
	}
	return v.Type == gjson.True
}

// number reads a whole number between low and high.
func (d *decoder) number(v gjson.Result, low, high uint32) uint32 {
	n, err := strconv.ParseUint(v.Raw, 10, 32)
	if v.Type != gjson.Number || err != nil || uint32(n) < low || uint32(n) > high {
		d.problem("want a whole number between " + itoa(int(low)) + " and " + itoa(int(high)) + ", got " + clip(v.Raw))
		return low
	}
	return uint32(n)
}

func kindOf(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "an array"
	case v.Type == gjson.String:
		return "the string " + strconv.Quote(clip(v.Str))
	default:
		return clip(v.Raw)
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

// tooDeep says whether brackets nest deeper than maxDepth, without recursion.
func tooDeep(json []byte) bool {
	depth := 0
	for i := 0; i < len(json); i++ {
		switch json[i] {
		case '"':
			for i++; i < len(json) && json[i] != '"'; i++ {
				if json[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}
