package main

import (
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"
)

func addFileModeFlag(c *cobra.Command, mode *string) {
	c.Flags().StringVar(mode, "file-mode", "0600", "with --dynamic: mode of the files, in octal; they may hold keys, and an Envoy of another user must be able to read them (0640 with a common group)")
}

// parseFileMode reads a mode of files. Their owner replaces them, and nobody else may.
func parseFileMode(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n&^0o644 != 0 || n&0o600 != 0o600 {
		return 0, usageError("--file-mode %q is not 0600, 0640, 0644 or 0604", text)
	}
	return fs.FileMode(n), nil
}
