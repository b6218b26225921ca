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
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/filter/embedded"
)

// Path builds bin/waymark once, and returns where it is.
var Path = sync.OnceValues(func() (string, error) {
	if _, err := modules(); err != nil {
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

// Module is one of the filter's two modules, as a file and as what is in it.
type Module struct {
	Name, Path string
	Wasm       []byte
}

// modules writes the filter's modules into files once: those that are in the program, after a look whether they are of
// these sources. The processes that 'go test -fuzz' starts find them written: one of them could read what another one is
// writing.
var modules = sync.OnceValues(func() ([]Module, error) {
	all := []Module{
		{"standard", filepath.Join(repository.Root, "bin", "waymark.wasm"), embedded.Module()},
		{"small", filepath.Join(repository.Root, "bin", "waymark-small.wasm"), embedded.Small()},
	}
	if f := flag.Lookup("test.fuzzworker"); f != nil && f.Value.String() == "true" {
		return all, nil
	}
	for _, m := range all {
		check := exec.Command("go", "run", "./build/module", "-check", "-small="+strconv.FormatBool(m.Name == "small"))
		check.Dir = repository.Root
		if text, err := check.CombinedOutput(); err != nil {
			return nil, &buildError{string(text), err}
		}
		if err := os.MkdirAll(filepath.Dir(m.Path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(m.Path, m.Wasm, 0o644); err != nil {
			return nil, err
		}
	}
	return all, nil
})

type buildError struct {
	text string
	err  error
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.text }

// Modules are the filter's modules: the standard one, which is the default, and the small one.
func Modules(t testing.TB) []Module {
	all, err := modules()
	require.NoError(t, err)
	return all
}

// ReadModule is the standard module, as a file and as what is in it.
func ReadModule(t testing.TB) (path string, wasm []byte) {
	m := Modules(t)[0]
	return m.Path, m.Wasm
}

// OnModules runs a test with each module.
func OnModules(t *testing.T, test func(t *testing.T, m Module)) {
	for _, m := range Modules(t) {
		t.Run(m.Name, func(t *testing.T) { test(t, m) })
	}
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
