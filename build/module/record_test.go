package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kinds are the modules that every waymark has in it.
var kinds = map[string]*kind{"standard": &standard, "small": &small}

// The modules that every waymark has in it are those of the sources beside them. Other compilers than the ones that built
// them are well.
func TestTheEmbeddedModulesAreOfTheseSources(t *testing.T) {
	t.Chdir("../..")
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) { require.NoError(t, k.check("./filter/wasm")) })
	}
}

// One changed byte of a source is found, and so is another recipe.
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
	for _, k := range kinds {
		require.NoError(t, k.check("./filter/wasm"), "the place of the sources does not count")
		other := *k
		other.recipe += " "
		require.ErrorContains(t, other.check("./filter/wasm"), "was built from other sources")
	}
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), "package routing", "package  routing", 1)), 0o600))
	require.ErrorContains(t, standard.check("./filter/wasm"), "'make module' builds it again")
	require.ErrorContains(t, small.check("./filter/wasm"), "'make module-small' builds it again")
}
