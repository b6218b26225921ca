package suite

import (
	"fmt"
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"waymark.dev/waymark/explain"
)

// WriteJUnit writes a report as JUnit's XML, which build servers show: a test suite for each file, a test case for each
// test.
func (r *Report) WriteJUnit(to io.Writer) error {
	var all junit.Testsuites
	all.Name = "waymark test"
	for _, f := range r.Files {
		suite := junit.Testsuite{Name: f.File}
		run := map[int]bool{}
		for _, t := range f.Tests {
			run[t.Line] = true
			c := junit.Testcase{Name: t.Name, Classname: f.File}
			if !t.Passed {
				c.Failure = &junit.Result{Message: t.firstFailure(), Data: t.failures()}
			}
			suite.AddTestcase(c)
		}
		for _, s := range r.Skipped {
			if s.File == f.File && !run[s.Line] {
				suite.AddTestcase(junit.Testcase{Name: s.Test, Classname: f.File, Skipped: &junit.Result{Message: s.Why}})
				run[s.Line] = true
			}
		}
		all.AddSuite(suite)
	}
	return all.WriteXML(to)
}

// firstFailure is the first failure of a test in one line.
func (t *TestResult) firstFailure() string {
	for i := range t.Requests {
		if q := &t.Requests[i]; !q.Passed {
			f := q.Failures[0]
			return fmt.Sprintf("%s: %s: want %s, got %s", inLine(q.Request), f.Field, inWords(f.Want), inWords(f.Got))
		}
	}
	return ""
}

// failures are all failures of a test.
func (t *TestResult) failures() string {
	var b strings.Builder
	w := &writer{to: &b}
	text := Text{Paint: func(_ explain.Tone, text string) string { return text }}
	text.test(w, FileResult{}, &TestResult{Name: t.Name, Line: t.Line, Passed: true, Requests: t.Requests})
	return b.String()
}
