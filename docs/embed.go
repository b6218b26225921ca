// Package docs has the pages of findings for programs that show them: docs/findings.md, cut into the sections of its codes.
// It is in this folder since go:embed takes no file from another one.
package docs

import (
	_ "embed" // for findings.md
	"strings"
)

//go:embed findings.md
var findings string

// heading begins the section of a code.
const heading = "\n### "

// Page returns the section of docs/findings.md about a code, in Markdown without the heading; "" if there is none.
func Page(code string) string {
	_, page, ok := strings.Cut(findings, heading+code+"\n")
	if !ok {
		return ""
	}
	for _, next := range []string{heading, "\n## "} {
		page, _, _ = strings.Cut(page, next)
	}
	return strings.TrimSpace(page)
}
