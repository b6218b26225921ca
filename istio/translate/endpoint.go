package translate

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// override returns the address that the user gave for a destination with [Options.Endpoints]: for subset and host, such
// as "v1.reviews", else for the host. The host is given by its full name, its first label, or
// a wildcard that covers it, of which the most specific counts.
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
	var covering []string
	for host := range ds.options.Endpoints {
		if names.IsWildcard(host) && names.IsCoveredBy(ref.host, host) {
			covering = append(covering, host)
		}
	}
	if len(covering) > 0 {
		return ds.options.Endpoints[slices.MinFunc(covering, moreSpecific)], true
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

// serviceName is the label of an EndpointSlice that names its Service.
const serviceName = "kubernetes.io/service-name"

// kubernetesEndpoints are the addresses in the EndpointSlices of a Service, and the WorkloadEntries that it selects. A
// Service that has no EndpointSlice has the Pods that it selects. Where there is none of these, the host of the Service
// is resolved by DNS, as a proxy without Istio would do. The string is the reason why there can be no endpoints, or "".
func (ds *destinations) kubernetesEndpoints(s *service, port servicePort, subsetName string, labels map[string]string) ([]workload, plan.Discovery, string) {
	if s.alias != "" {
		return nil, 0, "its external name leads back to itself"
	}
	all, found := ds.slicesEndpoints(s, port)
	if !found {
		pods := ds.pods.selected(s.kubernetes)
		found = len(pods) > 0
		all = podEndpoints(s.kubernetes, pods, port)
	}
	if selector := s.kubernetes.Spec.Selector; len(selector) > 0 {
		for _, e := range ds.entries {
			if e.Namespace == s.namespace && names.Selects(selector, workloadLabels(e)) {
				found = true
				all = append(all, workloadOf(e.Spec, port, workloadLabels(e)))
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

// slicesEndpoints are the endpoints in the EndpointSlices of a Service, each address and port once; found reports whether it has
// any EndpointSlice. A Service of two address families has an EndpointSlice for each, and both are used, as with
// Istio's defaults.
func (ds *destinations) slicesEndpoints(s *service, port servicePort) (all []workload, found bool) {
	seen := map[plan.Endpoint]bool{}
	for _, slice := range ds.slicesOf[s.kubernetes.Key()] {
		found = true
		for _, w := range ds.sliceEndpoints(slice, port) {
			if !seen[w.Endpoint] {
				seen[w.Endpoint] = true
				all = append(all, w)
			}
		}
	}
	return all, found
}

// sliceEndpoints are the ready addresses of one EndpointSlice. Ready is what the slice says, and true where it says
// nothing; Kubernetes says so of Pods that are not ready, too, if their Service publishes them. An endpoint that is
// shutting down is not ready: Istio sends it only to proxies with persistent sessions, which Waymark does not have.
//
// The labels of an endpoint are those of its Pod. An EndpointSlice that Kubernetes made has the labels of its Service,
// and its endpoints refer to Pods; if the Pod is not there, the labels are not known. An endpoint that refers to no Pod,
// in an EndpointSlice that was made by hand, has the labels of the slice.
func (ds *destinations) sliceEndpoints(slice *resource.EndpointSlice, port servicePort) (out []workload) {
	number := slicePort(slice, port.name)
	if number == 0 {
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
			w := workload{Endpoint: plan.Endpoint{Address: a, Port: number}, locality: locality, labels: slice.Labels}
			pod, expected := ds.pods.of(slice.Namespace, a, e.TargetRef)
			switch {
			case pod != nil:
				w.labels = pod.Labels
				if l := podLocality(pod.Labels); l != "" {
					w.locality = l
				}
			case expected:
				w.labels, w.unlabelled = nil, true
			}
			out = append(out, w)
		}
	}
	return out
}

// slicePort is the number of the port of an EndpointSlice that has the name of a Service's port, or 0.
func slicePort(slice *resource.EndpointSlice, name string) uint32 {
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && name == "" || p.Name != nil && *p.Name == name) {
			return uint32(*p.Port)
		}
	}
	return 0
}

// podEndpoints are the endpoints that Kubernetes would make from the Pods that a Service selects.
func podEndpoints(s *resource.Service, pods []*resource.Pod, port servicePort) (out []workload) {
	for _, p := range pods {
		number := port.target
		if port.named != "" {
			number = containerPort(p, s.Spec.Ports[port.index].Protocol, port.named)
		}
		if number == 0 || !isServing(s, p) {
			continue
		}
		for _, a := range servedAddresses(s, p) {
			out = append(out, workload{Endpoint: plan.Endpoint{Address: a, Port: number}, locality: podLocality(p.Labels), labels: p.Labels})
		}
	}
	return out
}

// subset keeps the endpoints that have the labels of a cluster's subset. A cluster that has no endpoint then, or fewer
// than it might have, is a warning: its requests get a 503.
func (ds *destinations) subset(ref clusterRef, s *service, all []workload, labels map[string]string) []workload {
	var kept []workload
	unlabelled := 0
	for _, w := range all {
		switch {
		case len(labels) == 0 || w.forAll || !w.unlabelled && names.Selects(labels, w.labels):
			kept = append(kept, w)
		case w.unlabelled:
			unlabelled++
		}
	}
	at := ds.named[ref]
	warn := func(format string, args ...any) {
		ds.out.findings.Add(diag.Warning, CodeNoEndpoint, at.object, at.field, format, args...)
	}
	switch {
	case unlabelled > 0:
		endpoints, pods := "1 endpoint", "its Pod"
		if unlabelled > 1 {
			endpoints, pods = fmt.Sprintf("%d endpoints", unlabelled), "their Pods"
		}
		warn("the subset %q of %s chooses endpoints by %s, and the labels of %s are not known; add %s (kubectl get pods -o yaml)",
			ref.subset, ref.host, labelText(labels), endpoints, pods)
	case len(kept) > 0:
	case len(all) == 0:
		warn("%s has no endpoint for port %d that is ready, so the cluster %s is empty", s.object(), ref.port, ref.name())
	default:
		warn("the subset %q of %s chooses endpoints by %s, and there are none: the endpoints have %s", ref.subset, ref.host, labelText(labels), labelSets(all))
	}
	return kept
}

// labelSets is the different labels of some endpoints, as text.
func labelSets(all []workload) string {
	var sets []string
	for _, w := range all {
		text := "no labels"
		if len(w.labels) > 0 {
			text = labelText(w.labels)
		}
		sets = append(sets, text)
	}
	slices.Sort(sets)
	sets = slices.Compact(sets)
	if more := len(sets) - 5; more > 0 {
		sets = append(sets[:5], strconv.Itoa(more)+" other sets")
	}
	return strings.Join(sets, "; ")
}

// entryEndpoints maps a ServiceEntry's resolution to discovery, and returns its endpoints: its own, and the
// WorkloadEntries and Pods that it selects, and those of later entries of the same service (SE-02 to SE-06, SE-10). The string is the reason why there can be no endpoints, or
// "".
func (ds *destinations) entryEndpoints(s *service, port servicePort) ([]workload, plan.Discovery, string) {
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
			all = append(all, ds.partEndpoints(part, p, discovery)...)
		}
	}
	return all, discovery, ""
}

// partEndpoints are the endpoints of one ServiceEntry: its own, and the WorkloadEntries and ready Pods that it selects.
// Without a selector, the host of one that is resolved by DNS is its endpoint.
func (ds *destinations) partEndpoints(s *service, port servicePort, discovery plan.Discovery) (all []workload) {
	spec := s.entry.Spec
	if len(spec.Endpoints) == 0 && spec.WorkloadSelector == nil && discovery != plan.Static {
		return []workload{{Endpoint: plan.Endpoint{Address: s.host, Port: port.target}, forAll: true}}
	}
	for _, e := range spec.Endpoints {
		all = append(all, workloadOf(e, port, e.GetLabels()))
	}
	selector := spec.GetWorkloadSelector().GetLabels()
	if len(selector) == 0 {
		return all
	}
	for _, e := range ds.entries {
		if e.Namespace == s.namespace && names.Selects(selector, workloadLabels(e)) {
			all = append(all, workloadOf(e.Spec, port, workloadLabels(e)))
		}
	}
	for _, p := range ds.pods.all {
		if ips := addressesOf(p); p.Namespace == s.namespace && len(ips) > 0 && names.Selects(selector, p.Labels) && isReady(p) {
			all = append(all, workload{Endpoint: plan.Endpoint{Address: ips[0], Port: port.target}, locality: podLocality(p.Labels), labels: p.Labels})
		}
	}
	return all
}

// workloadLabels are the labels of a WorkloadEntry: those of its metadata, before those of its spec.
func workloadLabels(e *resource.WorkloadEntry) map[string]string {
	if len(e.Labels) == 0 {
		return e.Spec.GetLabels()
	}
	merged := maps.Clone(e.Labels)
	for k, v := range e.Spec.GetLabels() {
		if _, ok := merged[k]; !ok {
			merged[k] = v
		}
	}
	return merged
}

// workloadOf is the endpoint that a WorkloadEntry with some labels describes. Its port is the one that the entry has for the name of
// the service's port, else the service's target port; a unix socket has port 0 (SE-04, SE-09).
func workloadOf(e *istio.WorkloadEntry, port servicePort, labels map[string]string) workload {
	w := workload{Endpoint: plan.Endpoint{Address: e.GetAddress(), Port: port.target, Weight: e.GetWeight()}, locality: e.GetLocality(), labels: labels}
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
