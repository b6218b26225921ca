package hostcalls

import "unsafe"

// Pairs iterates over headers in the ABI's encoding: the count; for each pair the length of its name and of its value;
// for each pair the name, a zero byte, the value, a zero byte. Numbers are little-endian and have 32 bits.
type Pairs struct {
	sizes unsafe.Pointer // the next pair's lengths
	at    unsafe.Pointer // the next pair's name
	left  int
}

// ParsePairs checks all lengths before the first pair is read, so that [Pairs.Next] never reads beyond the data. Empty
// data have no pairs. ok is false for bytes that are not a valid encoding.
//
// In range: the count is compared with the number of bytes.
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

// Next returns the next pair; ok is false if there is none. The strings share memory with the data. Next is small
// enough to be inlined, and does not check lengths: compiled to Wasm, a call for each header costs more than the work
// on most of them.
//
// In range: ParsePairs has compared the sum of all lengths with the number of bytes.
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

// AppendPairs encodes headers and appends them to b. It is for hosts; the filter does not encode headers.
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

// uint32At and appendUint32 replace encoding/binary, which would link reflect into the module.
//
// In range: callers have compared the number of bytes.
func uint32At(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func appendUint32(b []byte, n uint32) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}
