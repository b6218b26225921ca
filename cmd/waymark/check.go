package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy"
	envoyversion "waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

func newCheck() *cobra.Command {
	var files fileFlags
	var output string
	var intake intakeFlags
	c := &cobra.Command{
		Use:   "check -f FILE|DIR",
		Short: "Report what Istio's validation would refuse or warn of",
		Long: `Check holds resources against the validation that Istio does before it takes them, and reports everything that it
would refuse (error) or warn of (warning), with the place in the file. Beyond Istio, it warns of rules that deny a path
and that another spelling of the path passes, at a gateway with the given normalisation. docs/findings.md explains each
code.

  waymark check -f examples/bookinfo
  waymark check -f examples/bookinfo -o json
  waymark check -f examples/bookinfo --profile plain --envoy-version 1.38

Exit status: 0 nothing was found, 79 only warnings, 65 an error.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
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
			rules := lintRules(r, w.Plan, &plain, working)
			working.end()
			_ = r.Other.Write(talk, r.Texts) // nobody could be told
			var err error
			if output == "json" {
				err = writeChecked(c.OutOrStdout(), r, rules, w.Assumed)
			} else {
				err = writeFindings(c.OutOrStdout(), r, w.Assumed)
			}
			if err != nil {
				return err
			}
			status := checkStatus(r)
			if status == nil && output == "text" {
				fmt.Fprintf(talk, "all is well: nothing was found in %s\n", diag.Count(len(r.Resources), "resource", "resources"))
			}
			return status
		},
	}
	files.add(c)
	addOutputFlag(c, &output)
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
	for _, f := range report.Findings {
		r.AddRule(f.About, f.Severity, f.Code, f.Message, f.Details)
	}
	known := map[plan.Origin]gateway.Reached{}
	for _, rule := range report.Rules {
		switch {
		case rule.Live:
			known[rule.Origin] = gateway.Reached{Witness: rule.Witness.String()}
		case !rule.Unknown:
			known[rule.Origin] = gateway.Reached{Dead: true}
		}
	}
	r.Correct(known)
	return report.Rules
}

// warnOfPassages reports the rules that deny a path and can be passed. Rules that cannot be translated are not looked at.
func warnOfPassages(r *gateway.Report, p *plan.Plan, o *envoy.Options) {
	if p == nil || !verdict.AnyDenies(p) {
		return
	}
	j, err := verdict.New(p, o.Intake())
	if err != nil {
		return // as above
	}
	var found diag.Findings
	passages, all := j.Passages()
	if !all {
		fmt.Fprintf(talk, "notice: more than %d rules deny a path; the others are not checked for spellings that pass them\n", verdict.MostDenying)
	}
	for _, passage := range passages {
		severity := diag.Warning
		code, mend := gateway.PathPasses, "--path-normalization BASE, --merge-slashes and --escaped-slashes UNESCAPE_AND_REDIRECT together close this"
		if passage.Parameters {
			if o.Behaviour().DropsDotSegmentParameters {
				severity = diag.Notice // no setting and no newer version closes it
			}
			code, mend = gateway.ParametersPass, `if a destination drops parameters of path segments, deny them by a rule before: uri: {regex: ".*;.*"}`
		}
		if passage.Unmet {
			mend = "no request has the path as the rule has it; write it as Envoy has it"
		}
		found.Add(severity, code, passage.Denied, "", "denies %s, but %s%s is sent on as %s by %s; %s",
			passage.Denied.Match.Path.Value, passage.Authority, passage.Path, passage.Forwarded, passage.By.RouteName(), mend)
	}
	r.Add(found)
}

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

func writeFindings(w io.Writer, r *gateway.Report, assumed []string) error {
	if err := r.Findings().Write(w, r.Texts); err != nil {
		return err
	}
	return writeAssumed(w, assumed)
}

// checkedJSON and findingJSON are the documented form of 'check -o json': docs/findings.md.
type checkedJSON struct {
	Resource string          `json:"resource"`
	Verdict  gateway.Verdict `json:"verdict"`
	Findings []findingJSON   `json:"findings"`
}

type findingJSON struct {
	Code     string        `json:"code"`
	Severity diag.Severity `json:"severity"`
	Message  string        `json:"message"`
	Field    string        `json:"field"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Column   int           `json:"column"`
	lint.Details
}

// ruleJSON is an entry of rules: Live is true, false or "unknown".
type ruleJSON struct {
	Rule    string           `json:"rule"`
	Live    any              `json:"live"`
	Witness *verdict.Request `json:"witness,omitempty"`
	Why     string           `json:"why,omitempty"`
}

func writeChecked(w io.Writer, r *gateway.Report, rules []lint.Rule, assumed []string) error {
	out := make([]checkedJSON, len(r.Resources))
	for i, c := range r.Resources {
		out[i] = checkedJSON{c.Kind + "/" + c.Namespace + "/" + c.Name, c.Verdict(), make([]findingJSON, len(c.Findings))}
		for j, f := range c.Findings {
			details, _ := f.Details.(lint.Details)
			out[i].Findings[j] = findingJSON{f.Code, f.Severity, f.Message, f.Field, f.Place.File, f.Place.Line, f.Place.Column, details}
		}
	}
	states := make([]ruleJSON, len(rules))
	for i, s := range rules {
		states[i] = ruleJSON{s.Rule, s.Live, s.Witness, s.Why}
		if s.Unknown {
			states[i].Live = "unknown"
		}
	}
	return writeJSON(w, map[string]any{"resources": out, "rules": states, "assumed": append([]string{}, assumed...)})
}
