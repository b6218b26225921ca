// Command module builds the filter's module: go build with the flags that make it small and the same on every machine,
// and with a change to what is compiled, which is made from what is installed each time.
//
// The Go runtime's poll_oneoff is answered inside the module. Envoy before 1.39 refuses poll_oneoff, and the runtime ends
// the program when it is refused: a garbage collection that has a timer to look at then kills the VM. The filter never
// sleeps and waits for nothing, so "no events" is the true answer. Nothing of Go's source is kept in this repository.
// RATIONALE.md says more.
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

// scratch is where the changed files are written, below the root of the repository.
const scratch = ".cache/module"

// declaration is the import as runtime/os_wasip1.go has it.
var declaration = regexp.MustCompile(`(?m)^//go:wasmimport wasi_snapshot_preview1 poll_oneoff\n(?://go:noescape\n)?func poll_oneoff\(([^)]*)\) errno\n`)

// answer takes its place: success, and no events.
const answer = `//go:nosplit
func poll_oneoff(%s) errno {
	*nevents = 0
	return 0
}
`

func main() {
	out := flag.String("o", "filter/embedded/waymark.wasm.gz", "module to write; it is compressed where the name ends in .gz")
	pkg := flag.String("package", "./filter/wasm", "package main to build")
	changed := flag.String("replace", "", "for tests: FILE=OTHER, a source file that another one takes the place of")
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

// writeOverlay writes the changed copy of the runtime's file, and the overlay that puts it in place, with another changed
// file where there is one.
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

// replace puts the answer in the place of the declaration, and fails where there is none.
func replace(source []byte) ([]byte, error) {
	m := declaration.FindSubmatchIndex(source)
	if m == nil {
		return nil, fmt.Errorf("there is no declaration of poll_oneoff as this build knows it; the overlay must be adapted to this Go")
	}
	var b []byte
	b = append(b, source[:m[0]]...)
	b = append(b, fmt.Sprintf(answer, source[m[2]:m[3]])...)
	return append(b, source[m[1]:]...), nil
}
