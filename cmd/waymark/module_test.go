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

// The modules that are in the program are some: they start.
func TestTheEmbeddedModulesStart(t *testing.T) {
	t.Parallel()
	for name, own := range ownModules {
		t.Run(name, func(t *testing.T) {
			m, err := vm.Compile(t.Context(), own.wasm())
			require.NoError(t, err)
			v, err := m.New(t.Context(), 0, nil)
			require.NoError(t, err)
			_, err = v.Configure(t.Context(), []byte(`{"version":1,"virtualHosts":[]}`))
			require.NoError(t, err)
			require.NoError(t, m.Close(t.Context()))
		})
	}
}

// Envoy finds the module among its files, unless another one was named or there is no filter.
func TestWhereEnvoyFindsTheModule(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		options envoy.Options
		path    string
		own     bool
	}{
		"the standard one": {envoy.Options{Dir: "/files", Module: "standard"}, filepath.Join("/files", "waymark.wasm"), true},
		"the small one":    {envoy.Options{Dir: "/files", Module: "small"}, filepath.Join("/files", "waymark-small.wasm"), true},
		"another one":      {envoy.Options{Dir: "/files", Module: "/my.wasm"}, "/my.wasm", false},
		"without filter":   {envoy.Options{Dir: "/files", Module: "standard", Matching: envoy.MatchingNative}, "standard", false},
	} {
		assert.Equal(t, c.own, nameModule(&c.options) != nil, what)
		assert.Equal(t, c.path, c.options.Module, what)
	}
}

// A module that was there before is replaced as a whole, one that is the same is left alone, and everybody may read it.
func TestWritingTheModule(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "waymark.wasm")
	require.NoError(t, os.WriteFile(file, []byte("an older one"), 0o600))
	standard := ownModules["standard"]
	require.NoError(t, standard.write(file))
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(embedded.Module(), written))
	first, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), first.Mode().Perm())
	require.NoError(t, standard.write(file))
	second, err := os.Stat(file)
	require.NoError(t, err)
	assert.True(t, os.SameFile(first, second))
}

// A printed bootstrap names a file beside the program; that nothing is there is reported.
func TestAPrintedBootstrapNeedsAFile(t *testing.T) {
	t.Parallel()
	var said string
	path, err := ownModules["standard"].beside(func(text string) { said = text })
	require.NoError(t, err)
	assert.Equal(t, "waymark.wasm", filepath.Base(path))
	assert.Contains(t, said, "Envoy will read the filter's module from "+path+", which does not exist")
}
