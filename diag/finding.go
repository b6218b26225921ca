// Package diag has the form in which problems of an input are reported: a [Finding] has a severity, a stable code, the
// object and field that it is about, its place in a file, and a message. The package does not decide what a problem is,
// and does not depend on YAML or Istio.
//
// A finding is added about a [Subject], which has a name and can find the place of a field. Without a subject, or with
// one that is not in a file, the finding has no place.
//
// The hard case is a user's text in a message. A finding is always one line, whatever characters the text has, and
// [Texts.Excerpt] shows one line of the file, cut to a width, and never a line that may have a private key:
//
//	rules.yaml:12:16: error: VirtualService default/shop: spec.http[0].match[0].uri.regex: "(": missing closing )
//	        regex: "("
//	               ^
package diag

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity ranks a finding.
type Severity string

// The severities. An object with an Error is not used, one with a Warning is. A Notice is information, such as about a
// document that is skipped.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Strict is Error where strict, else s: with --strict, everything is an error that is left out or left aside.
func (s Severity) Strict(strict bool) Severity {
	if strict {
		return Error
	}
	return s
}

// Subject is what a finding is about. Its methods must be callable on a nil pointer.
type Subject interface {
	// String is the subject's name: Kind namespace/name of a resource.
	String() string
	// Place is where a field is, or the nearest parent that exists; field "" is the subject itself.
	Place(field string) Place
}

// Name is a subject without a place, such as a cluster.
type Name string

// String is the name.
func (n Name) String() string { return string(n) }

// Place is always the zero value.
func (Name) Place(string) Place { return Place{} }

// Finding is one problem of an input.
type Finding struct {
	Severity Severity
	// Code is stable, such as VAL-H-10; docs/findings.md explains each. Many findings have none: "".
	Code  string
	Place Place
	// Object is the name of the subject: Kind namespace/name, or the name of a rule; "" where there is none.
	Object string
	// Field is a path from the root of the object, such as spec.http[2].match[0].uri.regex; "" for the whole object.
	Field   string
	Message string
	// About is the subject; nil where there is none, such as for a whole file.
	About Subject `json:"-"`
	// Details are more fields of the finding for programs; nil for most.
	Details any `json:"-"`
}

// String is the finding on one line: file:line:column: severity: object: field: message. Characters that are not
// printable are escaped.
func (f Finding) String() string {
	var b strings.Builder
	if place := f.Place.String(); place != "" {
		b.WriteString(place + ": ")
	}
	b.WriteString(string(f.Severity) + ": ")
	for _, part := range []string{f.Object, f.Field} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return Printable(b.String() + f.Message)
}

// Excerpt is the line of the finding's place with a caret, see [Texts.Excerpt]; "" for a notice.
func (f Finding) Excerpt(texts *Texts) string {
	if f.Severity == Notice {
		return ""
	}
	return texts.Excerpt(f.Place)
}

// Findings is a list of findings. Those that are added one by one are not sorted; see [Findings.Sort].
type Findings []Finding

// HasErrors reports whether one of the findings is an error.
func (fs Findings) HasErrors() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

// HasWarnings reports whether one of the findings is a warning.
func (fs Findings) HasWarnings() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Warning })
}

// Write writes a line for each finding, with its code, and below it the excerpt of the file with a caret under the
// place. The error is that of w.
func (fs Findings) Write(w io.Writer, texts *Texts) error {
	for _, f := range fs {
		code := ""
		if f.Code != "" {
			code = " [" + f.Code + "]"
		}
		if _, err := fmt.Fprintf(w, "%s%s\n%s", f, code, f.Excerpt(texts)); err != nil {
			return err
		}
	}
	return nil
}

// Err returns the findings, of whatever severity, as a [FindingsError]; nil if there are none.
func (fs Findings) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return &FindingsError{Findings: fs}
}

// FindingsError is an error that consists of findings.
type FindingsError struct {
	Findings Findings
	// Texts are for the excerpts of the findings; nil where there are none.
	Texts *Texts
}

// Error has a line for each finding.
func (e *FindingsError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Sort sorts the findings by place, then by field, code and message.
func (fs Findings) Sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}

// Merge returns the findings of all lists, sorted.
func Merge(lists ...Findings) Findings {
	out := slices.Concat(lists...)
	out.Sort()
	return out
}

// maxFindings is the largest number of findings of one list. The next one is replaced by an error that there are more,
// and the rest is discarded. The error makes sure that the input is not executed.
const maxFindings = 50_000

// Add adds a finding about a field of a subject, with its place. about may be nil, and code may be "".
func (fs *Findings) Add(severity Severity, code string, about Subject, field, format string, args ...any) {
	place := Place{}
	if about != nil && len(*fs) <= maxFindings { // the place of one that is discarded is not looked for
		place = about.Place(field)
	}
	fs.AddAt(place, severity, code, about, field, format, args...)
}

// AddAt is [Findings.Add] with a place that is more exact than that of the field.
func (fs *Findings) AddAt(place Place, severity Severity, code string, about Subject, field, format string, args ...any) {
	if n := len(*fs); n >= maxFindings {
		if n == maxFindings {
			*fs = append(*fs, Finding{Severity: Error, Message: fmt.Sprintf("there are more than %d findings; the rest is not reported", maxFindings)})
		}
		return
	}
	f := Finding{Severity: severity, Code: code, Place: place, Field: field, Message: fmt.Sprintf(format, args...), About: about}
	if about != nil {
		f.Object = about.String()
	}
	*fs = append(*fs, f)
}

// Count is a number of things in words: "1 host", "2 hosts".
func Count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
