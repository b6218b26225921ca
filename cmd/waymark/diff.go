package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/diff"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/verdict"
)

// The values of --fail-on.
const (
	failOnChange = "change"
	failOnLoss   = "loss"
)

func newDiff() *cobra.Command {
	var in input
	var intake intakeFlags
	var color colorFlag
	var output, failOn string
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what a change of rules changes in behaviour",
		Long: `Diff compares two sets of resources by what they do: for each host and port, the requests that are answered in another
way, each pair of rules with a request that shows it. Rules that only move are no change.

  waymark diff examples/bookinfo examples/bookinfo-next
  waymark diff HEAD~1 HEAD -- examples/bookinfo
  kubectl get vs,gw,dr,se,svc -A -o yaml | waymark diff - examples/bookinfo-next

OLD and NEW are files or folders, - for standard input, or revisions of git with the paths after --; without paths, the
whole folder. With one revision alone, it is compared with the files as they are.

-o markdown is for the comment on a pull request. docs/diff.md describes -o json.
Exit status: 0, or 79 with --fail-on: change for any difference, loss for a request that had a destination and has no rule
now.`,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains([]string{"text", "json", "markdown"}, output) {
				return usageError("-o %q is not text, json or markdown", output)
			}
			if failOn != "" && failOn != failOnChange && failOn != failOnLoss {
				return usageError("--fail-on %q is neither change nor loss", failOn)
			}
			paint, err := color.paint()
			if err != nil {
				return err
			}
			o, err := in.asking(&intake)
			if err != nil {
				return err
			}
			sides, clean, err := sidesOf(args, c.ArgsLenAtDash())
			defer clean()
			if err != nil {
				return err
			}
			report, assumed, failed, err := in.compare(sides, o)
			if err != nil {
				return err
			}
			switch output {
			case "json":
				err = writeJSON(c.OutOrStdout(), struct {
					*diff.Report
					Assumed []string `json:"assumed"`
				}{report, append([]string{}, assumed...)})
			case "markdown":
				_, err = io.WriteString(c.OutOrStdout(), report.Markdown())
			default:
				if _, err = io.WriteString(c.OutOrStdout(), report.Text(paint)); err == nil {
					err = writeAssumed(c.OutOrStdout(), assumed)
				}
			}
			switch {
			case err != nil:
				return err
			case failed:
				return &exitError{status: exitBadInput} // what is compared is what can be served
			case failOn == failOnChange && !report.Same, failOn == failOnLoss && report.Loss:
				return &exitError{status: exitFindings}
			}
			return nil
		},
	}
	in.addFlags(c)
	c.Flags().Lookup("file").Hidden = true
	c.Args = nil // see sidesOf
	c.Flags().StringVarP(&output, "output", "o", "text", "text, json or markdown")
	c.Flags().StringVar(&failOn, "fail-on", "", "end with status 79 on: change, or loss")
	color.add(c)
	intake.add(c, "plain, as Istio")
	return c
}

// compare reads and compares two sides.
func (in *input) compare(sides [2]side, o envoy.Options) (report *diff.Report, assumed []string, failed bool, err error) {
	options, err := in.options()
	if err != nil {
		return nil, nil, false, err
	}
	var read [2]*resource.Input
	for i, s := range sides {
		if read[i] = (&resource.Input{Set: &resource.Set{}}); len(s.files) == 0 {
			continue // what one side does not have at all is empty
		}
		in.files = s.files
		read[i] = in.load()
		if len(read[i].Objects) == 0 && read[i].Findings.HasErrors() {
			_ = s.named(read[i].Findings).Write(talk, in.texts) // nobody could be told
			return nil, nil, false, &exitError{status: exitBadInput}
		}
	}
	var wholes [2]*gateway.Whole
	wholes[0], wholes[1] = gateway.Pair(read[0].Set, read[1].Set, options)
	var judges [2]*verdict.Judge
	var refused [2]int
	for i, w := range wholes {
		findings := sides[i].named(diag.Merge(read[i].Findings, w.Findings))
		if w.Plan == nil || in.strict && findings.HasErrors() {
			_ = findings.Write(talk, &read[i].Texts) // nobody could be told
			return nil, nil, false, &exitError{status: exitBadInput}
		}
		errors := slices.DeleteFunc(findings, func(f diag.Finding) bool { return f.Severity != diag.Error })
		_ = errors.Write(talk, &read[i].Texts) // nobody could be told
		failed, refused[i] = failed || len(errors) > 0, len(errors)
		if judges[i], err = verdict.New(w.Plan, o.Intake()); err != nil {
			return nil, nil, false, err
		}
		for _, a := range w.Assumed {
			if !slices.Contains(assumed, a) {
				assumed = append(assumed, a)
			}
		}
	}
	working := newProgress()
	defer working.end()
	report = diff.Compare(judges[0], judges[1], diff.Options{Progress: func(done, all int) { working.at("comparing host %d of %d", done+1, all) }})
	for i, s := range sides {
		if refused[i] > 0 {
			report.NotCompared(fmt.Sprintf("%s in %s: the resources that have them are not compared", diag.Count(refused[i], "error", "errors"), cmp.Or(s.name, strings.Join(s.files, " "))))
		}
	}
	return report, assumed, failed, nil
}

// side is one side of a comparison. Files of a revision are in a folder, for which its name stands in messages.
type side struct {
	files        []string
	folder, name string
}

// named are findings with the names that a user gave.
func (s side) named(findings diag.Findings) diag.Findings {
	if s.folder == "" {
		return findings
	}
	out := slices.Clone(findings)
	for i := range out {
		if rest, ok := strings.CutPrefix(out[i].Place.File, s.folder+string(os.PathSeparator)); ok {
			out[i].Place.File = s.name + ":" + rest
		}
	}
	return out
}

// sidesOf finds out what the arguments are. clean removes what was written for revisions.
func sidesOf(args []string, dash int) (sides [2]side, clean func(), err error) {
	var folders []string
	clean = func() {
		for _, f := range folders {
			_ = os.RemoveAll(f)
		}
	}
	var paths []string
	if dash >= 0 {
		args, paths = args[:dash], args[dash:]
	}
	isFile := func(name string) bool {
		_, err := os.Stat(name)
		return name == "-" || err == nil || strings.Contains(name, "://")
	}
	if len(paths) == 0 && len(args) == 2 && (isFile(args[0]) || isFile(args[1])) {
		for i, a := range args {
			if !isFile(a) {
				return sides, clean, &exitError{exitBadInput, fmt.Errorf("%s: no such file or folder", a)}
			}
			sides[i] = side{files: []string{a}}
		}
		return sides, clean, nil
	}
	if len(args) == 0 || len(args) > 2 {
		return sides, clean, usageError("give two files, two folders, or one or two revisions of git; see 'waymark diff --help'")
	}
	for i, revision := range args {
		folder, err := checkout(revision, paths)
		if folder != "" {
			folders = append(folders, folder)
		}
		if err != nil {
			return sides, clean, err
		}
		if sides[i] = (side{folder: folder, name: revision}); folder != "" {
			sides[i].files = []string{folder}
		}
	}
	if len(args) == 1 {
		if len(paths) == 0 {
			paths = []string{"."}
		}
		sides[1].files = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !isFile(p) })
	}
	if len(sides[0].files) == 0 && len(sides[1].files) == 0 {
		return sides, clean, &exitError{exitBadInput, fmt.Errorf("%s: neither side has it", strings.Join(paths, " "))}
	}
	return sides, clean, nil
}
