// Package program builds what 'make build' builds, once for each package of tests, and runs it: to its end, or in the
// background.
package program

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/filter/embedded"
)

// Path builds bin/waymark once, and returns where it is.
var Path = sync.OnceValues(func() (string, error) {
	if _, err := module(); err != nil {
		return "", err
	}
	out := filepath.Join(repository.Root, "bin", "waymark")
	build := exec.Command("go", "build", "-o", out, "./cmd/waymark")
	build.Dir, build.Env = repository.Root, append(os.Environ(), "CGO_ENABLED=0") // images are made of it
	if text, err := build.CombinedOutput(); err != nil {
		return "", &buildError{string(text), err}
	}
	return out, nil
})

// module writes the filter's module into a file once and returns its path: that which is in the program, after a look
// whether it is of these sources. The processes that 'go test -fuzz' starts find it written: one of them could read what
// another one is writing.
var module = sync.OnceValues(func() (string, error) {
	out := filepath.Join(repository.Root, "bin", "waymark.wasm")
	if f := flag.Lookup("test.fuzzworker"); f != nil && f.Value.String() == "true" {
		return out, nil
	}
	check := exec.Command("go", "run", "./build/module", "-check")
	check.Dir = repository.Root
	if text, err := check.CombinedOutput(); err != nil {
		return "", &buildError{string(text), err}
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	return out, os.WriteFile(out, embedded.Module(), 0o644)
})

type buildError struct {
	text string
	err  error
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.text }

// ReadModule is the filter's module, as a file and as what is in it.
func ReadModule(t testing.TB) (path string, wasm []byte) {
	path, err := module()
	require.NoError(t, err)
	wasm, err = os.ReadFile(path)
	require.NoError(t, err)
	return path, wasm
}

// Run runs the program to its end, in the root of the repository.
func Run(t testing.TB, stdin string, args ...string) (stdout, stderr string, status int) {
	path, err := Path()
	require.NoError(t, err)
	c := exec.Command(path, args...)
	c.Dir = repository.Root
	c.Stdin = strings.NewReader(stdin)
	var out, talk bytes.Buffer
	c.Stdout, c.Stderr = &out, &talk
	err = c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), talk.String(), c.ProcessState.ExitCode()
}

// Command runs any program to its end, and returns what it prints on both streams.
func Command(name string, args ...string) (string, error) {
	text, err := exec.Command(name, args...).CombinedOutput()
	return string(text), err
}
