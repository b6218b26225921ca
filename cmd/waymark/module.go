package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/filter/embedded"
)

// The filter's module is a part of this program. Where a bootstrap is printed, Envoy reads it from a file that stands
// beside the program, as 'make build' writes it; where Envoy's files are written, it is one of them. --module names another
// one for all of that.

// moduleName is the name of the file that Envoy reads the module from.
const moduleName = "waymark.wasm"

func addModuleFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "module", "", "path of the filter's module, as Envoy sees it, instead of the one in this program (which is waymark.wasm among the files that Envoy watches, or beside this program where a bootstrap is printed)")
}

// readModule is the module of a file, or that of this program.
func readModule(file string) ([]byte, error) {
	if file == "" {
		return embedded.Module(), nil
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, &exitError{exitBadInput, fmt.Errorf("the filter's module cannot be read: %w; without --module, the one in this program is used", err)}
	}
	return module, nil
}

// moduleBeside names the module beside this program, for an Envoy that is started with a printed bootstrap, and reports
// where it is missing.
func moduleBeside(notice func(string)) (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(program), moduleName)
	switch module, err := os.ReadFile(path); {
	case errors.Is(err, os.ErrNotExist):
		notice(fmt.Sprintf("Envoy will read the filter's module from %s, which does not exist; 'waymark module -o FILE' writes it, and --module names FILE", path))
	case err == nil && !bytes.Equal(module, embedded.Module()):
		notice(fmt.Sprintf("Envoy will read the filter's module from %s, which is not the one in this program; 'waymark module -o FILE' writes it, and --module names FILE", path))
	}
	return path, nil
}

// nameModule names the file of the module among those of Envoy's folder, and reports whether it is to be written there: not
// where another one was named, or none is needed.
func nameModule(o *envoy.Options) bool {
	if o.Module != "" || o.Matching == envoy.MatchingNative {
		return false
	}
	o.Module = filepath.Join(o.Dir, moduleName)
	return true
}

// writeModule replaces a file by the module. An Envoy of any user may read it: it is no secret.
func writeModule(file string) error {
	if module, err := os.ReadFile(file); err == nil && bytes.Equal(module, embedded.Module()) {
		return nil
	}
	beside := file + ".new"
	if err := os.WriteFile(beside, embedded.Module(), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(beside, 0o644); err != nil { // whatever the umask is
		return err
	}
	return os.Rename(beside, file)
}

func moduleSum(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

func newModule() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "module -o FILE",
		Short: "Write the filter's module, for an Envoy to read",
		Long: `Module writes the Wasm module that is in this program.

  waymark module -o waymark.wasm
  waymark module -o - | sha256sum
  waymark module -o waymark.wasm && waymark translate -f examples/bookinfo --module $PWD/waymark.wasm`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch file {
			case "":
				return usageError("name the file with -o FILE, or - for standard output")
			case "-":
				_, err := c.OutOrStdout().Write(embedded.Module())
				return err
			}
			if err := writeModule(file); err != nil {
				return &exitError{exitBadInput, err}
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write, or - for standard output")
	return c
}
