package routing

import "slices"

// digits64 has the value of each byte as a digit of base64, or noDigit64 for bytes that are not digits.
var digits64 = func() (values [256]uint8) {
	for i := range values {
		values[i] = noDigit64
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		values[c] = uint8(i)
	}
	return values
}()

const noDigit64 = 0x80

// appendBase64 decodes the standard encoding with padding (RFC 4648, section 4) and appends the bytes to b; false means
// that s is not valid. encoding/base64 would link reflect into the module.
func appendBase64(b []byte, s string) ([]byte, bool) {
	if len(s)%4 != 0 {
		return b, false
	}
	padding := 0
	for padding < 2 && padding < len(s) && s[len(s)-1-padding] == '=' {
		padding++
	}
	before := len(b)
	b = slices.Grow(b, len(s)/4*3)[:before+len(s)/4*3]
	out := b[before:]
	var wrong uint8
	for i, n := 0, 0; i+4 <= len(s); i, n = i+4, n+3 {
		c, d := digits64[s[i+2]], digits64[s[i+3]]
		if i+4 == len(s) && padding > 0 {
			d = 0
			if padding == 2 {
				c = 0
			}
		}
		a, b := digits64[s[i]], digits64[s[i+1]]
		wrong |= a | b | c | d
		out[n], out[n+1], out[n+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
	}
	return b[:len(b)-padding], wrong&noDigit64 == 0
}
