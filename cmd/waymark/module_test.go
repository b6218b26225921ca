package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/filter/embedded"
	"waymark.dev/waymark/proxy/vm"
)

// The module that is in the program is one: it starts.
func TestTheEmbeddedModuleStarts(t *testing.T) {
	t.Parallel()
	m, err := vm.Compile(t.Context(), embedded.Module())
	require.NoError(t, err)
	v, err := m.New(t.Context(), 0, nil)
	require.NoError(t, err)
	_, err = v.Configure(t.Context(), []byte(`{"version":1,"virtualHosts":[]}`))
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
}

// Envoy finds the module among its files, unless another one was named or there is no filter.
func TestWhereEnvoyFindsTheModule(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		options envoy.Options
		path    string
		own     bool
	}{
		"the program's":  {envoy.Options{Dir: "/files"}, filepath.Join("/files", "waymark.wasm"), true},
		"another one":    {envoy.Options{Dir: "/files", Module: "/my.wasm"}, "/my.wasm", false},
		"without filter": {envoy.Options{Dir: "/files", Matching: envoy.MatchingNative}, "", false},
	} {
		assert.Equal(t, c.own, nameModule(&c.options), what)
		assert.Equal(t, c.path, c.options.Module, what)
	}
}

// A module that was there before is replaced as a whole, one that is the same is left alone, and everybody may read it.
func TestWritingTheModule(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "waymark.wasm")
	require.NoError(t, os.WriteFile(file, []byte("an older one"), 0o600))
	require.NoError(t, writeModule(file))
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(embedded.Module(), written))
	first, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), first.Mode().Perm())
	require.NoError(t, writeModule(file))
	second, err := os.Stat(file)
	require.NoError(t, err)
	assert.True(t, os.SameFile(first, second))
}

// A printed bootstrap names a file beside the program; that nothing is there is reported.
func TestAPrintedBootstrapNeedsAFile(t *testing.T) {
	t.Parallel()
	var said string
	path, err := moduleBeside(func(text string) { said = text })
	require.NoError(t, err)
	assert.Equal(t, "waymark.wasm", filepath.Base(path))
	assert.Contains(t, said, "Envoy will read the filter's module from "+path+", which does not exist")
}
