package routing

import (
	"math/bits"
	"unsafe"
)

// Values are hashed and scanned eight bytes at a time, whatever their length: in Go compiled to Wasm, a round of a loop
// costs more than the work in it, and reading a byte costs as much as reading a word. A load never reads outside of the
// value: where the length is not a multiple of eight, the last eight bytes are read, some of them again; a word of a
// value that is shorter than eight bytes is composed of smaller loads.
//
// Equal hashes do not prove equality. Rules that a hash leads to are checked in full, and domains are compared.

// load64 reads the eight bytes that begin at p[at]. The order of bytes is that of the machine, which is the same for all
// words that are compared.
//
// In range: the caller makes sure that the bytes exist.
func load64(p *byte, at int) uint64 { return *(*uint64)(unsafe.Add(unsafe.Pointer(p), at)) }

// In range: see load64.
func load32(p *byte, at int) uint64 { return uint64(*(*uint32)(unsafe.Add(unsafe.Pointer(p), at))) }

// In range: see load64.
func load16(p *byte, at int) uint64 { return uint64(*(*uint16)(unsafe.Add(unsafe.Pointer(p), at))) }

// loadText returns the word of a text of 2, 4 or 8 bytes.
func loadText(s string) uint64 {
	switch p := unsafe.StringData(s); len(s) {
	case 8:
		return load64(p, 0)
	case 4:
		return load32(p, 0)
	default:
		return load16(p, 0)
	}
}

// short returns the word of a value of at most eight bytes. Different values of the same length have different words.
//
// In range: the length is compared before bytes are read.
func short(s string) uint64 {
	p := unsafe.StringData(s)
	switch n := len(s); {
	case n >= 4:
		return load32(p, 0) | load32(p, n-4)<<32
	case n > 0:
		return uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16
	default:
		return 0
	}
}

const multiplier, multiplier2 = 0x9e3779b97f4a7c15, 0xff51afd7ed558ccd

// mix adds a word to a hash. Words of text differ in few bits, often only in the last byte. A multiplication carries
// differences only to higher bits, and the next word could cancel them, so the word is mixed by itself first.
func mix(h, w uint64) uint64 {
	w *= multiplier2
	return bits.RotateLeft64((h^w^w>>32)*multiplier, 29)
}

// hashText is the hash of a value.
func hashText(s string) uint64 {
	n := len(s)
	if n <= 8 {
		return mix(uint64(n)*multiplier, short(s))
	}
	p := unsafe.StringData(s)
	var h uint64
	for i := 0; i+8 < n; i += 8 {
		h = mix(h, load64(p, i))
	}
	return mix(mix(h, load64(p, n-8)), uint64(n))
}

// hashFold is the hash of a value without regard to the case of ASCII letters.
func hashFold(s string) uint64 {
	n := len(s)
	if n <= 8 {
		return mix(uint64(n)*multiplier, lowerWord(short(s)))
	}
	p := unsafe.StringData(s)
	var h uint64
	for i := 0; i+8 < n; i += 8 {
		h = mix(h, lowerWord(load64(p, i)))
	}
	return mix(mix(h, lowerWord(load64(p, n-8))), uint64(n))
}

// lowerWord changes the ASCII letters among eight bytes to lower case, and leaves all other bytes as they are.
func lowerWord(w uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	low := w &^ tops
	fromA := low + (0x80-'A')*ones
	beyondZ := low + (0x7f-'Z')*ones
	return w | (fromA&^beyondZ&^w&tops)>>2
}

// equalFold compares two strings of equal length without regard to the case of ASCII letters.
//
// In range: the strings are of equal length.
func equalFold(a, b string) bool {
	n := len(a)
	if n < 8 {
		return lowerWord(short(a)) == lowerWord(short(b))
	}
	p, q := unsafe.StringData(a), unsafe.StringData(b[:n])
	for i := 0; i+8 < n; i += 8 {
		if lowerWord(load64(p, i)) != lowerWord(load64(q, i)) {
			return false
		}
	}
	return lowerWord(load64(p, n-8)) == lowerWord(load64(q, n-8))
}
