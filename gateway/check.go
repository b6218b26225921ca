package gateway

import (
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/plan"
)

// Report is what Istio's validation says of a set of files.
type Report struct {
	// Resources are Istio's resources that Waymark reads, in the order of the files.
	Resources []Checked
	// Other problems belong to no such resource: files that cannot be read, broken objects of Kubernetes, notices.
	Other Problems

	lines map[string][]string // of each file; those of Secrets are left out
}

// Checked is one resource and what is wrong with it.
type Checked struct {
	Kind, Namespace, Name string
	// Findings are sorted by place.
	Findings Problems
}

// Verdict of Istio on a resource.
type Verdict string

// A resource is ok, or there are warnings, or Istio refuses it.
const (
	VerdictOK      Verdict = "ok"
	VerdictWarning Verdict = "warning"
	VerdictError   Verdict = "error"
)

// Verdict is the worst of what Istio's validation finds. What is wrong with the document alone is left out:
// Istio's validation does not know of it.
func (c *Checked) Verdict() Verdict {
	out := VerdictOK
	for _, f := range c.Findings {
		switch {
		case isSchema(f.Code):
		case f.Severity == Error:
			return VerdictError
		default:
			out = VerdictWarning
		}
	}
	return out
}

// Check reads the resources in files and folders ("-" is stdin), as Read does, and reports everything that Istio's
// validation refuses or warns of, and nothing else.
func Check(paths []string, stdin io.Reader) *Report {
	r, problems := Read(paths, stdin)
	report := &Report{lines: map[string][]string{}}
	for file, text := range r.files {
		report.lines[file] = strings.Split(text, "\n")
	}
	for _, s := range r.secrets {
		report.hide(s)
	}
	index := make(map[*yaml.Node]int, len(r.read))
	for i, o := range r.read {
		index[o.doc.root] = i
		report.Resources = append(report.Resources, Checked{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
	}
	for _, p := range problems {
		if i, ok := index[p.root]; ok && p.Severity != Notice {
			report.Resources[i].Findings = append(report.Resources[i].Findings, p)
		} else {
			report.Other = append(report.Other, p)
		}
	}
	return report
}

// Findings are those of all resources, sorted by place.
func (r *Report) Findings() Problems {
	var all []Problems
	for _, c := range r.Resources {
		all = append(all, c.Findings)
	}
	return Merge(all...)
}

// hide takes out the lines of a Secret. Nothing that is found points at one; but in a file of JSON, the line of another
// object may be the Secret's, too.
func (r *Report) hide(d document) {
	lines := r.lines[d.file]
	last := d.root.Line
	eachNode(d.root, func(n *yaml.Node) { last = max(last, n.Line+strings.Count(n.Value, "\n")) })
	for i := d.root.Line; i <= min(last, len(lines)); i++ {
		lines[i-1] = unshown
	}
}

// unshown stands for a line that is not shown.
const unshown = "\x00"

func eachNode(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, c := range n.Content {
		eachNode(c, visit)
	}
}

// Line is the line of a file that a source points at, without its end. ok is false where there is no such line, or it must
// not be shown.
func (r *Report) Line(s plan.Source) (line string, ok bool) {
	lines := r.lines[s.File]
	if s.Line < 1 || s.Line > len(lines) || lines[s.Line-1] == unshown {
		return "", false
	}
	return strings.TrimSuffix(lines[s.Line-1], "\r"), true
}
