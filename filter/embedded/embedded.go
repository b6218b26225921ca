// Package embedded is the filter as it is compiled to Wasm, inside of every program that imports this package. So a
// command line that 'go install' has built has its module, though nothing ran that could have built one.
//
// waymark.wasm.gz is written by 'make module'. Its gzip header records what it was built from, and 'make test-quick' fails
// where the sources have changed since.
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

// Module is the module. It is shared: nobody may change it.
var Module = sync.OnceValue(func() []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic("filter/embedded: " + err.Error()) // the file is a part of the program
	}
	module, err := io.ReadAll(r)
	if err != nil {
		panic("filter/embedded: " + err.Error()) // as above
	}
	return module
})
