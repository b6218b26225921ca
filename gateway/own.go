package gateway

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
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
	{ID: translate.CodeNoGateway, Severities: []diag.Severity{diag.Warning}, Summary: "a VirtualService that names no Gateway, or one that is not there"},
	{ID: translate.CodeNoServer, Severities: []diag.Severity{diag.Warning}, Summary: "a host that no server of the Gateways has"},
	{ID: translate.CodeNoDelegate, Severities: []diag.Severity{diag.Warning}, Summary: "a rule that delegates to a VirtualService that is not there"},
	{ID: translate.CodeNoHost, Severities: []diag.Severity{diag.Warning}, Summary: "a DestinationRule whose host no service has, although one has a similar host"},
	{ID: translate.CodeNoDestination, Severities: []diag.Severity{diag.Error, diag.Warning}, Summary: "a destination that is not there"},
	{ID: translate.CodeNoEndpoint, Severities: []diag.Severity{diag.Warning}, Summary: "a destination without endpoints"},
	{ID: translate.CodeLost, Severities: []diag.Severity{diag.Warning}, Summary: "what is missing without a refused object"},
}

func isOwn(id string) bool {
	return slices.ContainsFunc(ownCodes, func(c validate.Code) bool { return c.ID == id })
}

// Whole translates the set for all proxies that it is about (see [All]). What the translation finds about names that
// nothing has is added to the report.
func (r *Report) Whole(o translate.Options) *Whole {
	w := All(r.Set, o)
	r.addNames(w.Findings)
	if len(r.Resources) == 0 && !r.Other.HasErrors() {
		r.Other.Add(diag.Error, "", nil, "", "there is nothing to check: no Gateway, VirtualService, DestinationRule, ServiceEntry or WorkloadEntry of Istio is here")
	}
	return w
}

// hasServices reports whether the names of destinations can be checked.
func (r *Report) hasServices() bool { return len(r.Set.Services)+len(r.Set.ServiceEntries) > 0 }

// hasDelegates reports whether the names of delegates can be checked.
func (r *Report) hasDelegates() bool {
	return slices.ContainsFunc(r.Set.VirtualServices, func(vs *resource.VirtualService) bool { return len(vs.Spec.GetHosts()) == 0 }) ||
		slices.ContainsFunc(r.Set.Refused, func(o resource.Refused) bool { return o.Kind == "VirtualService" && len(o.Hosts) == 0 })
}

// addNames adds the findings about names that nothing has, each once.
func (r *Report) addNames(findings diag.Findings) {
	var found diag.Findings
	for _, f := range findings {
		switch f.Code {
		case translate.CodeNoGateway, translate.CodeNoServer:
		case translate.CodeNoDelegate:
			if !r.hasDelegates() {
				continue
			}
		case translate.CodeNoHost: // only where a name may be meant
		case translate.CodeNoDestination, translate.CodeNoEndpoint:
			if !r.hasServices() {
				continue
			}
		case translate.CodeLost:
		default:
			continue
		}
		key := f.Code + f.String()
		if r.named == nil {
			r.named = map[string]bool{}
		}
		if !r.named[key] {
			r.named[key] = true
			found = append(found, f)
		}
	}
	r.Add(found)
}

// Add adds findings about resources, and about rules, which have a [plan.Rule] as their subject, to the resources; notices and
// findings about other subjects go to Other.
func (r *Report) Add(found diag.Findings) {
	index := make(map[string]int, len(r.Resources))
	for i, c := range r.Resources {
		index[c.Kind+" "+c.Namespace+"/"+c.Name] = i
	}
	changed := map[int]bool{}
	for _, f := range found {
		if rule, about := f.About.(*plan.Rule); about {
			f.Object, f.Field = "VirtualService "+rule.Origin.Key(), rule.Origin.Field()
		}
		i, ok := index[f.Object]
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
