// Package embedded contains the filter as a compiled Wasm module, in every program that imports the package. So a
// command line that was built with 'go install' has the module, although 'go install' cannot build it.
//
// 'make module' writes waymark.wasm.gz. Its gzip header records a digest of the sources, and 'make test-quick' fails if
// they have changed since.
package embedded

import (
	"bytes"
	"compress/gzip"
	_ "embed" // of the module
	"io"
	"sync"
)

//go:embed waymark.wasm.gz
var compressed []byte

// Module returns the module, decompressed. All callers get the same bytes, and must not change them.
var Module = sync.OnceValue(func() []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic("filter/embedded: " + err.Error()) // the file is a part of the program
	}
	module, err := io.ReadAll(r)
	if err != nil {
		panic("filter/embedded: " + err.Error()) // the file is a part of the program
	}
	return module
})
