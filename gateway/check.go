package gateway

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/validate"
)

// Report is what reading and validation find in a set of files.
type Report struct {
	// Resources are Istio's resources that Waymark reads, in the order of the files.
	Resources []Checked
	// Other are the findings that are not about such a resource: files that cannot be read, broken objects of
	// Kubernetes kinds, and all notices.
	Other diag.Findings
	// Texts are the contents of the files, for excerpts.
	Texts *diag.Texts
	// Set are the resources that were accepted.
	Set *resource.Set

	named map[string]bool // the findings of addNames
}

// Checked is one resource and its findings.
type Checked struct {
	Kind, Namespace, Name string
	// Findings are sorted by place.
	Findings diag.Findings

	unlisted diag.Findings // of Istio's validation, for which there are better ones or which are ignored
}

// Verdict is what Istio's validation answers for a resource.
type Verdict string

// The verdicts: Istio accepts the resource, accepts it with warnings, or refuses it.
const (
	VerdictOK      Verdict = "ok"
	VerdictWarning Verdict = "warning"
	VerdictError   Verdict = "error"
)

// Verdict returns what Istio's validation answers: the worst of its findings. Findings that Istio's validation does not
// have do not count: those about the document alone, and those of Waymark (see [validate.IsBeyond] and [OwnCodes]).
func (c *Checked) Verdict() Verdict {
	out := VerdictOK
	for _, f := range slices.Concat(c.Findings, c.unlisted) {
		switch {
		case validate.IsBeyond(f.Code), isOwn(f.Code):
		case f.Severity == diag.Notice:
		case f.Severity == diag.Error:
			return VerdictError
		default:
			out = VerdictWarning
		}
	}
	return out
}

// Check reads the resources in files and folders ("-" is standard input), as [Load] does, and reports what reading and
// validation find. The findings of [OwnCodes] are not among them; a caller adds them with [Report.Add].
func Check(paths []string, o resource.Options, envoys version.Range) *Report {
	in := Load(paths, o, envoys)
	report := &Report{Texts: &in.Texts, Set: in.Set}
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

// Ignore takes the findings for which ignored returns true out of the report. Verdicts stay as they are.
func (r *Report) Ignore(ignored func(diag.Finding) bool) {
	split := func(all diag.Findings) (stay, gone diag.Findings) {
		for _, f := range all {
			if ignored(f) {
				gone = append(gone, f)
			} else {
				stay = append(stay, f)
			}
		}
		return stay, gone
	}
	for i := range r.Resources {
		c := &r.Resources[i]
		stay, gone := split(c.Findings)
		c.Findings, c.unlisted = stay, append(c.unlisted, gone...)
	}
	r.Other, _ = split(r.Other)
}

// Findings returns the findings of all resources, sorted by place, without Other.
func (r *Report) Findings() diag.Findings {
	var all []diag.Findings
	for _, c := range r.Resources {
		all = append(all, c.Findings)
	}
	return diag.Merge(all...)
}
