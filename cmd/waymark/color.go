package main

import (
	"os"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/explain"
)

// colorFlag says whether text on standard output is coloured: on a terminal, unless NO_COLOR is set (no-color.org), or
// always or never.
type colorFlag struct{ when string }

func (f *colorFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&f.when, "color", "auto", "auto: on a terminal, unless NO_COLOR is set; always; never")
}

// paint colours text on standard output, or leaves it as it is.
func (f *colorFlag) paint() (func(explain.Tone, string) string, error) {
	on := false
	switch f.when {
	case "auto":
		on = os.Getenv("NO_COLOR") == "" && isTerminal(os.Stdout)
	case "always":
		on = true
	case "never":
	default:
		return nil, usageError("--color %q is not auto, always or never", f.when)
	}
	if !on {
		return func(_ explain.Tone, text string) string { return text }, nil
	}
	// SGR codes: bold, green, red, faint.
	codes := map[explain.Tone]string{explain.Heading: "1", explain.Good: "32", explain.Bad: "31", explain.Faint: "2"}
	return func(tone explain.Tone, text string) string { return "\x1b[" + codes[tone] + "m" + text + "\x1b[0m" }, nil
}
