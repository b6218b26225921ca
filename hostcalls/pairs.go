package hostcalls

import "unsafe"

// Pairs walks over headers in the ABI's encoding, all numbers little-endian and of 32 bits: the count; for each pair
// the length of its name and of its value; for each pair the name, a zero byte, the value, a zero byte.
type Pairs struct {
	data  []byte
	sizes int // where the next pair's lengths are
	at    int // where the next pair's name is
	left  int
}

// ParsePairs checks the whole encoding before the first pair is read, so that [Pairs.Next] cannot run out of it. Empty
// data are no pairs. ok is false for bytes that are no such encoding.
func ParsePairs(data []byte) (p Pairs, ok bool) {
	if len(data) == 0 {
		return Pairs{}, true
	}
	if len(data) < 4 {
		return Pairs{}, false
	}
	count := uint64(uint32At(data))
	if count > uint64(len(data)-4)/8 {
		return Pairs{}, false
	}
	p = Pairs{data: data, sizes: 4, at: 4 + 8*int(count), left: int(count)}
	end := uint64(p.at)
	for i := 4; i < p.at; i += 8 {
		end += uint64(uint32At(data[i:])) + uint64(uint32At(data[i+4:])) + 2
	}
	return p, end == uint64(len(data))
}

// Next returns the next pair. The strings share memory with the data.
func (p *Pairs) Next() (name, value string, ok bool) {
	if p.left == 0 {
		return "", "", false
	}
	p.left--
	n := int(uint32At(p.data[p.sizes:]))
	v := int(uint32At(p.data[p.sizes+4:]))
	p.sizes += 8
	name = text(p.data[p.at : p.at+n])
	p.at += n + 1
	value = text(p.data[p.at : p.at+v])
	p.at += v + 1
	return name, value, true
}

func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// AppendPairs encodes headers. The filter never does; hosts do.
func AppendPairs(b []byte, headers [][2]string) []byte {
	b = appendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		b = appendUint32(b, uint32(len(h[0])))
		b = appendUint32(b, uint32(len(h[1])))
	}
	for _, h := range headers {
		b = append(b, h[0]...)
		b = append(b, 0)
		b = append(b, h[1]...)
		b = append(b, 0)
	}
	return b
}

// encoding/binary would do the same, and link reflect into the module.
func uint32At(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func appendUint32(b []byte, n uint32) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}
