package gateway

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

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

// index finds resources by their names, as findings have them.
func (r *Report) index() map[string]int {
	out := make(map[string]int, len(r.Resources))
	for i, c := range r.Resources {
		out[c.Kind+" "+c.Namespace+"/"+c.Name] = i
	}
	return out
}

// Add adds findings about resources, and about rules, which have a [plan.Rule] as their subject, to the resources; notices and
// findings about other subjects go to Other.
func (r *Report) Add(found diag.Findings) {
	index := r.index()
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
