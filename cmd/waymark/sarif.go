package main

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/docs"
	"waymark.dev/waymark/lint"
)

// inputRule is the rule of findings without a code, which are about files that cannot be used.
const inputRule = "input"

// sarifLevels are the severities in the words of SARIF.
var sarifLevels = map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Notice: "note"}

// writeSARIF writes the findings as a report of SARIF 2.1.0. Its rules are the codes that occur, with their pages.
func (c *checked) writeSARIF(w io.Writer) error {
	run := sarif.NewRunWithInformationURI("waymark", "https://waymark.dev").WithColumnKind("unicodeCodePoints")
	v, _ := origin()
	run.Tool.Driver.WithVersion(v)
	for _, f := range c.all() {
		id := f.Code
		if id == "" {
			id = inputRule
		}
		addSARIFRule(run, id)
		result := run.CreateResultForRule(id).WithLevel(sarifLevels[f.Severity])
		result.WithMessage(sarif.NewTextMessage(strings.Join(append([]string{about(f)}, proof(f)...), "\n")))
		if f.Place.File != "" {
			result.AddLocation(sarifLocation(f.Place))
		}
		details, _ := f.Details.(lint.Details)
		for _, cover := range details.CoveredBy {
			if cover.File != "" {
				at := sarifLocation(diag.Place{File: cover.File, Line: cover.Line})
				result.AddRelatedLocation(at.WithMessage(sarif.NewTextMessage("takes its requests: " + cover.Rule)))
			}
		}
	}
	document := sarif.NewReport()
	document.AddRun(run)
	if err := document.PrettyWrite(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// addSARIFRule adds the rule of a code, unless it is there.
func addSARIFRule(run *sarif.Run, id string) {
	if run.GetRuleIndex(id) >= 0 {
		return
	}
	rule, summary, page := run.AddRule(id), "an input that cannot be used as it is", ""
	if code, err := codeOf(id); err == nil {
		summary, page = code.Summary, docs.Page(id)
	}
	rule.WithShortDescription(sarif.NewMultiformatMessageString().WithText(summary))
	if page != "" {
		rule.WithHelp(sarif.NewMultiformatMessageString().WithText(page).WithMarkdown(page))
	}
}

// sarifLocation is a place, with its file as a URI.
func sarifLocation(p diag.Place) *sarif.Location {
	path := inFolder(p.File)
	uri := url.URL{Path: path}
	if filepath.IsAbs(filepath.FromSlash(path)) {
		uri.Scheme = "file"
		if !strings.HasPrefix(path, "/") {
			uri.Path = "/" + path // of Windows, with a drive
		}
	}
	at := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(uri.String()))
	if p.Line > 0 {
		region := sarif.NewRegion().WithStartLine(p.Line)
		if p.Column > 0 {
			region.WithStartColumn(p.Column)
		}
		at.WithRegion(region)
	}
	return sarif.NewLocationWithPhysicalLocation(at)
}
