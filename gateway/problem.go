package gateway

import (
	"cmp"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/plan"
)

// Severity ranks a problem.
type Severity string

// An Error stops the translation, a Warning does not; a Notice says what was left aside.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Problem is one thing that is wrong with the input.
type Problem struct {
	Severity Severity
	// Code is stable: the number of the rule that is broken, such as VAL-H-10. "" where there is none.
	Code   string
	Source plan.Source
	// Object is Kind namespace/name, or "" where the document could not be read that far.
	Object string
	// Field is a path from the root of the object: spec.http[2].match[0].uri.regex.
	Field   string
	Message string

	// root is the document that the problem is about, nil for a whole file.
	root *yaml.Node
}

// String is the problem on one line, whatever a user wrote: file:line:column: severity: object: field: message.
func (p Problem) String() string {
	s := p.Source.String()
	if s != "" {
		s += ": "
	}
	s += string(p.Severity) + ": "
	if p.Object != "" {
		s += p.Object + ": "
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	return plan.Printable(s + p.Message)
}

// Problems are reported together, sorted by place.
type Problems []Problem

// HasErrors says whether one of them stops the translation.
func (ps Problems) HasErrors() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Error })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line),
			cmp.Compare(a.Source.Column, b.Source.Column), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
}

// Merge puts lists together, sorted by place.
func Merge(lists ...Problems) Problems {
	out := slices.Concat(lists...)
	out.sort()
	return out
}

// maxProblems bounds what is reported: the first error beyond ends reporting. Nothing of a set with an error is executed.
const maxProblems = 50_000

func (ps *Problems) add(severity Severity, o *Object, field, format string, args ...any) {
	ps.find(severity, "", o, field, format, args...)
}

// find adds what a rule of Istio's validation finds.
func (ps *Problems) find(severity Severity, code string, o *Object, field, format string, args ...any) {
	if n := len(*ps); n >= maxProblems {
		if n == maxProblems {
			*ps = append(*ps, Problem{Severity: Error, Message: fmt.Sprintf("there are more than %d findings; the rest is not reported", maxProblems)})
		}
		return
	}
	p := Problem{Severity: severity, Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
	if o != nil {
		p.Object, p.Source, p.root = o.String(), o.source(field), o.doc.root
	}
	*ps = append(*ps, p)
}
