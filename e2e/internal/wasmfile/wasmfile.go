// Package wasmfile reads as much of a Wasm module's binary form as tests need: what it imports and exports.
package wasmfile

import (
	"bytes"
	"errors"
	"fmt"
)

// Function is an import or export with its type, such as "(i32 i32) -> (i32)".
type Function struct{ Module, Name, Type string }

// Module is what was read.
type Module struct {
	Imports, Exports []Function
}

var errShort = errors.New("the module ends too early")

// reader reads numbers and names; the first error stays.
type reader struct {
	b   []byte
	err error
}

func (r *reader) u32() uint32 {
	var n uint32
	for shift := 0; ; shift += 7 {
		if len(r.b) == 0 {
			r.err = errShort
			return 0
		}
		c := r.b[0]
		r.b = r.b[1:]
		n |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
}

func (r *reader) bytes(n uint32) []byte {
	if uint32(len(r.b)) < n {
		r.err = errShort
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

func (r *reader) types() string {
	names := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64"}
	var out []string
	for range r.u32() {
		if t := r.bytes(1); len(t) == 1 {
			out = append(out, names[t[0]])
		}
	}
	return fmt.Sprint(out)
}

// Parse reads a module.
func Parse(wasm []byte) (*Module, error) {
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("not a Wasm module")
	}
	r := &reader{b: wasm[8:]}
	m := &Module{}
	var types []string
	var functions []uint32 // type of each function, imports first
	for len(r.b) > 0 && r.err == nil {
		id := r.bytes(1)
		s := &reader{b: r.bytes(r.u32())}
		if r.err != nil {
			break
		}
		switch id[0] {
		case 1:
			for range s.u32() {
				s.bytes(1) // a function type
				types = append(types, s.types()+" -> "+s.types())
			}
		case Imports:
			for range s.u32() {
				f := Function{Module: s.name(), Name: s.name()}
				if kind := s.bytes(1); len(kind) == 1 && kind[0] == 0 {
					index := s.u32()
					functions = append(functions, index)
					f.Type = types[index]
				} else {
					return nil, fmt.Errorf("import %s.%s is no function", f.Module, f.Name)
				}
				m.Imports = append(m.Imports, f)
			}
		case 3:
			for range s.u32() {
				functions = append(functions, s.u32())
			}
		case Exports:
			for range s.u32() {
				f := Function{Name: s.name()}
				kind := s.bytes(1)
				index := s.u32()
				if len(kind) == 1 && kind[0] == 0 {
					f.Type = types[functions[index]]
				}
				m.Exports = append(m.Exports, f)
			}
		}
		r.err = errors.Join(r.err, s.err)
	}
	return m, r.err
}

// The sections in which functions have names.
const (
	Imports byte = 2
	Exports byte = 7
)

// Rename gives an import or export another name, and returns the changed module.
func Rename(wasm []byte, section byte, from, to string) ([]byte, error) {
	r := &reader{b: wasm[8:]}
	out := append([]byte{}, wasm[:8]...)
	found := false
	for len(r.b) > 0 && r.err == nil {
		id := r.bytes(1)
		body := r.bytes(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if id[0] == section {
			old, changed := named(from), named(to)
			if found = bytes.Contains(body, old); found {
				body = bytes.Replace(body, old, changed, 1)
			}
		}
		out = append(out, id[0])
		out = appendU32(out, uint32(len(body)))
		out = append(out, body...)
	}
	if !found {
		return nil, fmt.Errorf("there is no import or export %s", from)
	}
	return out, nil
}

func named(name string) []byte { return append(appendU32(nil, uint32(len(name))), name...) }

func appendU32(b []byte, n uint32) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}
