package translate

import (
	"maps"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// headerOperations are the header operations of a rule or a destination. Operations on the authority are kept apart,
// since they become a rewrite of the host.
type headerOperations struct {
	request, response plan.HeaderOperations
	authority         string
}

// translateHeaders translates header operations: set before add, each sorted by name (VS-HDR-01). The authority in
// request.set, else in request.add, becomes a rewrite of the host (VS-RW-06). Other pseudo-headers are left out;
// validation refuses them (VS-HDR-02).
func translateHeaders(h *istio.Headers) headerOperations {
	var out headerOperations
	var added, set string
	out.request.Add, set = additions(nil, h.GetRequest().GetSet(), true)
	out.request.Add, added = additions(out.request.Add, h.GetRequest().GetAdd(), false)
	out.request.Remove = removals(h.GetRequest().GetRemove())
	out.response.Add, _ = additions(nil, h.GetResponse().GetSet(), true)
	out.response.Add, _ = additions(out.response.Add, h.GetResponse().GetAdd(), false)
	out.response.Remove = removals(h.GetResponse().GetRemove())
	if out.authority = added; set != "" {
		out.authority = set
	}
	return out
}

// additions appends the operations of one map to a list, sorted by name, and returns the value for the authority apart.
func additions(list []plan.HeaderAddition, values map[string]string, overwrite bool) (all []plan.HeaderAddition, authority string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case strings.EqualFold(name, "host") || strings.EqualFold(name, ":authority"):
			authority = values[name]
		case !names.IsInternalHeader(name):
			list = append(list, plan.HeaderAddition{Name: name, Value: values[name], Overwrite: overwrite})
		}
	}
	return list, authority
}

func removals(list []string) []string {
	var out []string
	for _, name := range list {
		if !names.IsInternalHeader(name) {
			out = append(out, name)
		}
	}
	return out
}

// appendOperations appends the operations of a rule's only destination to those of the rule (VS-HDR-05).
func appendOperations(to *plan.HeaderOperations, more plan.HeaderOperations) {
	to.Add = append(to.Add, more.Add...)
	to.Remove = append(to.Remove, more.Remove...)
}
