package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/explain"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/lint"
	"waymark.dev/waymark/verdict"
)

// checked is the result of 'waymark check', in whatever form it is written.
type checked struct {
	*gateway.Report
	rules   []lint.Rule
	assumed []string
}

// write writes the result in the form of -o.
func (c *checked) write(w io.Writer, form string, paint func(explain.Tone, string) string) error {
	switch form {
	case "json":
		return c.writeJSON(w)
	case "sarif":
		return c.writeSARIF(w)
	case "github":
		return c.writeAnnotations(w)
	default:
		return c.writeText(w, paint)
	}
}

// writeText writes the findings for people: each with its line of the file, and with what proves it.
func (c *checked) writeText(w io.Writer, paint func(explain.Tone, string) string) error {
	for _, f := range c.Findings() {
		before, after, _ := strings.Cut(f.String(), string(f.Severity)+": "+f.Object)
		tone := explain.Heading
		if f.Severity == diag.Error {
			tone = explain.Bad
		}
		text := before + paint(tone, string(f.Severity)) + ": " + f.Object + after
		if f.Code != "" {
			text += paint(explain.Faint, " ["+f.Code+"]")
		}
		text += "\n" + f.Excerpt(c.Texts)
		for _, line := range proof(f) {
			text += paint(explain.Faint, "  "+line) + "\n"
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, c.unknown()); err != nil {
		return err
	}
	return writeAssumed(w, c.assumed)
}

// mostUnknown bounds the rules that the line about what is not known names.
const mostUnknown = 3

// unknown is a line about the rules of which it is not known whether requests reach them; "" if there are none.
func (c *checked) unknown() string {
	var names []string
	why, more := "", 0
	for _, r := range c.rules {
		switch {
		case !r.Unknown:
		case len(names) < mostUnknown:
			names, why = append(names, r.Rule), r.Why
		default:
			more++
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return diag.Printable(fmt.Sprintf("not known whether requests reach %s: %s", text, why)) + "\n"
}

// mostProved bounds the rules that the proof of a finding names.
const mostProved = 5

// proof are the requests that prove a finding, each on a line: who takes them in place of the rule that the finding is about.
func proof(f diag.Finding) []string {
	details, _ := f.Details.(lint.Details)
	var out []string
	for i, c := range details.CoveredBy {
		if i == mostProved {
			out = append(out, fmt.Sprintf("and %d more", len(details.CoveredBy)-mostProved))
			break
		}
		at, request := "", "every request"
		if place := (diag.Place{File: c.File, Line: c.Line}).String(); place != "" {
			at = " (" + place + ")"
		}
		if c.Witness != nil {
			request = c.Witness.String()
		}
		out = append(out, diag.Printable(fmt.Sprintf("%s%s takes %s", c.Rule, at, request)))
	}
	if details.Witness != nil && len(details.Rules) > 0 {
		out = append(out, diag.Printable(fmt.Sprintf("%s takes %s", details.Rules[0], details.Witness)))
	}
	return out
}

// checkedJSON, resourceJSON, findingJSON and ruleJSON are the documented form of 'check -o json': docs/findings.md.
type checkedJSON struct {
	Resources []resourceJSON `json:"resources"`
	Other     []findingJSON  `json:"other"`
	Rules     []ruleJSON     `json:"rules"`
	Assumed   []string       `json:"assumed"`
}

type resourceJSON struct {
	Resource string          `json:"resource"`
	Verdict  gateway.Verdict `json:"verdict"`
	Findings []findingJSON   `json:"findings"`
}

type findingJSON struct {
	Code     string        `json:"code"`
	Severity diag.Severity `json:"severity"`
	Object   string        `json:"object,omitempty"` // of a finding in other
	Message  string        `json:"message"`
	Field    string        `json:"field"`
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Column   int           `json:"column"`
	lint.Details
}

// ruleJSON is what is known about a rule: Live is true, false or "unknown".
type ruleJSON struct {
	Rule    string           `json:"rule"`
	Live    any              `json:"live"`
	Witness *verdict.Request `json:"witness,omitempty"`
	Why     string           `json:"why,omitempty"`
}

func newFindingJSON(f diag.Finding) findingJSON {
	details, _ := f.Details.(lint.Details)
	return findingJSON{f.Code, f.Severity, "", f.Message, f.Field, f.Place.File, f.Place.Line, f.Place.Column, details}
}

func (c *checked) writeJSON(w io.Writer) error {
	out := checkedJSON{
		Resources: make([]resourceJSON, len(c.Resources)), Other: make([]findingJSON, len(c.Other)),
		Rules: make([]ruleJSON, len(c.rules)), Assumed: append([]string{}, c.assumed...),
	}
	for i, r := range c.Resources {
		out.Resources[i] = resourceJSON{r.Kind + "/" + r.Namespace + "/" + r.Name, r.Verdict(), make([]findingJSON, len(r.Findings))}
		for j, f := range r.Findings {
			out.Resources[i].Findings[j] = newFindingJSON(f)
		}
	}
	for i, f := range c.Other {
		out.Other[i] = newFindingJSON(f)
		out.Other[i].Object = f.Object
	}
	for i, r := range c.rules {
		out.Rules[i] = ruleJSON{r.Rule, r.Live, r.Witness, r.Why}
		if r.Unknown {
			out.Rules[i].Live = "unknown"
		}
	}
	return writeJSON(w, out)
}

// all are the findings for forms that have one list: those of Other with them, without the notices of it, which are about
// nothing in a file and are written on standard error.
func (c *checked) all() diag.Findings {
	var other diag.Findings
	for _, f := range c.Other {
		if f.Severity != diag.Notice {
			other = append(other, f)
		}
	}
	return diag.Merge(c.Findings(), other)
}

// about is what a finding says without its place and its severity.
func about(f diag.Finding) string {
	var parts []string
	for _, part := range []string{f.Object, f.Field, f.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return diag.Printable(strings.Join(parts, ": "))
}

// inFolder is the name of a file for a program that knows the files of the current folder by their names in it, with slashes.
func inFolder(file string) string {
	if here, err := os.Getwd(); err == nil && filepath.IsAbs(file) {
		if name, err := filepath.Rel(here, file); err == nil && filepath.IsLocal(name) {
			file = name
		}
	}
	return filepath.ToSlash(file)
}
