package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/suite"
	"waymark.dev/waymark/verdict"
)

// testCommand has the flags of 'waymark test'.
type testCommand struct {
	in        input
	intake    intakeFlags
	color     colorFlag
	output    string
	tests     []string
	failUnder float64
	coverage  bool
	verbose   bool
	first     string
}

func newTest() *cobra.Command {
	var t testCommand
	c := &cobra.Command{
		Use:   "test -f RULES TESTS...",
		Short: "Run tests of routes, without a proxy",
		Long: `Test asks what becomes of the requests of tests, and compares it with what the tests expect. It reads three formats as
they are: its own (docs/testing.md), that of istio-config-validator, and that of Envoy's router_check_tool. VirtualServices
alone are enough: Gateways and services that are not among the files are assumed.

  waymark test -f examples/bookinfo examples/bookinfo-tests
  waymark test -f examples/bookinfo examples/bookinfo-tests --coverage --fail-under 40
  waymark test -f examples/bookinfo --init  # print a first file: for each rule a request, and where it goes now

Exit status: 0 all tests pass, 79 a test fails or coverage is below --fail-under, 65 files cannot be read, or have no test.`,
		RunE: func(c *cobra.Command, _ []string) error { return t.run(c) },
	}
	t.in.addFlags(c)
	c.Args = func(_ *cobra.Command, args []string) error {
		t.tests = append(t.tests, args...)
		return nil
	}
	f := c.Flags()
	f.StringVarP(&t.output, "output", "o", "text", "text, json or junit")
	f.Float64Var(&t.failUnder, "fail-under", 0, "end with status 79 if less than this percentage of rules, conditions or destinations is covered")
	f.BoolVar(&t.coverage, "coverage", false, "list the rules, conditions and destinations that no test covers (text only)")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "list the tests that pass, too (text only)")
	f.StringVar(&t.first, "init", "", "write a first file of tests: to FILE, which must not exist, or to standard output")
	f.Lookup("init").NoOptDefVal = "-"
	t.color.add(c)
	t.intake.add(c, "plain, as Istio")
	return c
}

func (t *testCommand) run(c *cobra.Command) error {
	switch {
	case t.output != "text" && t.output != "json" && t.output != "junit":
		return usageError("-o %q is not text, json or junit", t.output)
	case !(t.failUnder >= 0 && t.failUnder <= 100):
		return usageError("--fail-under %v is not a percentage from 0 to 100", t.failUnder)
	case t.first == "" && len(t.tests) == 0:
		return usageError("give the tests: files, or folders with them")
	case t.first != "" && len(t.tests) > 0:
		return usageError("--init writes tests and runs none: %q is too much; a file is given as --init=FILE", t.tests[0])
	}
	paint, err := t.color.paint()
	if err != nil {
		return err
	}
	o, err := t.in.asking(&t.intake)
	if err != nil {
		return err
	}
	w, failed, err := t.in.everything()
	if err != nil {
		return err
	}
	j, err := verdict.New(w.Plan, o.Intake())
	if err != nil {
		return err
	}
	rules := &suite.Rules{
		Plan: w.Plan, Judge: j, Explainer: explain.New(w.Plan, j, t.in.loaded, t.in.clusterDomain),
		VirtualServices: t.in.given.VirtualServices, ClusterDomain: t.in.clusterDomain,
	}
	if t.first != "" {
		return t.writeFirst(c.OutOrStdout(), rules, j)
	}
	in := suite.Read(t.tests)
	if len(in.Findings) > 0 {
		_ = in.Findings.Write(talk, &in.Texts) // nobody could be told
		return &exitError{status: exitBadInput}
	}
	report := rules.Run(in.Files, t.dead(j))
	report.Assumed = append(report.Assumed, w.Assumed...)
	if err := t.write(c.OutOrStdout(), report, paint); err != nil {
		return err
	}
	under := report.Coverage.Under(t.failUnder)
	switch {
	case len(under) > 0:
		return &exitError{exitFindings, fmt.Errorf("coverage is below %v %%: %s", t.failUnder, strings.Join(under, ", "))}
	case report.Failed > 0:
		return &exitError{status: exitFindings}
	case failed:
		return &exitError{status: exitBadInput} // the results are those of what can be served
	}
	return nil
}

func (t *testCommand) write(to io.Writer, r *suite.Report, paint func(explain.Tone, string) string) error {
	switch t.output {
	case "json":
		return writeJSON(to, r)
	case "junit":
		return r.WriteJUnit(to)
	default:
		text := suite.Text{Paint: paint, Verbose: t.verbose, Coverage: t.coverage}
		return text.Write(to, r)
	}
}

// reached is what the analysis of rules knows of each: a request that it takes, or that there is none. For one proxy that the
// flags name, only the rules of its plan are looked at: others may be for another proxy.
func (t *testCommand) reached(j *verdict.Judge) []lint.Rule {
	working := newProgress()
	defer working.end()
	o := lint.Options{
		DecidedBy: func(_, _ string) string { return "" },
		Progress:  func(done, all int) { working.at("looking for requests, rule %d of %d", done, all) },
	}
	if !t.in.isOneProxy() {
		o.Written = translate.Written(t.in.loaded, t.in.clusterDomain)
	}
	return lint.Check(j, o).Rules
}

// dead are the rules that no request reaches.
func (t *testCommand) dead(j *verdict.Judge) (out []suite.Dead) {
	for _, r := range t.reached(j) {
		if !r.Live && !r.Unknown {
			out = append(out, suite.Dead{Rule: r.Rule, Place: r.Source})
		}
	}
	return out
}

// writeFirst writes a first file of tests. A file that is there is not overwritten.
func (t *testCommand) writeFirst(to io.Writer, rules *suite.Rules, j *verdict.Judge) error {
	witnesses := map[string]*verdict.Request{}
	for _, r := range t.reached(j) {
		witnesses[r.Rule] = r.Witness
	}
	text, err := rules.First(func(r *plan.Rule) (q verdict.Request, ok bool) {
		if w := witnesses[r.String()]; w != nil {
			return *w, true
		}
		return q, false
	})
	if err != nil {
		return err
	}
	if t.first == "-" {
		_, err = to.Write(text)
		return err
	}
	f, err := os.OpenFile(t.first, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
