// Package diag is how everything that is wrong with an input is reported: a [Finding] has a severity, a stable code, the
// object and field that it is about, its place in a file and a message. It decides nothing about resources and knows
// neither YAML nor Istio.
//
// A finding is added about a [Subject], which has a name and can find the place of a field. A subject of nil, or one that
// came from no file, is no special case: the finding has no place then.
//
// The hard case is a user's text in a message. A finding is one line whatever the text is, and an [Excerpt] shows one
// line of the file, cut to a width, never one that may hold a key:
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

// An Error means that its object is not used, a Warning that it is; a Notice is for what was left aside.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Subject is what a finding is about. Its methods must be callable on a nil pointer.
type Subject interface {
	// String is the subject's name: Kind namespace/name of a resource.
	String() string
	// Place of a field, or of the nearest parent that is there; "" is the subject itself.
	Place(field string) Place
}

// Name is a subject that has no place, such as a cluster.
type Name string

// String is the name itself.
func (n Name) String() string { return string(n) }

// Place is none.
func (Name) Place(string) Place { return Place{} }

// Finding is one thing that is wrong with an input.
type Finding struct {
	Severity Severity
	// Code is stable, such as VAL-H-10; docs/findings.md explains each. "" where there is none.
	Code  string
	Place Place
	// Object is Kind namespace/name, the name of a rule, or "" where the document could not be read that far.
	Object string
	// Field is a path from the root of the object: spec.http[2].match[0].uri.regex.
	Field   string
	Message string
	// About is the subject; nil for a whole file.
	About Subject `json:"-"`
}

// String is the finding on one line, whatever a user wrote: file:line:column: severity: object: field: message.
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

// Findings are reported together, sorted by place.
type Findings []Finding

// HasErrors says whether one of them is an error.
func (fs Findings) HasErrors() bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

// Write prints a line for each finding, with its code, and below it the line of the file with a caret under the place. A
// notice is a line alone.
func (fs Findings) Write(w io.Writer, texts *Texts) error {
	for _, f := range fs {
		code := ""
		if f.Code != "" {
			code = " [" + f.Code + "]"
		}
		excerpt := ""
		if f.Severity != Notice {
			excerpt = texts.Excerpt(f.Place)
		}
		if _, err := fmt.Fprintf(w, "%s%s\n%s", f, code, excerpt); err != nil {
			return err
		}
	}
	return nil
}

// Err is the findings as an error, or nil where there are none.
func (fs Findings) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return &FindingsError{fs}
}

// FindingsError is an error that consists of findings.
type FindingsError struct{ Findings Findings }

// Error has a line for each finding.
func (e *FindingsError) Error() string {
	lines := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Sort sorts by place, then by field, code and message.
func (fs Findings) Sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}

// Merge puts lists together, sorted.
func Merge(lists ...Findings) Findings {
	out := slices.Concat(lists...)
	out.Sort()
	return out
}

// maxFindings bounds what is reported: the first error beyond ends reporting. Nothing of a set with an error is executed.
const maxFindings = 50_000

// Add adds a finding about a subject, or about none. code is "" where there is none.
func (fs *Findings) Add(severity Severity, code string, about Subject, field, format string, args ...any) {
	place := Place{}
	if about != nil {
		place = about.Place(field)
	}
	fs.AddAt(place, severity, code, about, field, format, args...)
}

// AddAt is [Findings.Add] where the place is known better than by the field.
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
