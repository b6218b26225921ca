package explain

import (
	"slices"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// placesOf are the places of the resources that a plan names, by Kind/namespace/name.
func placesOf(set *resource.Set) map[string]diag.Place {
	out := map[string]diag.Place{}
	add := func(o *resource.Object) { out[o.Kind+"/"+o.Key()] = o.Place("") }
	for _, gw := range set.Gateways {
		add(gw.Object)
	}
	for _, vs := range set.VirtualServices {
		add(vs.Object)
	}
	for _, dr := range set.DestinationRules {
		add(dr.Object)
	}
	return out
}

// resources are the resources that took part in a decision, in the order in which they did.
func (x *Explainer) resources(gateways []string, w *verdict.Walk) []Resource {
	out := []Resource{}
	add := func(name string) {
		place, ok := x.places[name]
		if ok && !slices.ContainsFunc(out, func(r Resource) bool { return r.Name == name }) {
			out = append(out, Resource{name, place.File, place.Line})
		}
	}
	for _, key := range gateways {
		add("Gateway/" + key)
	}
	of := func(o plan.Origin) { add(o.Kind + "/" + o.Key()) }
	if t := w.TCP(); t != nil {
		of(t.Origin)
	}
	if r := w.Rule(); r != nil {
		of(r.Root)
		of(r.Origin)
	}
	for _, d := range w.Verdict.Clusters {
		for _, key := range x.policies[d.Name] {
			add("DestinationRule/" + key)
		}
	}
	return out
}
