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

// A compressed module records in its gzip header what it was built from: Go's version and a digest of the sources, such as
// "go1.26.8 sha256:1f…". The digest tells with every Go whether the sources have changed since. The same bytes come only
// from the same Go, so another one that happens to be installed is not an error.

// sources is a digest of what a module is compiled from, Go's own packages aside.
func sources(pkg string) (string, error) {
	wasm := []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off"}
	list, err := goCommand(wasm, "list", "-deps", "-f",
		`{{if not .Standard}}{{.Module.GoVersion}}{{range .GoFiles}} {{$.Dir}}/{{.}}{{end}}{{end}}`, pkg)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		fmt.Fprintln(sum, fields[0]) // a hash takes everything
		for _, file := range fields[1:] {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(file), len(text), text) // as above
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// compress writes a module with its record.
func compress(out string, module []byte, pkg string) error {
	version, err := goCommand(nil, "env", "GOVERSION")
	if err != nil {
		return err
	}
	digest, err := sources(pkg)
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

// check says whether a compressed module was built from the sources as they are.
func check(file, pkg string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	r, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	digest, err := sources(pkg)
	if err != nil {
		return err
	}
	if _, built, _ := strings.Cut(r.Comment, " "); built != digest {
		return fmt.Errorf("%s was built from other sources than these; 'make module' builds it again", file)
	}
	return nil
}
