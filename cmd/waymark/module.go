package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func addModuleFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "module", "", "path of the filter's module, as Envoy sees it (default: waymark.wasm beside this program)")
}

// modulePath is where the filter's module is: the flag, or beside this program.
func modulePath(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(program), "waymark.wasm"), nil
}

// readModule reads the module and says what to do where it is missing.
func readModule(flag string) ([]byte, error) {
	path, err := modulePath(flag)
	if err != nil {
		return nil, err
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return nil, &exitError{exitBadInput, fmt.Errorf("the filter's module cannot be read: %w; 'make build' writes it, --module names another", err)}
	}
	return module, nil
}

func moduleSum(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}
