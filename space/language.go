package space

import (
	"strings"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing/regex"
)

// language is a regular language over bytes, as a deterministic automaton. States are numbers of 0 and above.
type language interface {
	// classes maps bytes to classes: bytes of one class lead to the same state from every state.
	classes() *[256]uint8
	start() int32
	// next is the state that a byte leads to, or dead.
	next(state int32, b byte) int32
	accepts(state int32) bool
	// isFull reports whether every continuation of a state is in the language. It may be false although it is so.
	isFull(state int32) bool
}

// dead is the state from which no text is in the language.
const dead = -1

// has reports whether a text is in a language.
func has(l language, text string) bool {
	s := l.start()
	for i := 0; i < len(text) && s != dead; i++ {
		if l.isFull(s) {
			return true
		}
		s = l.next(s, text[i])
	}
	return s != dead && l.accepts(s)
}

// literal is the language of an exact value, of a prefix, of a separated prefix, or of all texts. The state is how many
// bytes of the value were read; len(value)+1 is the state behind a separated prefix and its slash.
type literal struct {
	value      string
	kind       plan.MatchKind
	ignoreCase bool
	byClass    *[256]uint8
}

func newLiteral(kind plan.MatchKind, value string, ignoreCase bool) *literal {
	if kind == plan.Present {
		kind, value = plan.Prefix, ""
	}
	return &literal{value: value, kind: kind, ignoreCase: ignoreCase}
}

func (l *literal) classes() *[256]uint8 {
	if l.byClass != nil {
		return l.byClass
	}
	l.byClass = &[256]uint8{}
	n := uint8(0)
	give := func(b byte) {
		if l.ignoreCase {
			b = lower(b)
		}
		if l.byClass[b] == 0 {
			n++
			l.byClass[b] = n
			if l.ignoreCase && 'a' <= b && b <= 'z' {
				l.byClass[b-'a'+'A'] = n
			}
		}
	}
	for i := range len(l.value) {
		give(l.value[i])
	}
	if l.kind == plan.Separated {
		give('/')
	}
	return l.byClass
}

func (l *literal) start() int32 { return 0 }

func (l *literal) next(state int32, b byte) int32 {
	n := int32(len(l.value))
	switch {
	case state < n && (l.value[state] == b || l.ignoreCase && lower(l.value[state]) == lower(b)):
		return state + 1
	case state < n, l.kind == plan.Exact, l.kind == plan.Separated && state == n && b != '/':
		return dead
	case l.kind == plan.Separated:
		return n + 1
	default:
		return state
	}
}

func (l *literal) accepts(state int32) bool { return state >= int32(len(l.value)) }

func (l *literal) isFull(state int32) bool {
	n := int32(len(l.value))
	return l.kind == plan.Prefix && state == n || state > n
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b - 'A' + 'a'
	}
	return b
}

// expression is the language of a regular expression.
type expression struct{ *regex.Lazy }

// newExpression makes the language of a pattern; nil if it is not a valid one.
func newExpression(pattern string, encoding regex.Encoding) language {
	p, err := regex.Compile(pattern, encoding)
	if err != nil {
		return nil
	}
	return expression{regex.NewLazy(p)}
}

func (e expression) classes() *[256]uint8 { return e.Classes() }
func (e expression) start() int32         { return alive(e.Start()) }
func (e expression) next(state int32, b byte) int32 {
	return alive(e.Step(int(state), b))
}
func (e expression) accepts(state int32) bool { return e.Accepts(int(state)) }
func (e expression) isFull(state int32) bool  { return e.IsFull(int(state)) }

func alive(state int) int32 {
	if state == regex.Dead {
		return dead
	}
	return int32(state)
}

// order has the bytes that a text is made of, the ones that are easy to read first.
var order = func() (out [256]byte) {
	first := "abcdefghijklmnopqrstuvwxyz0123456789/-ABCDEFGHIJKLMNOPQRSTUVWXYZ._=,:;@~ "
	n := copy(out[:], first)
	for b := 0x21; b < 0x21+256; b++ {
		if c := byte(b); strings.IndexByte(first, c) < 0 {
			out[n] = c
			n++
		}
	}
	return out
}()

// representatives are bytes that stand for all: one of each class of bytes that no language tells apart, in order.
func representatives(languages []language) []byte {
	var joint [256]int
	for _, l := range languages {
		type pair struct {
			known int
			class uint8
		}
		ids := map[pair]int{}
		classes := l.classes()
		for b := range joint {
			key := pair{joint[b], classes[b]}
			id, ok := ids[key]
			if !ok {
				id = len(ids)
				ids[key] = id
			}
			joint[b] = id
		}
	}
	var seen [256]bool
	var out []byte
	for _, b := range order {
		if !seen[joint[b]] {
			seen[joint[b]] = true
			out = append(out, b)
		}
	}
	return out
}
