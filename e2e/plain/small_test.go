//go:build clang

package plain

import (
	"path/filepath"
	"testing"

	"waymark.dev/waymark/e2e/internal/repository"
)

// TestSmallModuleIsTheSameEverywhere is TestModuleIsTheSameEverywhere for the small module. Its compiler needs clang.
func TestSmallModuleIsTheSameEverywhere(t *testing.T) {
	theSameEverywhere(t, "waymark-small.wasm.gz", "-small", "-tools", filepath.Join(repository.Root, ".tools"))
}
