package translate

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// override returns the address that the user gave for a destination with [Options.Endpoints]: for subset and host, such
// as "v1.reviews", else for the host. The host is given by its full name or its first label.
func (ds *destinations) override(ref clusterRef) (string, bool) {
	short, _, _ := strings.Cut(ref.host, ".")
	for _, host := range []string{ref.host, short} {
		if ref.subset != "" {
			if a, ok := ds.options.Endpoints[ref.subset+"."+host]; ok {
				return a, true
			}
		}
		if a, ok := ds.options.Endpoints[host]; ok {
			return a, true
		}
	}
	return "", false
}

// overriddenEndpoints is the one endpoint at an address that the user gave, host:port; else the reason why it is not
// valid.
func overriddenEndpoints(address string) ([]workload, plan.Discovery, string) {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || host == "" || n == 0 {
		return nil, 0, "--endpoint address " + strconv.Quote(address) + " is not ADDRESS:PORT"
	}
	discovery := plan.Static
	if _, err := netip.ParseAddr(host); err != nil {
		discovery = plan.StrictDNS
	}
	return []workload{{Endpoint: plan.Endpoint{Address: host, Port: uint32(n)}}}, discovery, ""
}

// kubernetesEndpoints are the addresses in the EndpointSlices of a Service, and the WorkloadEntries that it selects.
// Where there are neither, the host of the Service is resolved by DNS, as a proxy without Istio would do. The string is
// the reason why there can be no endpoints, or "".
func (ds *destinations) kubernetesEndpoints(s *service, port servicePort, subsetName string, labels map[string]string) ([]workload, plan.Discovery, string) {
	if s.alias != "" {
		return nil, 0, "its external name leads back to itself"
	}
	var all []workload
	found := false
	for _, slice := range ds.slices {
		if slice.Namespace != s.namespace || slice.Labels["kubernetes.io/service-name"] != s.kubernetes.Name {
			continue
		}
		found = true
		all = append(all, ds.sliceEndpoints(slice, port, labels)...)
	}
	if selector := s.kubernetes.Spec.Selector; len(selector) > 0 {
		for _, e := range ds.entries {
			if e.Namespace != s.namespace || !names.Selects(selector, e.Spec.GetLabels()) {
				continue
			}
			found = true
			if names.Selects(labels, e.Spec.GetLabels()) {
				all = append(all, ds.entryWorkload(e.Spec, port))
			}
		}
	}
	if found {
		return all, discoveryOf(all), ""
	}
	if len(labels) > 0 {
		return nil, 0, "subset " + strconv.Quote(subsetName) + " chooses endpoints by labels, and there is no EndpointSlice of Service " +
			s.kubernetes.Key() + " to choose from; give its address with --endpoint " + subsetName + "." + s.host + "=ADDRESS:PORT"
	}
	target := port.number
	if s.kubernetes.Spec.ClusterIP == core.ClusterIPNone && port.target != 0 {
		target = port.target
	}
	return []workload{{Endpoint: plan.Endpoint{Address: s.host, Port: target}}}, plan.StrictDNS, ""
}

// sliceEndpoints are the ready addresses of one EndpointSlice. Waymark does not read Pods, so a subset's labels are
// compared with the labels of the slice: for subsets, there must be a slice for each version, with the labels of that
// version.
func (ds *destinations) sliceEndpoints(slice *resource.EndpointSlice, port servicePort, labels map[string]string) (out []workload) {
	number := uint32(0)
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && port.name == "" || p.Name != nil && *p.Name == port.name) {
			number = uint32(*p.Port)
		}
	}
	if number == 0 || !names.Selects(labels, slice.Labels) {
		return nil
	}
	region, _, _ := splitLocality(ds.options.Locality)
	for _, e := range slice.Endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		locality := ""
		if e.Zone != nil && *e.Zone != "" { // a Kubernetes cluster is assumed to be in one region, the proxy's
			locality = region + "/" + *e.Zone
		}
		for _, a := range e.Addresses {
			out = append(out, workload{plan.Endpoint{Address: a, Port: number}, locality, slice.Labels})
		}
	}
	return out
}

// entryEndpoints maps a ServiceEntry's resolution to discovery, and returns its endpoints: its own, and the
// WorkloadEntries that it selects, and those of later entries of the same service (SE-02 to SE-06, SE-10). The string is the reason why there can be no endpoints, or
// "".
func (ds *destinations) entryEndpoints(s *service, port servicePort, labels map[string]string) ([]workload, plan.Discovery, string) {
	spec := s.entry.Spec
	discovery := plan.Static
	switch spec.Resolution {
	case istio.ServiceEntry_STATIC:
	case istio.ServiceEntry_DNS:
		discovery = plan.StrictDNS
	case istio.ServiceEntry_DNS_ROUND_ROBIN:
		discovery = plan.LogicalDNS
	default:
		return nil, 0, "resolution " + spec.Resolution.String() + " of " + s.entry.String() + " gives no address to send to (SE-02)"
	}
	var all []workload
	for _, part := range s.describedBy() {
		if p, ok := part.port(port.number); ok {
			all = append(all, ds.partEndpoints(part, p, labels, discovery)...)
		}
	}
	return all, discovery, ""
}

// partEndpoints are the endpoints of one ServiceEntry: its own and the WorkloadEntries that it selects, else its host
// where that is resolved by DNS.
func (ds *destinations) partEndpoints(s *service, port servicePort, labels map[string]string, discovery plan.Discovery) (all []workload) {
	endpoints := slices.Clone(s.entry.Spec.Endpoints)
	if selector := s.entry.Spec.GetWorkloadSelector().GetLabels(); len(selector) > 0 {
		for _, e := range ds.entries {
			if e.Namespace == s.namespace && names.Selects(selector, e.Spec.GetLabels()) {
				endpoints = append(endpoints, e.Spec)
			}
		}
	}
	if len(endpoints) == 0 && s.entry.Spec.WorkloadSelector == nil && discovery != plan.Static {
		return []workload{{Endpoint: plan.Endpoint{Address: s.host, Port: port.target}}}
	}
	for _, e := range endpoints {
		if names.Selects(labels, e.GetLabels()) {
			all = append(all, ds.entryWorkload(e, port))
		}
	}
	return all
}

// entryWorkload is the endpoint that a WorkloadEntry describes. Its port is the one that the entry has for the name of
// the service's port, else the service's target port; a unix socket has port 0 (SE-04, SE-09).
func (ds *destinations) entryWorkload(e *istio.WorkloadEntry, port servicePort) workload {
	w := workload{plan.Endpoint{Address: e.GetAddress(), Port: port.target, Weight: e.GetWeight()}, e.GetLocality(), e.GetLabels()}
	if n, ok := e.GetPorts()[port.name]; ok {
		w.Port = n
	}
	if path, ok := strings.CutPrefix(e.GetAddress(), "unix://"); ok {
		w.Address, w.Port = path, 0
	}
	return w
}

// discoveryOf is StrictDNS if one of the addresses is a host name, else Static.
func discoveryOf(all []workload) plan.Discovery {
	for _, w := range all {
		if _, err := netip.ParseAddr(w.Address); err != nil && w.Port != 0 {
			return plan.StrictDNS
		}
	}
	return plan.Static
}
