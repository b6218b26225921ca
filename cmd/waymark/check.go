package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/advise"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// checkOutputs are the values of -o.
var checkOutputs = []string{"text", "json", "sarif", "github"}

func newCheck() *cobra.Command {
	var files fileFlags
	var output string
	var ignore []string
	var intake intakeFlags
	var color colorFlag
	c := &cobra.Command{
		Use:   "check -f FILE|DIR",
		Short: "Report rules that do not do what they seem to, and what Istio would refuse or warn of",
		Long: `Check reports, with the place in the file,

- what Istio's validation would refuse (error) or warn of (warning), and what Envoy would refuse;
- rules that no request reaches and conditions that change nothing, each with the rules that take its requests and a
  request for each, and VirtualServices of one host whose order decides;
- names that nothing has, policies that are not applied, paths that another spelling passes, and the like.

'waymark help CODE' explains a finding.

  waymark check -f examples/bookinfo
  waymark check -f examples/bookinfo -o json --ignore WM0120=default/reviews
  waymark check -f examples/bookinfo --profile plain --envoy-version 1.38

-o sarif is for code scanning, -o github for annotations in a workflow of GitHub; docs/findings.md describes -o json.
--ignore leaves out the findings of a code: CODE, CODE=NAMESPACE/NAME, CODE=KIND/NAMESPACE/NAME, or CODE=RULE with a rule
such as default/shop.http[2].

Exit status: 0 nothing was found or only notices, 79 only warnings, 65 an error.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(checkOutputs, output) {
				return usageError("-o %q is not text, json, sarif or github", output)
			}
			paint, err := color.paint()
			if err != nil {
				return err
			}
			ignores, err := parseIgnored(ignore)
			if err != nil {
				return err
			}
			if len(files.files) == 0 {
				return errNoFiles
			}
			var o envoy.Options
			if err := intake.intake(&o, envoy.ProfileEdge); err != nil {
				return err
			}
			var plain envoy.Options
			if err := intake.intake(&plain, envoy.ProfilePlain); err != nil {
				return err
			}
			working := newProgress()
			r := gateway.Check(files.files, files.reading(working), envoyversion.All)
			working.at("looking at %d resources", len(r.Resources))
			w := r.Whole(translate.Options{})
			warnOfPassages(r, w.Plan, &o)
			result := &checked{Report: r, rules: lintRules(r, w.Plan, &plain, working), assumed: w.Assumed}
			r.Add(advise.Check(r.Set, translate.Options{}.WithDefaults().ClusterDomain))
			working.end()
			result.ignore(ignores)
			_ = r.Other.Write(talk, r.Texts) // nobody could be told
			if err := result.write(c.OutOrStdout(), output, paint); err != nil {
				return err
			}
			status := checkStatus(r)
			if status == nil && output == "text" {
				found := "nothing was"
				if len(r.Findings()) > 0 {
					found = "only notices were"
				}
				fmt.Fprintf(talk, "all is well: %s found in %s\n", found, diag.Count(len(r.Resources), "resource", "resources"))
			}
			return status
		},
	}
	files.add(c)
	c.Flags().StringVarP(&output, "output", "o", "text", "text, json, sarif or github")
	c.Flags().StringArrayVar(&ignore, "ignore", nil, "leave out findings, CODE or CODE=OBJECT (repeatable)")
	color.add(c)
	intake.add(c, "edge for the spellings of paths, plain for everything else")
	return c
}

// lintRules reports the rules that do not do what they seem to do, and returns what is known about each rule. Rules that
// cannot be translated are not looked at.
func lintRules(r *gateway.Report, p *plan.Plan, o *envoy.Options, working *progress) []lint.Rule {
	if p == nil {
		return nil
	}
	j, err := verdict.New(p, o.Intake())
	if err != nil {
		return nil // an expression that this Envoy does not know; translating reports it
	}
	defaults := translate.Options{}.WithDefaults()
	services := map[string]*resource.VirtualService{}
	for _, vs := range r.Set.VirtualServices {
		services[vs.Key()] = vs
	}
	report := lint.Check(j, lint.Options{
		Written: translate.Written(r.Set, defaults.ClusterDomain),
		DecidedBy: func(first, second string) string {
			return translate.DecidedBy(services[first], services[second], defaults.Namespace)
		},
		Progress: func(done, all int) { working.at("looking for requests, rule %d of %d", done, all) },
	})
	found := make([]gateway.RuleFinding, len(report.Findings))
	for i, f := range report.Findings {
		found[i] = gateway.RuleFinding{Origin: f.About, Severity: f.Severity, Code: f.Code, Message: f.Message, Details: f.Details}
	}
	r.AddRules(found)
	tellUnused(r, report)
	known := map[plan.Origin]gateway.Reached{}
	for _, rule := range report.Rules {
		if rule.Unknown {
			continue
		}
		reached := gateway.Reached{Dead: !rule.Live}
		if rule.Live {
			reached.Witness = rule.Witness.String()
		}
		known[rule.Origin] = reached
		if rule.Root.Kind == "" {
			continue
		}
		if root, told := known[rule.Root]; !told || root.Dead { // it is reached if one of its delegate's rules is
			known[rule.Root] = reached
		}
	}
	r.Correct(known)
	return report.Rules
}

// tellUnused adds a notice for each VirtualService that has rules which are dead without a finding: they are hidden from the
// proxies by exportTo, or stand only where every request is redirected to https.
func tellUnused(r *gateway.Report, report *lint.Report) {
	explained := map[string]bool{}
	for _, f := range report.Findings {
		explained[f.Rule] = true
	}
	told := map[string]bool{}
	for _, rule := range report.Rules {
		key := rule.Origin.Key() + rule.Why
		if rule.Live || rule.Unknown || explained[rule.Rule] || told[key] {
			continue
		}
		told[key] = true
		r.Other.AddAt(rule.Source, diag.Notice, "", diag.Name("VirtualService "+rule.Origin.Key()), rule.Origin.Field(), "no request comes here: %s", rule.Why)
	}
}

// warnOfPassages reports the rules and policies that deny a path and can be passed. Rules that cannot be translated are not
// looked at.
func warnOfPassages(r *gateway.Report, p *plan.Plan, o *envoy.Options) {
	denied := advise.DeniedPaths(r.Set)
	if p == nil || len(denied) == 0 && !verdict.AnyDenies(p) {
		return
	}
	j, err := verdict.New(p, o.Intake())
	if err != nil {
		return // as above
	}
	var warnings diag.Findings
	passages, all := j.Passages()
	if !all {
		fmt.Fprintf(talk, "notice: more than %d rules deny a path; the others are not checked for spellings that pass them\n", verdict.MostDenying)
	}
	for _, passage := range passages {
		severity := diag.Warning
		code, mend := gateway.PathPasses, closePassages
		if passage.Parameters {
			if o.Behaviour().DropsDotSegmentParameters {
				severity = diag.Notice // no setting and no newer version closes it
			}
			code, mend = gateway.ParametersPass, `if a destination drops parameters of path segments, deny them by a rule before: uri: {regex: ".*;.*"}`
		}
		if passage.Unmet {
			mend = "no request has the path as the rule has it; write it as Envoy has it"
		}
		warnings.Add(severity, code, passage.Denied, "", "denies %s, but %s%s is sent on as %s by %s; %s",
			passage.Denied.Match.Path.Value, passage.Authority, passage.Path, passage.Forwarded, passage.By.RouteName(), mend)
	}
	for _, d := range denied[:min(len(denied), mostDenied)] {
		passage, found := j.Around(d.Path, func(authority, path string) bool {
			return slices.ContainsFunc(denied, func(other advise.DeniedPath) bool { return other.IsFor(authority) && other.Denies(path) })
		})
		if found {
			warnings.Add(diag.Warning, advise.CodeOtherSpelling, d.Policy, d.Field, "denies %s, but %s%s is sent on as %s by %s, which is not denied; %s",
				d.Path, passage.Authority, passage.Path, passage.Forwarded, passage.By.RouteName(), closePassages)
		}
	}
	r.Add(warnings)
}

// closePassages are the settings that make one spelling of all.
const closePassages = "--path-normalization BASE, --merge-slashes and --escaped-slashes UNESCAPE_AND_REDIRECT together close this"

// mostDenied bounds the paths of policies for which another spelling is looked for, on every host.
const mostDenied = 200

// checkStatus is 65 for an error, 79 for warnings.
func checkStatus(r *gateway.Report) error {
	findings := r.Findings()
	switch {
	case findings.HasErrors() || r.Other.HasErrors():
		return &exitError{status: exitBadInput}
	case findings.HasWarnings() || r.Other.HasWarnings():
		return &exitError{status: exitFindings}
	default:
		return nil
	}
}
