package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/docs"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// codes are all kinds of findings.
func codes() []validate.Code { return slices.Concat(validate.Codes(), gateway.OwnCodes()) }

// codeOf finds a kind of finding, whatever the case of its letters.
func codeOf(id string) (validate.Code, error) {
	all := codes()
	i := slices.IndexFunc(all, func(c validate.Code) bool { return strings.EqualFold(c.ID, id) })
	if i >= 0 {
		return all[i], nil
	}
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	return validate.Code{}, fmt.Errorf("%q is not the code of a finding%s", id, resource.DidYouMean(id, ids))
}

// looksLikeCode reports whether somebody means the code of a finding, and not a command.
func looksLikeCode(topic string) bool {
	topic = strings.ToUpper(topic)
	return strings.HasPrefix(topic, "WM") || strings.HasPrefix(topic, "VAL-")
}

// newHelp is the command that cobra has by itself, and the pages of codes.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND|CODE]",
		Short: "Show the help of a command, or the page of a finding",
		Long: `Help shows the help of a command, or what a finding of 'waymark check' means, by its code.

  waymark help check
  waymark help WM0101
  waymark help VAL-H-40`,
		ValidArgsFunction: completeHelp,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && looksLikeCode(args[0]) {
				code, err := codeOf(args[0])
				if err != nil {
					return usageError("%w", err)
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n\n%s\n", code.ID, code.Summary, docs.Page(code.ID))
				return err
			}
			topic, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError("%q is neither a command nor the code of a finding; see 'waymark --help'", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

// completeHelp completes commands and codes.
func completeHelp(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if len(args) == 0 {
		for _, topic := range c.Root().Commands() {
			if topic.IsAvailableCommand() {
				out = append(out, cobra.CompletionWithDesc(topic.Name(), topic.Short))
			}
		}
		for _, code := range codes() {
			out = append(out, cobra.CompletionWithDesc(code.ID, code.Summary))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
