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

// Validation is the folder and the mode of the file in which an Envoy gets a bootstrap to validate. The bootstrap may
// have keys in it, so the file is removed after the validation.
type Validation struct {
	// Dir is the folder; "" is a temporary folder that only this user can enter.
	Dir string
	// Mode is the mode of the file; 0 is 0600.
	Mode fs.FileMode
}

// Validate makes the Envoy binary validate a bootstrap without serving it. If Envoy refuses the bootstrap, the error
// has the reason that Envoy prints.
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
	if err := os.Chmod(file, mode); err != nil { // the umask may have removed bits
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

// refusal returns the reason of a refusal from the output of Envoy: that in the last line that has one, else the first
// line.
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
	return "it prints no reason"
}
