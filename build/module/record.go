package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The gzip header of a compressed module has a comment with the version of the compiler and a digest of the sources that
// it was built from, such as "go1.26.8 sha256:1f…". The check compares the digest and not the module itself, because
// another version of Go makes other bytes from the same sources, any installed version may run the check, and so may
// machines that cannot build the small module.

// sources returns a digest of the sources from which a package is compiled to Wasm, without those of the standard
// library, and of the recipe.
func (k *kind) sources(pkg string) (string, error) {
	list, err := goCommand(environment, "list", "-tags="+k.tags, "-deps", "-f",
		`{{if not .Standard}}{{.Module.GoVersion}}{{range .GoFiles}} {{$.Dir}}/{{.}}{{end}}{{end}}`, pkg)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprint(sum, k.recipe) // writing to a hash never fails
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		fmt.Fprintln(sum, fields[0]) // writing to a hash never fails
		for _, file := range fields[1:] {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(file), len(text), text) // writing to a hash never fails
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// compress writes a module as gzip, with the version of the compiler and the digest of its sources in the header.
func (k *kind) compress(out string, module []byte, pkg, tools string) error {
	version, err := k.toolchain(tools)
	if err != nil {
		return err
	}
	digest, err := k.sources(pkg)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	w.Comment = version + " " + digest
	if _, err := w.Write(module); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// check returns an error if the committed module was not built from the present sources of the package.
func (k *kind) check(pkg string) error {
	f, err := os.Open(k.file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the file was only read
	r, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", k.file, err)
	}
	digest, err := k.sources(pkg)
	if err != nil {
		return err
	}
	if _, built, _ := strings.Cut(r.Comment, " "); built != digest {
		return fmt.Errorf("%s was built from other sources than the present ones; 'make %s' builds it again", k.file, k.target)
	}
	return nil
}
