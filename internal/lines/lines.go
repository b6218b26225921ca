// Package lines splits a stream into whole lines. It keeps a line whose end has not arrived yet.
package lines

import "bytes"

// Longest bounds the part of a line that is kept, in bytes: a longer line is returned in parts.
const Longest = 64 << 10

// Splitter keeps the last line of a stream if its end has not arrived yet. The zero value is ready to use.
type Splitter struct{ part []byte }

// Add appends b to the stream, and returns the lines that are whole now, or nil. The caller may change them.
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

// Rest returns the line without an end, if there is one, and forgets it.
func (s *Splitter) Rest() []byte {
	part := s.part
	s.part = nil
	return part
}
