// Command waymark brings Istio's traffic rules to any Envoy: it translates Istio's resources, answers offline what
// happens to a request, and runs everything end to end on a developer's machine.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
)

// Exit statuses, as sysexits.h has them; 79 is for findings.
const (
	exitUnexpected = 1
	exitUsage      = 64
	exitBadInput   = 65
	exitFindings   = 79
)

// How far the heap may grow beyond what is alive before it is collected, in percent: most commands are over by then, and a
// control plane stays.
const (
	gcPercent       = 200
	gcPercentServed = 50
)

// growHeap sets a percentage, unless the user has set GOGC.
func growHeap(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// exitError is an error that has been reported, or is to be reported, with a status of its own.
type exitError struct {
	status int
	err    error // nil: everything was said already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	growHeap(gcPercent)
	root := newRoot()
	err := root.Execute()
	if err == nil {
		return
	}
	var findings *diag.FindingsError
	if errors.As(err, &findings) { // each line names its place
		_ = findings.Findings.Write(os.Stderr, findings.Texts)
	} else if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "waymark: "+text)
	}
	os.Exit(statusOf(err))
}

// statusOf is the exit status for an error.
func statusOf(err error) int {
	var e *exitError
	var findings *diag.FindingsError
	switch {
	case errors.As(err, &e):
		return e.status
	case errors.As(err, &findings):
		return exitBadInput
	}
	return exitUnexpected
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "waymark",
		Short: "Istio's traffic rules for any Envoy",
		Long: `Waymark brings Istio's traffic rules to any Envoy.

  waymark run -f examples/bookinfo  # serve the rules of a folder until Ctrl-C
  waymark translate -f examples/bookinfo > bootstrap.json  # print a bootstrap that a stock Envoy starts
  waymark decide -f examples/bookinfo --requests examples/bookinfo-requests.json  # show what happens to requests
  waymark explain -f examples/bookinfo http://bookinfo.example.com:8080/productpage  # show it for one request, and why
  waymark check -f examples/bookinfo  # find rules that do nothing, and what Istio would refuse
  waymark test -f examples/bookinfo examples/bookinfo-tests  # run tests of routes
  waymark diff examples/bookinfo examples/bookinfo-next  # show what a change of rules changes in behaviour`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q; see 'waymark --help'", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%w; see 'waymark %s --help'", err, c.Name())
	})
	root.AddCommand(newCheck(), newDecide(), newExplain(), newTest(), newDiff(), newTranslate(), newRun(), newServe(), newBootstrap(), newStatus(), newRollout(), newDemo(), newModule(), newVersion())
	root.SetHelpCommand(newHelp())
	for _, c := range root.Commands() {
		completeFlags(c)
	}
	return root
}
