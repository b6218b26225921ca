package translate

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// serviceDomains are the domains under which a sidecar in a namespace serves a service (VS-MESH-04): its host, the host
// with a trailing dot, the short names that a client in that namespace may use, the same names of every alias, and the
// service's addresses. A headless Service also has the names of its pods, which are one label longer. expanded are
// those domains that are another spelling of a host: a short name, or the host with a trailing dot.
//
//	reviews.default.svc.cluster.local, from default   reviews.default.svc.cluster.local reviews.default.svc.cluster.local.
//	                                                  reviews reviews.default.svc reviews.default
//	                                   from other     the same without reviews
//	api.example.com                                   api.example.com api.example.com.
func serviceDomains(s *service, aliases []string, namespace, clusterDomain string) (domains, expanded []string) {
	for _, host := range append([]string{s.domain()}, aliases...) {
		short := shortNames(host, namespace, clusterDomain)
		domains = append(domains, bracketed(host))
		domains = append(domains, short...)
		expanded = append(expanded, short...)
	}
	if s.isHeadless() {
		for _, d := range slices.Clone(domains) {
			domains = append(domains, "*."+d)
		}
	}
	for _, a := range s.addresses() {
		if a != unspecifiedAddress {
			domains = append(domains, bracketed(a))
		}
	}
	return domains, expanded
}

// unspecifiedAddress is an address of a service that Istio treats as no address.
const unspecifiedAddress = "0.0.0.0"

// shortNames are the other spellings of a host. Only the hosts of Kubernetes services are abbreviated; a short form of
// another host could be the name of a different service.
func shortNames(host, namespace, clusterDomain string) []string {
	var names []string
	if _, err := netip.ParseAddr(host); err != nil {
		names = append(names, host+".")
	}
	base, isService := strings.CutSuffix(host, ".svc."+clusterDomain)
	if !isService {
		return names
	}
	name, rest, ok := strings.Cut(base, ".")
	switch {
	case !ok:
		return names
	case rest == namespace:
		return append(names, name, base+".svc", base)
	default:
		return append(names, base, base+".svc")
	}
}

// bracketed is a host as it is written in an authority: an IPv6 address in brackets.
func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil && strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
