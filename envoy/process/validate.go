package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/envoy/process/scratch"
)

// Validate lets an Envoy look at a bootstrap, without serving it. An error says what it refuses, in its own words. The
// bootstrap may hold keys: its file is for this user alone, and goes at once.
func Validate(ctx context.Context, binary string, bootstrap []byte) error {
	dir, err := scratch.New("validate")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Remove() }() // an error of the validation counts more
	file := filepath.Join(dir.Path, "bootstrap.json")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
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

// refusal is what Envoy says that it refuses: the last line that says why.
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
	return "it does not say why"
}
