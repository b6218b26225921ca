// Command module builds the filter's Wasm modules from the same sources: the standard one with Go's own compiler, the
// small one with TinyGo. Both are built with flags that make a module small and the same on every machine, and with a
// few changes to the compiler's runtime, which are applied to the source of the installed compiler at each build. No
// source of Go or TinyGo is kept in this repository.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// scratch is the folder for changed and intermediate files, below the root of the repository.
const scratch = ".cache/module"

// kind is one of the modules that are made of the same sources.
type kind struct {
	file   string // the compressed module that is committed
	target string // the target of make that builds it
	tags   string // the build tags, beside GOOS and GOARCH, by which the compiler selects source files
	recipe string // what else decides what the sources become, and is recorded with them
	// compile builds a package into a file. Tools that have to be installed are in the folder tools.
	compile func(out, pkg, tools string) error
	// toolchain returns the names and versions of the compiler and of what it is made with, without spaces.
	toolchain func(tools string) (string, error)
}

func main() {
	out := flag.String("o", "", "module to write, which is compressed where the name ends in .gz (default: the committed file)")
	pkg := flag.String("package", "./filter/wasm", "package main to build")
	tools := flag.String("tools", ".tools", "folder that TinyGo is installed in")
	useTinyGo := flag.Bool("small", false, "build with TinyGo, which has to be compiled first: that needs clang 19")
	look := flag.Bool("check", false, "write nothing, and fail if the committed module was built from other sources")
	flag.Parse()
	k := &standard
	if *useTinyGo {
		k = &small
	}
	work := func() error { return k.build(*out, *pkg, *tools) }
	if *look {
		work = func() error { return k.check(*pkg) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "module: "+err.Error())
		os.Exit(1)
	}
}

// build builds the package pkg into the file out, or into the committed one.
func (k *kind) build(out, pkg, tools string) error {
	root, err := goCommand(nil, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	if out == "" {
		out = filepath.Join(root, k.file)
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	if !strings.HasSuffix(out, ".gz") {
		return k.compile(out, pkg, tools)
	}
	wasm := filepath.Join(scratch, "waymark.wasm")
	if err := k.compile(wasm, pkg, tools); err != nil {
		return err
	}
	module, err := os.ReadFile(wasm)
	if err != nil {
		return err
	}
	return k.compress(out, module, pkg, tools)
}

// environment has what decides which files of a package are compiled, and nothing that a user may have set.
var environment = []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOWASM=", "GOEXPERIMENT="}

func goCommand(env []string, args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Env = append(os.Environ(), env...)
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
