package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// standard is the module that Go's own compiler builds. In its runtime, the imported function poll_oneoff is replaced by
// one inside the module that returns no events. Envoy before 1.39 answers poll_oneoff with an error, at which the runtime
// ends the program: a garbage collection that finds a timer would stop the VM. The filter does not sleep and does not
// wait, so "no events" is always correct. See RATIONALE.md, "Why does the build change the Go runtime's poll_oneoff?".
var standard = kind{
	file:      "filter/embedded/waymark.wasm.gz",
	target:    "module",
	compile:   compileStandard,
	toolchain: func(string) (string, error) { return goCommand(nil, "env", "GOVERSION") },
}

// declaration matches the import of poll_oneoff in runtime/os_wasip1.go; its group is the parameters.
var declaration = regexp.MustCompile(`(?m)^//go:wasmimport wasi_snapshot_preview1 poll_oneoff\n(?://go:noescape\n)?func poll_oneoff\(([^)]*)\) errno\n`)

// answer replaces the declaration: success, and no events. Its argument is the parameters.
const answer = `//go:nosplit
func poll_oneoff(%s) errno {
	*nevents = 0
	return 0
}
`

func compileStandard(out, pkg, _ string) error {
	overlay, err := writeOverlay()
	if err != nil {
		return err
	}
	build := exec.Command("go", "build", "-overlay="+overlay, "-trimpath", "-buildvcs=false",
		"-buildmode=c-shared", "-ldflags=-s -w -buildid=", "-o", out, pkg)
	build.Env = append(os.Environ(), environment...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	return build.Run()
}

// writeOverlay writes the changed copy of the runtime's file and the overlay file for go build, and returns the path of
// the overlay.
func writeOverlay() (string, error) {
	root, err := goCommand(nil, "env", "GOROOT")
	if err != nil {
		return "", err
	}
	original := filepath.Join(root, "src", "runtime", "os_wasip1.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	answered, err := replace(source)
	if err != nil {
		return "", fmt.Errorf("%s: %w", original, err)
	}
	copied, err := filepath.Abs(filepath.Join(scratch, "os_wasip1.go"))
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: copied}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(copied, answered, 0o644); err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o644)
}

// replace returns the source with the answer in place of the declaration; an error if there is no declaration.
func replace(source []byte) ([]byte, error) {
	m := declaration.FindSubmatchIndex(source)
	if m == nil {
		return nil, fmt.Errorf("the expected declaration of poll_oneoff is not in it; adapt build/module to this version of Go")
	}
	var b []byte
	b = append(b, source[:m[0]]...)
	b = append(b, fmt.Sprintf(answer, source[m[2]:m[3]])...)
	return append(b, source[m[1]:]...), nil
}
