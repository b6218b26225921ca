package validate

import (
	"slices"
	"strconv"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
)

// tlsRules covers VAL-L-01 to VAL-L-04 and VAL-L-06 for the rules in tls[].
func (v *validator) tlsRules(s *istio.VirtualService) {
	for i, r := range s.Tls {
		field := "spec.tls[" + strconv.Itoa(i) + "]"
		if len(r.Match) == 0 {
			v.refuse("VAL-L-01", field, "a tls rule has at least one match")
		}
		for j, m := range r.Match {
			at := field + ".match[" + strconv.Itoa(j) + "]"
			if len(m.SniHosts) == 0 {
				v.refuse("VAL-L-01", at, "a match has at least one entry in sniHosts")
			}
			for k, h := range m.SniHosts {
				v.sniHost(at+".sniHosts["+strconv.Itoa(k)+"]", h, s)
			}
			v.connection(at, m.DestinationSubnets, m.Port, m.SourceLabels, m.Gateways)
		}
		if len(r.Route) == 0 {
			v.refuse("VAL-L-01", field, "a tls rule has a route")
		}
		v.l4Destinations(field+".route", r.Route)
	}
}

// sniHost covers VAL-L-02 and VAL-L-03: an SNI host must be covered by a host of the VirtualService.
func (v *validator) sniHost(field, host string, s *istio.VirtualService) {
	if !isVirtualHost(host, !slices.Contains(s.Gateways, names.MeshGateway)) {
		if names.IsAddress(host) {
			v.warn("VAL-L-03", field, "%q is an IP address, which clients do not send as SNI", host)
		} else {
			v.refuse("VAL-L-02", field, "%q is not a valid host name", host)
		}
		return
	}
	if !slices.ContainsFunc(s.Hosts, func(h string) bool { return names.IsCoveredBy(host, h) }) {
		v.refuse("VAL-L-02", field, "none of the hosts covers %q", host)
	}
}

// tcpRules covers VAL-L-04 to VAL-L-06 for the rules in tcp[].
func (v *validator) tcpRules(s *istio.VirtualService) {
	for i, r := range s.Tcp {
		field := "spec.tcp[" + strconv.Itoa(i) + "]"
		for j, m := range r.Match {
			v.connection(field+".match["+strconv.Itoa(j)+"]", m.DestinationSubnets, m.Port, m.SourceLabels, m.Gateways)
		}
		if len(r.Route) == 0 {
			v.refuse("VAL-L-05", field, "a tcp rule has a route")
		}
		v.l4Destinations(field+".route", r.Route)
	}
}

// connection covers VAL-L-04: the conditions that matches of tls and tcp have in common.
func (v *validator) connection(field string, subnets []string, port uint32, labels map[string]string, gateways []string) {
	const code = "VAL-L-04"
	for i, subnet := range subnets {
		if !names.IsSubnet(subnet) {
			v.refuse(code, field+".destinationSubnets["+strconv.Itoa(i)+"]", "%q is neither an IP address nor a range of them", subnet)
		}
	}
	if port != 0 {
		v.port(code, field+".port", port)
	}
	v.labels(code, field+".sourceLabels", labels)
	v.gatewayNames(code, code, field+".gateways", gateways)
}

func (v *validator) l4Destinations(field string, list []*istio.RouteDestination) {
	const code = "VAL-L-06"
	var sum int32
	for i, r := range list {
		at := field + "[" + strconv.Itoa(i) + "]"
		v.weighted(code, code, code, at, r.Destination, r.Weight)
		sum += r.Weight
	}
	if len(list) > 1 && sum == 0 {
		v.refuse(code, field, "the weights of %d destinations add up to 0", len(list))
	}
}
