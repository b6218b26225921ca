// Package embedded contains the filter as compiled Wasm modules, in every program that imports the package. So a
// command line that was built with 'go install' has the modules, although 'go install' cannot build them.
//
// 'make module' writes waymark.wasm.gz, and 'make module-small' waymark-small.wasm.gz. Their gzip headers record a digest
// of the sources, and 'make test-quick' fails if these have changed since.
package embedded

import (
	"bytes"
	"compress/gzip"
	_ "embed" // of the modules
	"io"
	"sync"
)

//go:embed waymark.wasm.gz
var standard []byte

//go:embed waymark-small.wasm.gz
var small []byte

// Module returns the module that Go's compiler built, decompressed. All callers get the same bytes, and must not change
// them.
var Module = sync.OnceValue(func() []byte { return decompress(standard) })

// Small returns the module that TinyGo built from the same sources, decompressed. All callers get the same bytes, and
// must not change them. RATIONALE.md, "Why are there two modules?", has the differences.
var Small = sync.OnceValue(func() []byte { return decompress(small) })

// decompress panics if the data are not a compressed module, since they are a part of the program.
func decompress(compressed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic("filter/embedded: " + err.Error())
	}
	module, err := io.ReadAll(r)
	if err != nil {
		panic("filter/embedded: " + err.Error())
	}
	return module
}
