// Package envoytest finds the Envoys that tests and measurements run on, and asks of a running one what only they want to
// know. Running it is the business of envoy/process.
package envoytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/envoy/process"
)

// Binary is an Envoy that is installed here.
type Binary struct {
	Path string
	// Version is what the program itself says, such as 1.39.3; Minor is the 39 in it.
	Version string
	Minor   int
}

// defaultVersion is for whatever needs one Envoy and no certain one.
const defaultVersion = "1.39.3"

// pinned are the versions that every vector runs on.
var pinned = []string{"1.36.4", "1.37.0", "1.38.2", defaultVersion, "1.40.0"}

// All are the Envoys that every vector runs on: the one that ENVOY_BIN names, alone, or else the pinned ones, which
// 'make envoy' installs. One that is missing is an error: README promises all of them.
func All() ([]Binary, error) {
	if named, err := named(); named != nil || err != nil {
		return []Binary{*named}, err
	}
	var all []Binary
	for _, version := range pinned {
		b, err := installed(version)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// Default is the Envoy for whatever needs one and no certain one.
func Default() (Binary, error) {
	if named, err := named(); named != nil || err != nil {
		return *named, err
	}
	return installed(defaultVersion)
}

// named is the Envoy of ENVOY_BIN; nil where the variable is not set.
func named() (*Binary, error) {
	bin := os.Getenv("ENVOY_BIN")
	if bin == "" {
		return nil, nil
	}
	b, err := ask(bin)
	if err != nil {
		err = fmt.Errorf("ENVOY_BIN: %w", err)
	}
	return &b, err
}

func installed(version string) (Binary, error) {
	if repository.Root == "" {
		return Binary{}, errors.New("pinned Envoys are looked for in a checkout of Waymark, and this is none")
	}
	bin := filepath.Join(repository.Root, ".cache", "envoy", version, "envoy")
	if _, err := os.Stat(bin); err != nil {
		return Binary{}, fmt.Errorf("the pinned Envoy %s is not installed: run 'make envoy', or name another with ENVOY_BIN", version)
	}
	return ask(bin)
}

func ask(bin string) (Binary, error) {
	version, minor, err := process.Version(context.Background(), bin)
	return Binary{bin, version, minor}, err
}
