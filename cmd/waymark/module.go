package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/filter/embedded"
)

// The filter's modules are parts of this program. Where a bootstrap is printed, Envoy reads the module from a file that
// stands beside the program, as 'make build' writes it; where Envoy's files are written, it is one of them. --module names
// another one for all of that.

// ownModule is a module that is in this program: the name of the file that Envoy reads it from, and what is in it.
type ownModule struct {
	file string
	wasm func() []byte
	// command is the subcommand that writes it.
	command string
}

// ownModules are the modules in this program by the values of --module.
var ownModules = map[string]ownModule{
	"standard": {"waymark.wasm", embedded.Module, "waymark module"},
	"small":    {"waymark-small.wasm", embedded.Small, "waymark module small"},
}

func addModuleFlag(c *cobra.Command, module *string) {
	c.Flags().StringVar(module, "module", "standard", "the filter's module: standard or small, which are in this program (and waymark.wasm or waymark-small.wasm among the files that Envoy watches, or beside this program where a bootstrap is printed), or the path of another one, as Envoy sees it")
}

// readModule is a module of this program, or that of a file.
func readModule(module string) ([]byte, error) {
	if own, ok := ownModules[module]; ok {
		return own.wasm(), nil
	}
	wasm, err := os.ReadFile(module)
	if err != nil {
		return nil, &exitError{exitBadInput, fmt.Errorf("the filter's module cannot be read: %w; without --module, the one in this program is used", err)}
	}
	return wasm, nil
}

// beside names the module beside this program, for an Envoy that is started with a printed bootstrap, and reports where it
// is missing.
func (m ownModule) beside(notice func(string)) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(program), m.file)
	switch wasm, err := os.ReadFile(path); {
	case errors.Is(err, os.ErrNotExist):
		notice(fmt.Sprintf("Envoy will read the filter's module from %s, which does not exist; '%s -o FILE' writes it, and --module names FILE", path, m.command))
	case err == nil && !bytes.Equal(wasm, m.wasm()):
		notice(fmt.Sprintf("Envoy will read the filter's module from %s, which is not the one in this program; '%s -o FILE' writes it, and --module names FILE", path, m.command))
	}
	return path, nil
}

// nameModule names the file of the module among those of Envoy's folder. write writes it there; it is nil where another one
// was named, or none is needed.
func nameModule(o *envoy.Options) (write func() error) {
	own, ok := ownModules[o.Module]
	if !ok || o.Matching == envoy.MatchingNative {
		return nil
	}
	o.Module = filepath.Join(o.Dir, own.file)
	file := o.Module
	return func() error { return own.write(file) }
}

// write replaces a file by the module. An Envoy of any user may read it: it is no secret.
func (m ownModule) write(file string) error {
	if wasm, err := os.ReadFile(file); err == nil && bytes.Equal(wasm, m.wasm()) {
		return nil
	}
	return writeFile(file, m.wasm(), 0o644)
}

func moduleSum(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

func newModule() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "module [standard|small] -o FILE",
		Short: "Write the filter's module, for an Envoy to read",
		Long: `Module writes a Wasm module that is in this program: the standard one, or the small one, which is made of the same
sources with another compiler, starts faster and takes less memory.

  waymark module -o waymark.wasm
  waymark module small -o - | sha256sum
  waymark module -o waymark.wasm && waymark translate -f examples/bookinfo --module $PWD/waymark.wasm`,
		ValidArgs: slices.Sorted(maps.Keys(ownModules)),
		RunE: func(c *cobra.Command, args []string) error {
			own := ownModules["standard"]
			if len(args) > 0 {
				var ok bool
				if own, ok = ownModules[args[0]]; !ok || len(args) > 1 {
					return usageError("name one module, standard or small, and the file with -o FILE")
				}
			}
			switch file {
			case "":
				return usageError("name the file with -o FILE, or - for standard output")
			case "-":
				_, err := c.OutOrStdout().Write(own.wasm())
				return err
			}
			if err := own.write(file); err != nil {
				return &exitError{exitBadInput, err}
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write, or - for standard output")
	return c
}
