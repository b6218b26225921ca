// Package lines tells whole lines of a stream from the part of one that has no end yet.
package lines

import "bytes"

// Longest bounds a line that has no end, in bytes: what is longer is passed on in parts.
const Longest = 64 << 10

// Splitter keeps the part of a line that has no end yet. The zero value has none.
type Splitter struct{ part []byte }

// Add takes more of the stream, and returns the whole lines that it ends, or nil. They are the caller's.
func (s *Splitter) Add(b []byte) (whole []byte) {
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 && len(s.part)+len(b) > Longest {
		end = len(b)
	}
	if end > 0 {
		whole = append(s.part, b[:end]...)
		s.part, b = nil, b[end:]
	}
	s.part = append(s.part, b...)
	return whole
}

// Rest returns the part that has no end, and forgets it.
func (s *Splitter) Rest() []byte {
	part := s.part
	s.part = nil
	return part
}
