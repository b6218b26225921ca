package gateway

import (
	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// addNotes adds a notice for each kind of names that cannot be checked, since the files have nothing of what is named: a
// warning for each name would be wrong where the rest is in other files, and silence would look like a check. It is an error
// if there is nothing to check at all.
func (r *Report) addNotes() {
	note := func(format string, args ...any) {
		r.Other.Add(diag.Notice, "", nil, "", format, args...)
	}
	if len(r.Resources) == 0 && !r.Other.HasErrors() {
		r.Other.Add(diag.Error, "", nil, "", "there is nothing to check: no Gateway, VirtualService, DestinationRule, ServiceEntry or WorkloadEntry of Istio is here")
	}
	meshed, bound := 0, 0 // VirtualServices of sidecars alone, and of Gateways
	hosts := map[string]bool{}
	for _, vs := range r.set.VirtualServices {
		switch {
		case len(vs.Spec.Hosts) == 0: // a delegate
		case isMeshAlone(vs):
			meshed++
		default:
			bound++
		}
		for _, d := range translate.Destinations(vs.Spec) {
			hosts[names.FullName(d.GetHost(), vs.Namespace, clusterDomain)] = true
		}
	}
	if len(r.set.Gateways) == 0 && meshed > 0 {
		note("there is no Gateway, and the rules of %s are for sidecars; waymark translate -o plan --proxy sidecar shows what one does with them", diag.Count(meshed, "VirtualService", "VirtualServices"))
	}
	if len(r.set.Gateways) == 0 && bound > 0 {
		note("there is no Gateway, so gateways and hosts of VirtualServices are not checked (%s)", diag.Count(bound, "VirtualService", "VirtualServices"))
	}
	if !r.hasServices() && len(hosts) > 0 {
		note("there is no Service or ServiceEntry, so names of destinations are not checked (%s)", diag.Count(len(hosts), "host", "hosts"))
	}
}

// clusterDomain is the domain with which short names are completed.
var clusterDomain = translate.Options{}.WithDefaults().ClusterDomain

// isMeshAlone reports whether only sidecars use a VirtualService.
func isMeshAlone(vs *resource.VirtualService) bool {
	for _, gw := range vs.Spec.Gateways {
		if names.GatewayKey(gw, vs.Namespace) != names.MeshGateway {
			return false
		}
	}
	return true
}
