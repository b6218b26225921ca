package gateway

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/plan"
)

// reference is the first place that names a cluster.
type reference struct {
	object *Object
	field  string
	// missingPort is how bad it is if the destination's host has no such port.
	missingPort Severity
}

// destination finds the cluster that a destination of a rule means, and notes where it was named.
func (t *translator) destination(h httpRule, field string, d *istio.Destination, c listenerContext) clusterRef {
	ref := c.services.cluster(d, c.port)
	missingPort := Error
	if d.GetPort() == nil && c.missingPort != "" {
		missingPort = c.missingPort
	}
	t.reference(ref, &h.origin.Object, field, missingPort)
	return ref
}

// reference notes a place that names a cluster: the first one, or the first where a missing port is an error.
func (t *translator) reference(c clusterRef, o *Object, field string, missingPort Severity) {
	if known := t.clusters[c]; known == nil || known.missingPort != Error && missingPort == Error {
		t.clusters[c] = &reference{o, field, missingPort}
	}
}

// planClusters makes the clusters that rules name. One that cannot be made is an error: in Istio its requests would get
// a 503 (VS-SPLIT-03).
func (t *translator) planClusters() (out []*plan.Cluster, missing Problems) {
	for ref, at := range t.clusters {
		c, why := t.planCluster(ref)
		if why != "" {
			severity := Error
			if s := t.registry.find(ref.host); s != nil {
				if _, ok := s.port(ref.port); !ok {
					severity = at.missingPort
				}
			}
			missing.add(severity, at.object, at.field, "there is no cluster %s: %s", ref.name(), why)
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *plan.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out, missing
}

// planCluster makes one cluster, or says why there is none.
func (t *translator) planCluster(ref clusterRef) (*plan.Cluster, string) {
	c := &plan.Cluster{Name: ref.name()}
	s := t.registry.find(ref.host)
	policy := t.rules.find(ref.host, s)
	labels, ok := policy.subsetLabels(ref.subset)
	if !ok {
		return nil, "no DestinationRule for " + ref.host + " defines the subset " + strconv.Quote(ref.subset) + " (defined: " + subsetNames(policy) + ")"
	}
	c.LoadBalancing = policy.loadBalancing(ref)
	if address, ok := t.override(ref); ok {
		return t.overridden(c, address)
	}
	if s == nil {
		return nil, "no Service or ServiceEntry has the host " + ref.host + "; give its address with --endpoint " + ref.host + "=ADDRESS:PORT"
	}
	port, ok := s.port(ref.port)
	if !ok {
		return nil, "its host has no port " + itoa(int(ref.port)) + " (it has " + portNumbers(s) + ")"
	}
	c.HTTP2 = speaksHTTP2(port.protocol)
	if t.options.Proxy == SidecarProxy && s.sendsToOriginal() {
		c.Discovery = plan.OriginalDestination
		return c, ""
	}
	if s.kubernetes != nil {
		return t.kubernetesCluster(c, s, port, labels)
	}
	return entryCluster(c, s, port, labels)
}

func portNumbers(s *service) string {
	var all []string
	for _, p := range s.ports {
		all = append(all, itoa(int(p.number)))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// speaksHTTP2 says whether a port's protocol is HTTP/2 from the first byte (SE-07).
func speaksHTTP2(protocol string) bool {
	switch strings.ToLower(protocol) {
	case "http2", "grpc", "grpc-web":
		return true
	default:
		return false
	}
}

// override finds the address that the user gave for a host: for subset and host "v1.reviews", else for the host, by its
// full name or its first label.
func (t *translator) override(ref clusterRef) (string, bool) {
	short, _, _ := strings.Cut(ref.host, ".")
	for _, host := range []string{ref.host, short} {
		if ref.subset != "" {
			if a, ok := t.options.Endpoints[ref.subset+"."+host]; ok {
				return a, true
			}
		}
		if a, ok := t.options.Endpoints[host]; ok {
			return a, true
		}
	}
	return "", false
}

func (t *translator) overridden(c *plan.Cluster, address string) (*plan.Cluster, string) {
	host, port, err := net.SplitHostPort(address)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || host == "" || n == 0 {
		return nil, "--endpoint address " + strconv.Quote(address) + " is not ADDRESS:PORT"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		c.Discovery = plan.StrictDNS
	}
	c.Endpoints = []plan.Endpoint{{Address: host, Port: uint32(n)}}
	return c, ""
}

// kubernetesCluster takes the addresses from the EndpointSlices of the Service. Without any, the cluster name of the
// Service is resolved by DNS, as a proxy outside of Istio would.
func (t *translator) kubernetesCluster(c *plan.Cluster, s *service, port servicePort, labels map[string]string) (*plan.Cluster, string) {
	if s.alias != "" {
		c.Discovery = plan.StrictDNS
		c.Endpoints = []plan.Endpoint{{Address: s.alias, Port: port.number}}
		return c, ""
	}
	found := false
	for _, slice := range t.slices {
		if slice.Namespace != s.namespace || slice.Labels["kubernetes.io/service-name"] != s.kubernetes.Name {
			continue
		}
		found = true
		number := uint32(0)
		for _, p := range slice.Ports {
			if p.Port != nil && (p.Name == nil && port.name == "" || p.Name != nil && *p.Name == port.name) {
				number = uint32(*p.Port)
			}
		}
		if number == 0 || !subset(labels, sliceLabels(slice)) {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			for _, a := range e.Addresses {
				c.Endpoints = append(c.Endpoints, plan.Endpoint{Address: a, Port: number})
			}
		}
	}
	if found {
		return c, ""
	}
	if len(labels) > 0 {
		return nil, "subset " + strconv.Quote(strings.Split(c.Name, "|")[2]) + " chooses endpoints by labels, and there is no EndpointSlice of Service " +
			s.kubernetes.Key() + " to choose from; give its address with --endpoint " + strings.Split(c.Name, "|")[2] + "." + s.host + "=ADDRESS:PORT"
	}
	target := port.number
	if s.kubernetes.Spec.ClusterIP == core.ClusterIPNone && port.target != 0 {
		target = port.target
	}
	c.Discovery = plan.StrictDNS
	c.Endpoints = []plan.Endpoint{{Address: s.host, Port: target}}
	return c, ""
}

// sliceLabels are the labels that a slice's endpoints share: those of the slice itself. Pods are not read, so a slice
// per version carries the version's labels.
func sliceLabels(s *EndpointSlice) map[string]string { return s.Labels }

// entryCluster maps a ServiceEntry's resolution to discovery (SE-02 to SE-06).
func entryCluster(c *plan.Cluster, s *service, port servicePort, labels map[string]string) (*plan.Cluster, string) {
	spec := s.entry.Spec
	switch spec.Resolution {
	case istio.ServiceEntry_STATIC:
	case istio.ServiceEntry_DNS:
		c.Discovery = plan.StrictDNS
	case istio.ServiceEntry_DNS_ROUND_ROBIN:
		c.Discovery = plan.LogicalDNS
	default:
		return nil, "resolution " + spec.Resolution.String() + " of " + s.entry.String() + " gives no address to send to (SE-02)"
	}
	if len(spec.Endpoints) == 0 && c.Discovery != plan.Static {
		c.Endpoints = []plan.Endpoint{{Address: s.host, Port: port.target}}
		return c, ""
	}
	for _, e := range spec.Endpoints {
		if !subset(labels, e.GetLabels()) {
			continue
		}
		number := port.target
		if n, ok := e.GetPorts()[port.name]; ok {
			number = n
		}
		c.Endpoints = append(c.Endpoints, plan.Endpoint{Address: e.GetAddress(), Port: number, Weight: e.GetWeight()})
	}
	return c, ""
}
