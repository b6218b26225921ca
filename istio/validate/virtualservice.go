package validate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// virtualService covers VAL-VS, and by other functions VAL-H, VAL-L and VAL-W for the rules.
func (v *validator) virtualService(vs *resource.VirtualService) {
	s := vs.Spec
	isDelegate := len(s.Hosts) == 0
	if isDelegate {
		for field, set := range map[string]bool{"spec.gateways": len(s.Gateways) > 0, "spec.tls": len(s.Tls) > 0, "spec.tcp": len(s.Tcp) > 0} {
			if set {
				v.refuse("VAL-VS-01", field, "a VirtualService without hosts is a delegate, which cannot have this")
			}
		}
	}
	v.gatewayNames("VAL-VS-02", "VAL-VS-03", "spec.gateways", s.Gateways)
	mesh := slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway)
	v.hosts(s, mesh)
	if len(s.Http)+len(s.Tls)+len(s.Tcp) == 0 {
		v.refuse("VAL-VS-09", "spec", "one of http, tls and tcp is needed")
	}
	for i, h := range s.Http {
		v.rule("spec.http["+strconv.Itoa(i)+"]", h, isDelegate, mesh)
	}
	v.tlsRules(s)
	v.tcpRules(s)
	v.exportTo("VAL-VS-11", s.ExportTo, false, false)
	v.reach(s)
}

// hosts covers VAL-VS-06 to VAL-VS-08. As in Istio, hosts are compared with each other only if each of them is valid.
func (v *validator) hosts(s *istio.VirtualService, mesh bool) {
	valid := true
	for i, h := range s.Hosts {
		at := "spec.hosts[" + strconv.Itoa(i) + "]"
		switch {
		case !isVirtualHost(h, !mesh && hasSNI(s)) && !names.IsAddress(h):
			v.refuse("VAL-VS-06", at, "%q is neither a host name nor an IP address", h)
			valid = false
		case h == "*" && mesh:
			v.refuse("VAL-VS-07", at, `"*" cannot be used with the mesh, only with Gateways`)
			valid = false
		}
	}
	if !valid {
		return
	}
	for i, j := range names.MatchingHosts(s.Hosts) {
		if j >= 0 {
			v.refuse("VAL-VS-08", "spec.hosts["+strconv.Itoa(i)+"]", "%q and hosts[%d], %q, match each other", s.Hosts[i], j, s.Hosts[j])
		}
	}
}

// isVirtualHost reports whether a host is a wildcard domain or, with sni, begins like the SNI names that Istio
// generates: outbound_.80_._.name.
func isVirtualHost(h string, sni bool) bool {
	if first, rest, ok := strings.Cut(h, "."); ok && sni && first == "outbound_" {
		return len(h) <= names.MaxDomain && rest != "" && rest[0] >= '0' && rest[0] <= '8'
	}
	return names.IsWildcardDomain(h)
}

func hasSNI(s *istio.VirtualService) bool {
	for _, r := range s.Tls {
		for _, m := range r.Match {
			if len(m.SniHosts) > 0 {
				return true
			}
		}
	}
	return false
}
