package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The pinned TinyGo. It is compiled from its Go module, with the libraries of LLVM 19 and clang that Debian has ('make
// needs-clang'); the sum is that of go.sum.
const (
	tinyGoModule  = "github.com/tinygo-org/tinygo"
	tinyGoVersion = "v0.41.1"
	tinyGoSum     = "h1:Hp1Frc4zQALL88t49XraSZEwkIYEjMOmmurlmsTigzE="
)

// installTinyGo compiles TinyGo into the folder tools, unless it is there, and returns the compiler and the folder of
// its source.
func installTinyGo(tools string) (compiler, source string, err error) {
	if source, err = downloadTinyGo(); err != nil {
		return "", "", err
	}
	if compiler, err = filepath.Abs(filepath.Join(tools, "tinygo-"+tinyGoVersion)); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(compiler); err == nil {
		return compiler, source, nil
	}
	build := exec.Command("go", "build", "-C", source, "-tags=llvm19", "-trimpath", "-buildvcs=false", "-o", compiler, ".")
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return "", "", fmt.Errorf("compiling TinyGo %s: %w", tinyGoVersion, err)
	}
	return compiler, source, nil
}

// downloadTinyGo returns the folder of TinyGo's source in Go's module cache.
func downloadTinyGo() (string, error) {
	text, err := goCommand([]string{"GOFLAGS=", "GOWORK=off"}, "mod", "download", "-json", tinyGoModule+"@"+tinyGoVersion)
	if err != nil {
		return "", err
	}
	var m struct{ Dir, Sum string }
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return "", err
	}
	if m.Sum != tinyGoSum {
		return "", fmt.Errorf("%s %s has the sum %s, not %s", tinyGoModule, tinyGoVersion, m.Sum, tinyGoSum)
	}
	return m.Dir, nil
}
