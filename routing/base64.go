package routing

// decodeBase64 reads the standard encoding, padded. encoding/base64 would do the same, and link reflect into the module.
func decodeBase64(s string) ([]byte, bool) {
	if len(s)%4 != 0 {
		return nil, false
	}
	out := make([]byte, 0, len(s)/4*3)
	for ; s != ""; s = s[4:] {
		n := 3 // bytes in this group
		if len(s) == 4 {
			for n > 1 && s[n] == '=' {
				n--
			}
		}
		var bits uint32
		for i := 0; i <= n; i++ {
			v, ok := base64Value(s[i])
			if !ok {
				return nil, false
			}
			bits |= v << (18 - 6*i)
		}
		for i := range n {
			out = append(out, byte(bits>>(16-8*i)))
		}
	}
	return out, true
}

func base64Value(c byte) (uint32, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return uint32(c - 'A'), true
	case 'a' <= c && c <= 'z':
		return uint32(c-'a') + 26, true
	case '0' <= c && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	default:
		return 0, false
	}
}
