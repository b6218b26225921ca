package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker in 'make build'; elsewhere they are what Go recorded.
var version, commit string

// origin is the version and the commit that this program was built from, as far as they are known.
func origin() (string, string) {
	v, c := cmp.Or(version, "devel"), cmp.Or(commit, "unknown")
	info, ok := debug.ReadBuildInfo()
	if !ok || version != "" {
		return v, c
	}
	v = cmp.Or(info.Main.Version, v)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			c = s.Value
		}
	}
	return v, c
}

func newVersion() *cobra.Command {
	var module string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, commit, Go version and the module's sha256",
		Long: `Version prints what this program was built from, and which module it has in it.

  waymark version
  waymark version --module waymark.wasm
  waymark version | grep module`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := readModule(module)
			if err != nil {
				return err
			}
			version, commit := origin()
			_, err = fmt.Fprintf(c.OutOrStdout(), "waymark %s\ncommit  %s\ngo      %s\nmodule  sha256:%s\n", version, commit, runtime.Version(), moduleSum(m))
			return err
		},
	}
	addModuleFlag(c, &module)
	return c
}
