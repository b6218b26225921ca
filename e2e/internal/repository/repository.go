// Package repository finds the checkout of Waymark that tests and measurements run in.
package repository

import (
	"bytes"
	"os"
	"path/filepath"
)

// Root is the folder with the product's go.mod, at or above the one we are in; "" where there is none.
var Root = find()

func find() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module waymark.dev/waymark\n")) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
