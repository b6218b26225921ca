package hostcalls

import "unsafe"

// Pairs walks over headers in the ABI's encoding, all numbers little-endian and of 32 bits: the count; for each pair
// the length of its name and of its value; for each pair the name, a zero byte, the value, a zero byte.
type Pairs struct {
	sizes unsafe.Pointer // the next pair's lengths
	at    unsafe.Pointer // the next pair's name
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
	at := 4 + 8*int(count)
	end := uint64(at)
	for i := 4; i < at; i += 8 {
		end += uint64(uint32At(data[i:])) + uint64(uint32At(data[i+4:])) + 2
	}
	if end != uint64(len(data)) {
		return Pairs{}, false
	}
	base := unsafe.Pointer(unsafe.SliceData(data))
	return Pairs{unsafe.Add(base, 4), unsafe.Add(base, at), int(count)}, true
}

// Next returns the next pair. The strings share memory with the data. It is small enough to be inlined, and checks
// nothing again: compiled to Wasm, a call for each header costs more than what is done with most of them.
func (p *Pairs) Next() (name, value string, ok bool) {
	if p.left == 0 {
		return "", "", false
	}
	p.left--
	n, v := *(*uint32)(p.sizes), *(*uint32)(unsafe.Add(p.sizes, 4))
	name, value = unsafe.String((*byte)(p.at), n), unsafe.String((*byte)(unsafe.Add(p.at, n+1)), v)
	p.sizes, p.at = unsafe.Add(p.sizes, 8), unsafe.Add(p.at, n+v+2)
	return name, value, true
}

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
