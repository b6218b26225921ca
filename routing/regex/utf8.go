package regex

import (
	"unicode"
	"unicode/utf8"
)

// eachSequence calls f with the sequences of byte ranges that encode the characters from lo to hi.
func eachSequence(lo, hi rune, f func([]byteRange)) {
	switch {
	case lo > hi:
	case lo < utf8.RuneSelf && hi >= utf8.RuneSelf:
		eachSequence(lo, utf8.RuneSelf-1, f)
		eachSequence(utf8.RuneSelf, hi, f)
	case lo == utf8.RuneSelf && hi == unicode.MaxRune:
		// RE2 writes this common range in fewer sequences than are right (re2/compile.cc, Add_80_10ffff).
		tail := byteRange{0x80, 0xbf}
		f([]byteRange{{0xc2, 0xdf}, tail})
		f([]byteRange{{0xe0, 0xef}, tail, tail})
		f([]byteRange{{0xf0, 0xf4}, tail, tail, tail})
	case hi < utf8.RuneSelf:
		f([]byteRange{{byte(lo), byte(hi)}})
	default:
		split(lo, hi, f)
	}
}

// maxOfLength are the last characters that UTF-8 encodes in 1, 2 and 3 bytes.
var maxOfLength = []rune{0x7f, 0x7ff, 0xffff}

// split cuts a range of characters into pieces whose encodings are independent ranges in every byte (re2/compile.cc,
// AddRuneRangeUTF8).
func split(lo, hi rune, f func([]byteRange)) {
	for _, most := range maxOfLength {
		if lo <= most && most < hi {
			split(lo, most, f)
			split(most+1, hi, f)
			return
		}
	}
	for i := 1; i < utf8.UTFMax; i++ {
		low := rune(1)<<(6*i) - 1 // the last i bytes
		if lo&^low != hi&^low {
			if lo&low != 0 {
				split(lo, lo|low, f)
				split((lo|low)+1, hi, f)
				return
			}
			if hi&low != low {
				split(lo, hi&^low-1, f)
				split(hi&^low, hi, f)
				return
			}
		}
	}
	a, b := encode(lo), encode(hi)
	sequence := make([]byteRange, len(a))
	for i := range a {
		sequence[i] = byteRange{a[i], b[i]}
	}
	f(sequence)
}

// encode writes a character as UTF-8. Like RE2, it encodes surrogates as if they were characters.
func encode(r rune) []byte {
	switch {
	case r < 0x80:
		return []byte{byte(r)}
	case r < 0x800:
		return []byte{0xc0 | byte(r>>6), 0x80 | byte(r&0x3f)}
	case r < 0x10000:
		return []byte{0xe0 | byte(r>>12), 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f)}
	default:
		return []byte{0xf0 | byte(r>>18), 0x80 | byte(r>>12&0x3f), 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f)}
	}
}
