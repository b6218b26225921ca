package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/envoy/process/scratch"
)

// Validation is where a bootstrap is written for an Envoy to validate, and who may read it: it may have keys in it, and is
// removed at once.
type Validation struct {
	// Dir is a folder; "" is a temporary one that only this user can enter.
	Dir string
	// Mode of the file; 0 is 0600.
	Mode fs.FileMode
}

// Validate lets an Envoy look at a bootstrap, without serving it. An error has its reason, in its own words.
func (v Validation) Validate(ctx context.Context, binary string, bootstrap []byte) error {
	folder, mode := v.Dir, v.Mode
	if folder == "" {
		dir, err := scratch.New("validate")
		if err != nil {
			return err
		}
		defer func() { _ = dir.Remove() }() // an error of the validation counts more
		folder = dir.Path
	}
	if mode == 0 {
		mode = 0o600
	}
	file := filepath.Join(folder, ".validate.json")
	defer func() { _ = os.Remove(file) }() // likewise
	if err := os.WriteFile(file, bootstrap, mode); err != nil {
		return err
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask is
		return err
	}
	text, err := exec.CommandContext(ctx, binary, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return fmt.Errorf("envoy refuses the configuration: %s", refusal(string(text), file))
	case err != nil:
		return fmt.Errorf("envoy cannot be started: %w", err)
	}
	return nil
}

// refusal is the reason of a refusal in what Envoy printed: the last line that has one.
func refusal(output, file string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(strings.ReplaceAll(lines[i], "'"+file+"'", "it"))
		if _, reason, ok := strings.Cut(line, "error initializing configuration it: "); ok {
			return reason
		}
		if line != "" && i == 0 {
			return line
		}
	}
	return "it gives no reason"
}
