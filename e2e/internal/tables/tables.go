// Package tables keeps what benchmarks have measured in files of the documents.
package tables

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Update puts what was measured into a file of tables. What put does not change stays as it is there. Rows of tables that begin
// with one of the keys stand on a line of their own.
func Update[T any](file string, put func(all *T), keys ...string) error {
	var all T
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	put(&all)
	if text, err = json.Marshal(&all); err != nil {
		return err
	}
	var perLine []string
	for _, key := range keys {
		begin := `{"` + key + `":`
		perLine = append(perLine, begin, "\n"+begin)
	}
	return os.WriteFile(file, []byte(strings.NewReplacer(perLine...).Replace(string(text))+"\n"), 0o644) //nolint:gosec // a part of the documents
}
