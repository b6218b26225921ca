package space

import "waymark.dev/waymark/effect"

// paths is the language of the paths, without query, that the connection manager leaves: see [effect.Paths.Normalize].
// A dot segment with parameters is among them, since a client can send its dots escaped. The states follow the segment that
// is read, and escapes.
type paths struct {
	effect.Paths
	byClass *[256]uint8
}

const (
	beforePath    = iota
	firstSlash    // the path "/"
	segmentBegins // after another slash
	oneDot        // the segment is "."
	twoDots
	inSegment
	onlySlashes // the path "//", which merging slashes leaves
	afterPercent
	afterDigit // afterDigit+h: after a percent sign and the hexadecimal digit h
)

func newPaths(p effect.Paths) *paths {
	l := &paths{Paths: p}
	l.byClass = classesOf(afterDigit+16, l.next)
	return l
}

// classesOf finds the classes of the bytes that no state of an automaton tells apart.
func classesOf(states int32, next func(int32, byte) int32) *[256]uint8 {
	out := &[256]uint8{}
	ids := map[string]uint8{}
	for b := range 256 {
		signature := make([]byte, states)
		for s := range states {
			signature[s] = byte(next(s, byte(b)))
		}
		id, ok := ids[string(signature)]
		if !ok {
			id = uint8(len(ids))
			ids[string(signature)] = id
		}
		out[b] = id
	}
	return out
}

func (l *paths) classes() *[256]uint8 { return l.byClass }
func (l *paths) start() int32         { return beforePath }
func (l *paths) isFull(int32) bool    { return false }

func (l *paths) accepts(state int32) bool {
	switch state {
	case beforePath:
		return false
	case oneDot, twoDots:
		return !l.Normalizes()
	default:
		return true
	}
}

func (l *paths) next(state int32, b byte) int32 {
	switch {
	case state == beforePath && b != '/', state == onlySlashes, b == '?', b == '#', b <= ' ', b >= 0x7f:
		return dead
	case state == beforePath:
		return firstSlash
	case l.Normalizes() && !effect.IsPathByte(b):
		return dead
	case state == afterPercent && hexadecimal(b) >= 0:
		return afterDigit + int32(hexadecimal(b))
	case state >= afterDigit && hexadecimal(b) >= 0:
		return l.escaped(byte(state-afterDigit)<<4 | byte(hexadecimal(b)))
	case b == '%':
		return afterPercent
	case b == '/':
		return l.slash(state)
	case b == '.' && (state == firstSlash || state == segmentBegins):
		return oneDot
	case b == '.' && state == oneDot:
		return twoDots
	default:
		return inSegment
	}
}

// slash is the state after a slash.
func (l *paths) slash(state int32) int32 {
	switch {
	case l.Normalizes() && (state == oneDot || state == twoDots):
		return dead
	case state == firstSlash && l.Merges():
		return onlySlashes
	case state == segmentBegins && l.Merges():
		return dead
	default:
		return segmentBegins
	}
}

// escaped is the state after an escape of a byte.
func (l *paths) escaped(b byte) int32 {
	isSlash := b == '/' || b == '\\'
	if l.Normalizes() && (b == 0 || effect.IsUnreserved(b)) || isSlash && l.Escaped() != effect.KeepEscapedSlashes {
		return dead
	}
	return inSegment
}

// hexadecimal is the value of a hexadecimal digit, or -1.
func hexadecimal(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= lower(b) && lower(b) <= 'f':
		return int(lower(b)-'a') + 10
	default:
		return -1
	}
}
