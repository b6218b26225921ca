package gateway

import (
	"slices"

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
func OwnCodes() []Code { return ownCodes }

var ownCodes = []Code{
	{PathPasses, warned, false, "a rule that denies is passed by another spelling of its path"},
	{ParametersPass, warned, false, "a rule that denies is passed by a dot segment with parameters"},
}

func isOwn(id string) bool {
	return slices.ContainsFunc(ownCodes, func(c Code) bool { return c.ID == id })
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
		p, _ := Translate(r.set, Options{Labels: labels, RemoteFiles: true}.WithDefaults())
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

// Warn adds a finding of Waymark's own about a rule to the VirtualService that holds it.
func (r *Report) Warn(code string, rule *plan.Rule, field, message string) {
	name := rule.VirtualService
	if rule.Delegate != "" {
		name = rule.Delegate
	}
	for i := range r.Resources {
		c := &r.Resources[i]
		if c.Kind == "VirtualService" && c.Namespace+"/"+c.Name == name {
			c.Findings = Merge(c.Findings, Problems{{
				Severity: Warning, Code: code, Source: rule.Source, Object: "VirtualService " + name, Field: field, Message: message,
			}})
			return
		}
	}
}
