package suite

import (
	"fmt"
	"io"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/verdict"
)

// Text says how a report is written for people.
type Text struct {
	// Paint colours words.
	Paint func(explain.Tone, string) string
	// Verbose lists tests that pass, and requests of tests that fail and themselves pass.
	Verbose bool
	// Coverage lists what is not covered.
	Coverage bool
}

// Write writes a report for people; the format may change.
func (t *Text) Write(to io.Writer, r *Report) error {
	w := &writer{to: to}
	for _, f := range r.Files {
		for i := range f.Tests {
			t.test(w, f, &f.Tests[i])
		}
	}
	for _, s := range r.Skipped {
		w.line("%s %s:%d: %s: %s", t.Paint(explain.Faint, "SKIP"), s.File, s.Line, s.Test, s.Why)
	}
	if t.Coverage {
		t.coverage(w, &r.Coverage)
	}
	c := r.Coverage
	passed, failed := fmt.Sprintf("%d passed", r.Passed), fmt.Sprintf("%d failed", r.Failed)
	if r.Failed > 0 {
		failed = t.Paint(explain.Bad, failed)
	} else {
		passed = t.Paint(explain.Good, passed)
	}
	summary := passed + ", " + failed
	if n := r.skippedTests(); n > 0 {
		summary += fmt.Sprintf(", %d skipped", n)
	}
	w.line("%s; rules covered: %s, conditions: %s, destinations: %s", summary, c.Rules, c.Conditions, c.Destinations)
	if len(r.Assumed) > 0 {
		w.line("%s", t.Paint(explain.Faint, "assumed: "+strings.Join(r.Assumed, "; ")))
	}
	return w.err
}

// skippedTests is the number of tests that were not run.
func (r *Report) skippedTests() (n int) {
	run := map[string]bool{}
	for _, f := range r.Files {
		for _, t := range f.Tests {
			run[fmt.Sprint(f.File, " ", t.Line)] = true
		}
	}
	seen := map[string]bool{}
	for _, s := range r.Skipped {
		key := fmt.Sprint(s.File, " ", s.Line)
		if !run[key] && !seen[key] {
			seen[key] = true
			n++
		}
	}
	return n
}

// String is covered/all and the percentage: 5/6 (83.3 %).
func (s Share) String() string {
	return fmt.Sprintf("%d/%d (%s %%)", s.Covered, s.All, s.Percent)
}

// writer keeps the first error.
type writer struct {
	to  io.Writer
	err error
}

func (w *writer) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.to, format+"\n", args...)
	}
}

// test writes one test.
func (t *Text) test(w *writer, f FileResult, test *TestResult) {
	if !test.Passed {
		w.line("%s %s:%d: %s", t.Paint(explain.Bad, "FAIL"), f.File, test.Line, diag.Printable(test.Name))
	} else if t.Verbose || test.hasNote() {
		w.line("%s %s:%d: %s", t.Paint(explain.Good, "PASS"), f.File, test.Line, diag.Printable(test.Name))
	}
	failed := 0
	for i := range test.Requests {
		q := &test.Requests[i]
		switch {
		case !q.Passed:
			if failed++; failed <= mostFailed || t.Verbose {
				t.failure(w, q, failed == 1 || t.Verbose)
			}
		case q.Note != "" || t.Verbose && !test.Passed:
			w.line("  %s %s", inLine(q.Request), t.Paint(explain.Good, "passes"))
			t.note(w, q)
		}
	}
	if more := failed - mostFailed; more > 0 && !t.Verbose {
		w.line("  %s; --verbose lists them", diag.Count(more, "more request fails", "more requests fail"))
	}
}

// mostFailed bounds the requests of a test that are listed.
const mostFailed = 3

// failure writes a request that fails. isFirst is whether the rules that were tried are listed.
func (t *Text) failure(w *writer, q *RequestResult, isFirst bool) {
	w.line("  %s", inLine(q.Request))
	for _, f := range q.Failures {
		w.line("    %s: want %s", f.Field, inWords(f.Want))
		w.line("    %s  got  %s", strings.Repeat(" ", len(f.Field)), inWords(f.Got))
	}
	if isFirst {
		t.tried(w, q.Explain.Tried)
	}
	if _, decided, ok := strings.Cut(q.Decision.Text(q.Request), " -> "); ok && q.Decision.Kind != verdict.Differs {
		w.line("    %s", t.Paint(explain.Faint, "decided: "+decided))
	}
	t.note(w, q)
}

// note writes what the tool says for which the test was written, if it says something else.
func (t *Text) note(w *writer, q *RequestResult) {
	if q.Note != "" {
		w.line("    %s", t.Paint(explain.Faint, "note: "+diag.Printable(q.Note)))
	}
}

// mostTried bounds the rules of an excerpt.
const mostTried = 5

// tried writes the last rules with which a request was compared: the one that took it, and those before it.
func (t *Text) tried(w *writer, all []explain.Tried) {
	if more := len(all) - mostTried; more > 0 {
		w.line("    %s", t.Paint(explain.Faint, fmt.Sprintf("tried: %s before these", diag.Count(more, "rule", "rules"))))
		all = all[more:]
	}
	for _, r := range all {
		why := "takes it"
		if r.Failed != nil {
			why = r.Failed.String()
		}
		at := diag.Place{File: r.File, Line: r.Line}.String()
		if at != "" {
			at = " (" + at + ")"
		}
		w.line("    %s", t.Paint(explain.Faint, "tried: "+r.Rule+at+": "+why))
	}
}

// hasNote reports whether the result of a request has a note.
func (t *TestResult) hasNote() bool {
	for _, q := range t.Requests {
		if q.Note != "" {
			return true
		}
	}
	return false
}

// inLine is a request in one line: GET example.com/users on port 80 with x-user: 1.
func inLine(q verdict.Request) string {
	scheme := q.Scheme
	if scheme == "" && q.TLS {
		scheme = "https"
	}
	if scheme != "" {
		scheme += "://"
	}
	out := q.Method + " " + scheme + q.Authority + q.Path
	if q.GatewayPort != 0 {
		out += fmt.Sprintf(" on port %d", q.GatewayPort)
	}
	var headers []string
	for _, name := range sortedKeys(q.Headers) {
		for _, value := range q.Headers[name] {
			headers = append(headers, name+": "+value)
		}
	}
	if len(headers) > 0 {
		out += " with " + strings.Join(headers, ", ")
	}
	return diag.Printable(out)
}

// coverage lists what is not covered.
func (t *Text) coverage(w *writer, c *Coverage) {
	for _, u := range c.Uncovered {
		w.line("%s: not covered: %s", u.place(), u.Rule)
	}
	for _, u := range c.UncoveredConditions {
		w.line("%s: condition always met: %s: %s", u.place(), u.Rule, u.Condition)
	}
	for _, u := range c.UncoveredDestinations {
		w.line("%s: destination not expected by a test: %s: %s", u.place(), u.Rule, u.Destination)
	}
	for _, u := range c.Dead {
		w.line("%s: dead, so not counted: %s", u.place(), u.Rule)
	}
}

func (u Uncovered) place() string { return diag.Place{File: u.File, Line: u.Line}.String() }
