// Command module builds the filter's Wasm module: go build with flags that make the module small and the same on every
// machine, and with one change to the Go runtime, which is applied to the source of the installed Go at each build.
//
// The change replaces the imported function poll_oneoff by one inside the module that returns no events. Envoy before
// 1.39 answers poll_oneoff with an error, at which the runtime ends the program: a garbage collection that finds a
// timer would stop the VM. The filter does not sleep and does not wait, so "no events" is always correct. No source of
// Go is kept in this repository. See RATIONALE.md, "Why does the build change the Go runtime's poll_oneoff?".
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// scratch is the folder for the changed files, below the root of the repository.
const scratch = ".cache/module"

// declaration matches the import of poll_oneoff in runtime/os_wasip1.go; its group is the parameters.
var declaration = regexp.MustCompile(`(?m)^//go:wasmimport wasi_snapshot_preview1 poll_oneoff\n(?://go:noescape\n)?func poll_oneoff\(([^)]*)\) errno\n`)

// answer replaces the declaration: success, and no events. Its argument is the parameters.
const answer = `//go:nosplit
func poll_oneoff(%s) errno {
	*nevents = 0
	return 0
}
`

func main() {
	out := flag.String("o", "filter/embedded/waymark.wasm.gz", "module to write; it is compressed where the name ends in .gz")
	pkg := flag.String("package", "./filter/wasm", "package main to build")
	changed := flag.String("replace", "", "for tests: FILE=OTHER, compile OTHER in place of the source file FILE")
	look := flag.Bool("check", false, "write nothing, and fail where the compressed module was built from other sources")
	flag.Parse()
	work := func() error { return run(*out, *pkg, *changed) }
	if *look {
		work = func() error { return check(*out, *pkg) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "module: "+err.Error())
		os.Exit(1)
	}
}

// run builds the package pkg into the file out. changed is the flag --replace.
func run(out, pkg, changed string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	main, err := goCommand(nil, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	if err := os.Chdir(main); err != nil {
		return err
	}
	overlay, err := writeOverlay(changed)
	if err != nil {
		return err
	}
	wasm := out
	compressed := strings.HasSuffix(out, ".gz")
	if compressed {
		wasm = filepath.Join(scratch, "waymark.wasm")
	}
	build := exec.Command("go", "build", "-overlay="+overlay, "-trimpath", "-buildvcs=false",
		"-buildmode=c-shared", "-ldflags=-s -w -buildid=", "-o", wasm, pkg)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOWASM=", "GOEXPERIMENT=")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil || !compressed {
		return err
	}
	module, err := os.ReadFile(wasm)
	if err != nil {
		return err
	}
	return compress(out, module, pkg)
}

// writeOverlay writes the changed copy of the runtime's file and the overlay file for go build, and returns the path of
// the overlay. changed is FILE=OTHER for a second replaced file, or "".
func writeOverlay(changed string) (string, error) {
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
	replaced := map[string]string{original: copied}
	if file, other, ok := strings.Cut(changed, "="); ok {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		replaced[absolute] = other
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		return "", err
	}
	file := filepath.Join(scratch, "overlay.json")
	if changed != "" {
		file = filepath.Join(scratch, "overlay-replaced.json")
	}
	return file, writeAll(map[string][]byte{copied: answered, file: overlay})
}

func writeAll(files map[string][]byte) error {
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func goCommand(env []string, args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Env = append(os.Environ(), env...)
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
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
