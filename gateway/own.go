package gateway

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/istio/validate"
	"waymark.dev/waymark/plan"
)

// Codes of Waymark's own findings.
const (
	// PathPasses is a rule that denies, and that another spelling of its path passes.
	PathPasses = "WM-PATH-01"
	// ParametersPass is likewise, where the spelling has a dot segment with parameters, which no flag resolves.
	ParametersPass = "WM-PATH-02"
)

// OwnCodes are kinds of findings that Istio's validation does not have. They are no part of a verdict.
func OwnCodes() []validate.Code { return ownCodes }

var ownCodes = []validate.Code{
	{ID: PathPasses, Severities: []diag.Severity{diag.Warning}, Summary: "a rule that denies is passed by another spelling of its path"},
	{ID: ParametersPass, Severities: []diag.Severity{diag.Warning}, Summary: "a rule that denies is passed by a dot segment with parameters"},
}

func isOwn(id string) bool {
	return slices.ContainsFunc(ownCodes, func(c validate.Code) bool { return c.ID == id })
}

// Plans are the plans of every kind of gateway proxy that a Gateway selects, one for each set of labels. What could not be
// translated is left out: the translating commands say why.
func (r *Report) Plans() []*plan.Plan {
	var selectors []map[string]string
	for _, gw := range r.set.Gateways {
		labels := gw.Spec.GetSelector()
		if !slices.ContainsFunc(selectors, func(known map[string]string) bool { return sameLabels(known, labels) }) {
			selectors = append(selectors, labels)
		}
	}
	var out []*plan.Plan
	for _, labels := range selectors {
		if labels == nil {
			labels = map[string]string{}
		}
		p, _ := translate.Plan(r.set, translate.Options{Labels: labels}.WithDefaults())
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

func sameLabels(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// Own is a finding of Waymark's own about a rule.
type Own struct {
	// Severity is Warning, or Notice for what nothing but the destination can change.
	Severity       diag.Severity
	Code           string
	Rule           *plan.Rule
	Field, Message string
}

// Add adds findings to the VirtualServices that hold the rules; notices to what belongs to no resource.
func (r *Report) Add(found []Own) {
	index := make(map[string]int, len(r.Resources))
	for i, c := range r.Resources {
		if c.Kind == "VirtualService" {
			index[c.Namespace+"/"+c.Name] = i
		}
	}
	changed := map[int]bool{}
	for _, f := range found {
		name := f.Rule.Origin.Key()
		p := diag.Finding{Severity: f.Severity, Code: f.Code, Place: f.Rule.Source, Object: "VirtualService " + name, Field: f.Field, Message: f.Message}
		i, ok := index[name]
		if !ok || f.Severity == diag.Notice {
			r.Other = append(r.Other, p)
			continue
		}
		r.Resources[i].Findings = append(r.Resources[i].Findings, p)
		changed[i] = true
	}
	for i := range changed {
		r.Resources[i].Findings.Sort()
	}
	r.Other.Sort()
}
