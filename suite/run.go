package suite

import (
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Rules are the rules that are tested.
type Rules struct {
	Plan  *plan.Plan
	Judge *verdict.Judge
	// Explainer says why a request of a test that fails was not taken by other rules.
	Explainer *explain.Explainer
	// VirtualServices are those of the plan, in the order of their files, for the model of istio-config-validator.
	VirtualServices []*resource.VirtualService
	// ClusterDomain ends the full names of services: cluster.local.
	ClusterDomain string
}

// Report is the result of a run.
type Report struct {
	Passed  int          `json:"passed"` // tests
	Failed  int          `json:"failed"`
	Files   []FileResult `json:"files"`
	Skipped []Skipped    `json:"skipped"`
	// Coverage is what the requests of the tests reached.
	Coverage Coverage `json:"coverage"`
	// Assumed says what is not among the files of the rules, and how it was taken to be. The caller sets it.
	Assumed []string `json:"assumed"`
}

// FileResult has the results of the tests of a file.
type FileResult struct {
	File   string       `json:"file"`
	Format Format       `json:"format"`
	Tests  []TestResult `json:"tests"`
}

// TestResult is the result of a test.
type TestResult struct {
	Name     string          `json:"name"`
	Line     int             `json:"line"`
	Passed   bool            `json:"passed"`
	Requests []RequestResult `json:"requests"`
}

// RequestResult is the result of one request of a test.
type RequestResult struct {
	Request  verdict.Request  `json:"request"`
	Passed   bool             `json:"passed"`
	Decision *verdict.Verdict `json:"decision"`
	Failures []Failure        `json:"failures"`
	// Note says that the tool for which the test was written judges it otherwise, and why; or "".
	Note string `json:"note,omitempty"`
	// Explain is set if the request fails.
	Explain *Explained `json:"explain,omitempty"`
}

// Explained has the rules with which a request was compared, and the first condition that each lacks.
type Explained struct {
	Tried []explain.Tried `json:"tried"`
}

// Failure is a check that does not hold.
type Failure struct {
	Field string `json:"field"`
	Want  any    `json:"want"`
	Got   any    `json:"got"`
}

// Skipped is a test, or a part of one, that is not judged.
type Skipped struct {
	File string `json:"file"`
	Test string `json:"test"`
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Run runs the tests of files. dead are the rules that no request reaches, those that the plan does not have included: they
// are not counted as uncovered.
func (s *Rules) Run(files []*File, dead []Dead) *Report {
	report := &Report{Files: []FileResult{}, Skipped: []Skipped{}, Assumed: []string{}}
	seen := newSeen(s)
	for _, f := range files {
		out := FileResult{f.Name, f.Format, []TestResult{}}
		for _, t := range f.Tests {
			for _, why := range t.Skipped {
				report.Skipped = append(report.Skipped, Skipped{f.Name, t.Name, t.Line, why})
			}
			if len(t.Checks) == 0 {
				continue
			}
			result := s.run(t, seen)
			if result.Passed {
				report.Passed++
			} else {
				report.Failed++
			}
			out.Tests = append(out.Tests, result)
		}
		report.Files = append(report.Files, out)
	}
	report.Coverage = seen.coverage(dead)
	return report
}

// run runs one test.
func (s *Rules) run(t *Test, seen *seen) TestResult {
	out := TestResult{t.Name, t.Line, true, []RequestResult{}}
	for _, q := range t.Requests {
		a := s.answer(q)
		result := RequestResult{Request: a.request, Decision: a.verdict, Failures: []Failure{}}
		if a.verdict.Kind == verdict.Differs {
			result.Failures = append(result.Failures, differs(a))
		} else {
			for i := range t.Checks {
				if f := t.Checks[i].failure(a); f != nil {
					result.Failures = append(result.Failures, *f)
				}
			}
		}
		result.Passed = len(result.Failures) == 0
		out.Passed = out.Passed && result.Passed
		if t.validator != nil {
			result.Note = t.validator.note(a, q, result.Passed)
		}
		if !result.Passed {
			result.Explain = &Explained{orEmpty(s.Explainer.Explain(a.request).Tried)}
		}
		seen.add(a, t, result.Passed)
		out.Requests = append(out.Requests, result)
	}
	return out
}

// differs is the failure of a request without a port that listeners treat differently.
func differs(a *answer) Failure {
	got := make([]string, len(a.verdict.Listeners))
	for i, v := range a.verdict.Listeners {
		got[i] = v.Text(a.request)
	}
	return Failure{"listeners", "one answer of all listeners that have the host; name the port of one", got}
}
