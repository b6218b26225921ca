package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker.
var version, commit = "devel", "unknown"

func newVersion() *cobra.Command {
	var module string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, commit, Go version and the module's sha256",
		Long: `Version says what this program was built from, and which module it would load.

  waymark version
  waymark version --module /etc/envoy/waymark.wasm
  waymark version | grep module`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			sum := "none beside this program"
			if m, err := readModule(module); err == nil {
				sum = "sha256:" + moduleSum(m)
			} else if module != "" {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "waymark %s\ncommit  %s\ngo      %s\nmodule  %s\n", version, commit, runtime.Version(), sum)
			return err
		},
	}
	addModuleFlag(c, &module)
	return c
}
