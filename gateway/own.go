package gateway

import (
	"maps"
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/istio/validate"
	"waymark.dev/waymark/plan"
)

// Codes of Waymark's own findings.
const (
	// PathPasses is about a rule that denies requests and does not match another spelling of its path, which is
	// forwarded.
	PathPasses = "WM-PATH-01"
	// ParametersPass is the same for a spelling that has a dot segment with parameters, which no flag resolves.
	ParametersPass = "WM-PATH-02"
)

// OwnCodes lists the kinds of findings that Istio's validation does not have. They are not part of a verdict.
func OwnCodes() []validate.Code { return ownCodes }

var ownCodes = []validate.Code{
	{ID: PathPasses, Severities: []diag.Severity{diag.Warning}, Summary: "a rule that denies does not match another spelling of its path"},
	{ID: ParametersPass, Severities: []diag.Severity{diag.Warning}, Summary: "a rule that denies does not match its path with parameters in a dot segment"},
}

func isOwn(id string) bool {
	return slices.ContainsFunc(ownCodes, func(c validate.Code) bool { return c.ID == id })
}

// Plans translates the set for gateway proxies: one plan for each set of labels that some Gateway selects. Findings of
// the translation are not returned; the commands that translate report them.
func (r *Report) Plans() []*plan.Plan {
	var selectors []map[string]string
	for _, gw := range r.set.Gateways {
		labels := gw.Spec.GetSelector()
		if !slices.ContainsFunc(selectors, func(known map[string]string) bool { return maps.Equal(known, labels) }) {
			selectors = append(selectors, labels)
		}
	}
	var out []*plan.Plan
	for _, labels := range selectors {
		if labels == nil {
			labels = map[string]string{}
		}
		p, _ := translate.Plan(r.set, translate.Options{Labels: labels})
		out = append(out, p)
	}
	return out
}

// Add adds findings about rules, which have a [plan.Rule] as their subject, to the VirtualServices that hold the rules; notices
// and findings about other subjects go to Other.
func (r *Report) Add(found diag.Findings) {
	index := make(map[string]int, len(r.Resources))
	for i, c := range r.Resources {
		if c.Kind == "VirtualService" {
			index[c.Namespace+"/"+c.Name] = i
		}
	}
	changed := map[int]bool{}
	for _, f := range found {
		i, ok := 0, false
		if rule, about := f.About.(*plan.Rule); about {
			f.Object, f.Field = "VirtualService "+rule.Origin.Key(), rule.Origin.Field()
			i, ok = index[rule.Origin.Key()]
		}
		if !ok || f.Severity == diag.Notice {
			r.Other = append(r.Other, f)
			continue
		}
		r.Resources[i].Findings = append(r.Resources[i].Findings, f)
		changed[i] = true
	}
	for i := range changed {
		r.Resources[i].Findings.Sort()
	}
	r.Other.Sort()
}
