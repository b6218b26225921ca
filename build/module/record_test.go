package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The module that every waymark has in it is that of the sources beside it. Another Go than the one that built it is well.
func TestTheEmbeddedModuleIsOfTheseSources(t *testing.T) {
	t.Chdir("../..")
	require.NoError(t, check("filter/embedded/waymark.wasm.gz", "./filter/wasm"))
}

// One changed byte of a source is found.
func TestAChangedSourceIsFound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "filter", "hostcalls", "routing"} {
		text, err := exec.Command("cp", "-r", filepath.Join("..", "..", name), dir).CombinedOutput()
		require.NoError(t, err, "%s", text)
	}
	t.Chdir(dir)
	file := filepath.Join("routing", "decide.go")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, check("filter/embedded/waymark.wasm.gz", "./filter/wasm"), "the place of the sources does not count")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), "package routing", "package  routing", 1)), 0o600))
	require.ErrorContains(t, check("filter/embedded/waymark.wasm.gz", "./filter/wasm"), "'make module' builds it again")
}
