package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	envoyversion "waymark.dev/waymark/envoy/version"
)

func addVersionFlag(c *cobra.Command, version *string) {
	c.Flags().StringVar(version, "envoy-version", fmt.Sprintf("1.%d", envoyversion.Default),
		fmt.Sprintf("version of Envoy, 1.%d to 1.%d; versions read repeated headers and regular expressions differently", envoyversion.Oldest, envoyversion.Newest))
}

// minorVersion reads 1.39 or 1.39.3.
func minorVersion(version string) (int, error) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) >= 2 && parts[0] == "1" {
		if minor, err := strconv.Atoi(parts[1]); err == nil && envoyversion.Supported(minor) {
			return minor, nil
		}
	}
	return 0, usageError("--envoy-version %q is not between 1.%d and 1.%d", version, envoyversion.Oldest, envoyversion.Newest)
}
