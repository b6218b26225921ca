package validate

import (
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// serviceEntry covers VAL-S.
func (v *validator) serviceEntry(se *resource.ServiceEntry) {
	s := se.Spec
	if s.WorkloadSelector != nil {
		v.selector("VAL-S-03", "spec.workloadSelector", s.WorkloadSelector.Labels)
		if s.Endpoints != nil {
			v.refuse("VAL-S-03", "spec.workloadSelector", "cannot be used with endpoints")
		}
	}
	v.entryHosts(s)
	for i, a := range s.Addresses {
		at := "spec.addresses[" + strconv.Itoa(i) + "]"
		if !names.IsSubnet(a) {
			v.refuse("VAL-S-04", at, "%q is neither an IP address nor a range of them", a)
		}
		if strings.Contains(a, "/") && s.Resolution != istio.ServiceEntry_NONE && s.Resolution != istio.ServiceEntry_STATIC {
			v.refuse("VAL-S-04", at, "a range of addresses needs resolution NONE or STATIC, not %s", s.Resolution)
		}
	}
	ports := v.entryPorts(s)
	switch s.Resolution {
	case istio.ServiceEntry_NONE:
		if len(s.Endpoints) > 0 {
			v.refuse("VAL-S-07", "spec.endpoints", "resolution NONE has no endpoints")
		}
		if s.WorkloadSelector != nil {
			v.warn("VAL-S-07", "spec.workloadSelector", "has no effect with resolution NONE")
		}
	case istio.ServiceEntry_STATIC:
		for i, e := range s.Endpoints {
			v.staticEndpoint("spec.endpoints["+strconv.Itoa(i)+"]", e, ports)
		}
	case istio.ServiceEntry_DNS, istio.ServiceEntry_DNS_ROUND_ROBIN:
		v.byName(s, ports)
	case istio.ServiceEntry_DYNAMIC_DNS:
		v.byWildcard(s)
	}
	v.entryHostsDiffer(s)
	v.exportTo("VAL-S-15", s.ExportTo, true, false)
}

// entryHosts covers VAL-S-01 and VAL-S-02.
func (v *validator) entryHosts(s *istio.ServiceEntry) {
	if len(s.Hosts) == 0 {
		v.refuse("VAL-S-01", "spec.hosts", "a ServiceEntry has at least one host")
	}
	for i, h := range s.Hosts {
		at := "spec.hosts[" + strconv.Itoa(i) + "]"
		if h == "*" || !names.IsWildcardDomain(h) {
			v.refuse("VAL-S-01", at, "%q is not a valid host name", h)
		}
		if h != "*" && strings.Contains(h, "*") && !strings.HasPrefix(h, "*.") && s.Resolution != istio.ServiceEntry_DYNAMIC_DNS {
			v.warn("VAL-S-02", at, "%q: a star stands for whole labels, as in *.example.com", h)
		}
	}
}

// labelAllocate is the label that, with the value "false", turns off the addresses that Istio gives to services without
// any.
const labelAllocate = "networking.istio.io/enable-autoallocate-ip"

// entryPorts covers VAL-S-05 and VAL-S-06, and returns the names of the ports.
func (v *validator) entryPorts(s *istio.ServiceEntry) map[string]bool {
	const code = "VAL-S-05"
	allocates := s.Resolution != istio.ServiceEntry_NONE && !strings.EqualFold(v.object.Labels[labelAllocate], "false")
	seen, numbers := map[string]bool{}, map[uint32]bool{}
	for i, p := range s.Ports {
		field := "spec.ports[" + strconv.Itoa(i) + "]"
		if seen[p.Name] {
			v.refuse(code, field+".name", "%q occurs twice", p.Name)
		}
		if numbers[p.Number] {
			v.refuse(code, field+".number", "%d occurs twice", p.Number)
		}
		seen[p.Name], numbers[p.Number] = true, true
		if !names.IsLabel(p.Name) {
			v.refuse(code, field+".name", "%q is not a valid name of a port", p.Name)
		}
		if p.Protocol != "" && !names.IsProtocol(p.Protocol, names.PortProtocols...) {
			v.refuse(code, field+".protocol", "%q is not a known protocol", p.Protocol)
		}
		v.port(code, field+".number", p.Number)
		if p.TargetPort != 0 {
			v.port(code, field+".targetPort", p.TargetPort)
		}
		if len(s.Addresses) == 0 && !allocates && (p.Protocol == "" || p.Protocol == "TCP") {
			v.warn("VAL-S-06", field, "a port that speaks TCP needs addresses where Istio gives none: with resolution NONE, or %s: false", labelAllocate)
		}
	}
	return seen
}

// staticEndpoint covers VAL-S-08.
func (v *validator) staticEndpoint(field string, e *istio.WorkloadEntry, ports map[string]bool) {
	const code = "VAL-S-08"
	isOther, ok := v.endpointAddress(code, field, e)
	if !ok {
		return
	}
	if isOther && !names.IsAddress(e.Address) {
		v.refuse(code, field+".address", "%q is not an IP address; resolution STATIC needs one", e.Address)
	}
	if strings.HasPrefix(e.Address, unixPrefix) && len(ports) != 1 {
		v.refuse(code, field+".address", "a socket serves exactly one port of the ServiceEntry, which has %d", len(ports))
	}
	v.endpointPorts(code, field, e)
	v.entryHasPorts(code, field, e, ports)
}

// entryHasPorts checks that the ServiceEntry has the ports of an endpoint.
func (v *validator) entryHasPorts(code, field string, e *istio.WorkloadEntry, ports map[string]bool) {
	for name := range e.Ports {
		if !ports[name] {
			v.refuse(code, diag.KeyField(field+".ports", name), "the ServiceEntry has no port %q", name)
		}
	}
}

// byName covers VAL-S-09 to VAL-S-12: resolution DNS and DNS_ROUND_ROBIN.
func (v *validator) byName(s *istio.ServiceEntry, ports map[string]bool) {
	if len(s.Endpoints) == 0 {
		for i, h := range s.Hosts {
			if !names.IsFQDN(h) {
				v.refuse("VAL-S-09", "spec.hosts["+strconv.Itoa(i)+"]", "%q cannot be resolved; resolution %s needs a full name, or endpoints", h, s.Resolution)
			}
		}
	}
	if s.Resolution == istio.ServiceEntry_DNS_ROUND_ROBIN && len(s.Endpoints) > 1 {
		v.refuse("VAL-S-10", "spec.endpoints", "resolution DNS_ROUND_ROBIN has one endpoint at most, not %d", len(s.Endpoints))
	}
	for i, e := range s.Endpoints {
		field := "spec.endpoints[" + strconv.Itoa(i) + "]"
		if !names.IsAddress(e.Address) && !names.IsFQDN(e.Address) {
			v.refuse("VAL-S-11", field+".address", "%q is neither a host name nor an IP address", e.Address)
		}
		v.endpointPorts("VAL-S-11", field, e)
		v.entryHasPorts("VAL-S-11", field, e, ports)
	}
	if len(s.Addresses) == 0 || len(s.Hosts) < 2 {
		return
	}
	for i, p := range s.Ports {
		if names.IsProtocol(p.Protocol, "TCP", "HTTPS", "TLS", "MONGO", "REDIS", "MYSQL") {
			v.warn("VAL-S-12", "spec.ports["+strconv.Itoa(i)+"]", "the %d hosts share addresses and a TCP port, so they cannot be told apart", len(s.Hosts))
			return
		}
	}
}

// byWildcard covers VAL-S-13: resolution DYNAMIC_DNS.
func (v *validator) byWildcard(s *istio.ServiceEntry) {
	const code = "VAL-S-13"
	for i, h := range s.Hosts {
		if !names.IsWildcard(h) {
			v.refuse(code, "spec.hosts["+strconv.Itoa(i)+"]", "resolution DYNAMIC_DNS is for wildcards, not for %q", h)
		}
	}
	if len(s.Addresses) > 0 {
		v.refuse(code, "spec.addresses", "resolution DYNAMIC_DNS has no addresses")
	}
	if len(s.Endpoints) > 0 {
		v.refuse(code, "spec.endpoints", "resolution DYNAMIC_DNS has no endpoints")
	}
	for i, p := range s.Ports {
		if !names.IsProtocol(p.Protocol, "HTTP", "HTTP2", "GRPC", "TLS") {
			v.refuse(code, "spec.ports["+strconv.Itoa(i)+"].protocol", "with %q, requests do not name their host; use HTTP, HTTP2, GRPC or TLS", p.Protocol)
		}
	}
	if _, ok := v.object.Labels["istio.io/use-waypoint"]; ok && s.Location == istio.ServiceEntry_MESH_INTERNAL {
		v.refuse(code, "spec.location", "resolution DYNAMIC_DNS with a waypoint needs MESH_EXTERNAL")
	}
}

// entryHostsDiffer covers VAL-S-14: only HTTP and TLS clients name the host, which tells several hosts apart.
func (v *validator) entryHostsDiffer(s *istio.ServiceEntry) {
	if s.Resolution == istio.ServiceEntry_NONE || len(s.Hosts) < 2 {
		return
	}
	for i, p := range s.Ports {
		if !names.SpeaksHTTP(p.Protocol) && !names.SpeaksTLS(p.Protocol) {
			v.refuse("VAL-S-14", "spec.ports["+strconv.Itoa(i)+"]", "protocol %q does not tell the %d hosts apart", p.Protocol, len(s.Hosts))
			return
		}
	}
}
