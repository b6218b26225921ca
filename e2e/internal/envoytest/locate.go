// Package envoytest finds the Envoys that tests and measurements run on, and asks of a running one what only they want to
// know. Running it is the business of envoy/process.
package envoytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// Default is the version for whatever needs one Envoy and no certain one.
const Default = "1.39.3"

// Binary is an Envoy that is installed here.
type Binary struct {
	Path string
	// Version is what the program itself says, such as 1.39.3.
	Version string
}

// Locate finds an Envoy: the one that ENVOY_BIN names, whatever its version, else the pinned one of a version, which
// 'make envoy' installs.
func Locate(version string) (Binary, error) {
	if bin := os.Getenv("ENVOY_BIN"); bin != "" {
		b, err := ask(bin)
		if err != nil {
			return Binary{}, fmt.Errorf("ENVOY_BIN: %w", err)
		}
		return b, nil
	}
	root, err := repository()
	if err != nil {
		return Binary{}, err
	}
	bin := filepath.Join(root, ".cache", "envoy", version, "envoy")
	if _, err := os.Stat(bin); err != nil {
		return Binary{}, fmt.Errorf("Envoy %s is not installed: run 'make envoy', or name one with ENVOY_BIN", version) //nolint:staticcheck // a name, and the message is a sentence
	}
	return ask(bin)
}

// inVersion is the place of the version in "envoy  version: COMMIT/1.39.3/Clean/RELEASE/BoringSSL".
var inVersion = regexp.MustCompile(`version: [0-9a-f]+/([0-9.]+[^/]*)/`)

func ask(bin string) (Binary, error) {
	text, err := exec.Command(bin, "--version").Output()
	if err != nil {
		return Binary{}, fmt.Errorf("%s --version: %w", bin, err)
	}
	m := inVersion.FindSubmatch(text)
	if m == nil {
		return Binary{}, fmt.Errorf("%s is no Envoy: it does not say a version of it", bin)
	}
	return Binary{bin, string(m[1])}, nil
}

// repository is the folder of go.mod, at or above the one we are in.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return "", errors.New("pinned Envoys are looked for in a checkout of Waymark, and this is none")
	}
}
