package gateway

import (
	"io"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// Report is what Istio's validation finds in a set of files.
type Report struct {
	// Resources are Istio's resources that Waymark reads, in the order of the files.
	Resources []Checked
	// Other findings belong to no such resource: files that cannot be read, broken objects of Kubernetes, notices.
	Other diag.Findings
	// Texts of the files, for excerpts.
	Texts *diag.Texts

	set *resource.Set
}

// Checked is one resource and what is wrong with it.
type Checked struct {
	Kind, Namespace, Name string
	// Findings are sorted by place.
	Findings diag.Findings
}

// Verdict of Istio on a resource.
type Verdict string

// A resource is ok, or there are warnings, or Istio refuses it.
const (
	VerdictOK      Verdict = "ok"
	VerdictWarning Verdict = "warning"
	VerdictError   Verdict = "error"
)

// Verdict is the worst of what Istio's validation finds. What is wrong with the document alone is left out, and what
// Waymark finds beyond: Istio's validation does not know of it.
func (c *Checked) Verdict() Verdict {
	out := VerdictOK
	for _, f := range c.Findings {
		switch {
		case validate.IsBeyond(f.Code), isOwn(f.Code):
		case f.Severity == diag.Error:
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
	in := Load(paths, stdin)
	report := &Report{Texts: &in.Texts, set: in.Set}
	index := make(map[diag.Subject]int, len(in.Objects))
	for i, o := range in.Objects {
		index[o] = i
		report.Resources = append(report.Resources, Checked{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
	}
	for _, f := range in.Findings {
		if i, ok := index[f.About]; ok && f.Severity != diag.Notice {
			report.Resources[i].Findings = append(report.Resources[i].Findings, f)
		} else {
			report.Other = append(report.Other, f)
		}
	}
	return report
}

// Findings are those of all resources, sorted by place.
func (r *Report) Findings() diag.Findings {
	var all []diag.Findings
	for _, c := range r.Resources {
		all = append(all, c.Findings)
	}
	return diag.Merge(all...)
}
