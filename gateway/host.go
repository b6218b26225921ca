package gateway

import (
	"net/netip"
	"strings"
)

// isWildcard says whether a host stands for all names with a suffix: its first byte is "*" (VS-HOST-01).
func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// isSubset says whether every name that a takes is taken by b, too (VS-HOST-02).
//
//	a.foo.com      of *.foo.com   yes
//	*.a.foo.com    of *.foo.com   yes
//	foo.com        of *.foo.com   no
//	*.foo.com      of a.foo.com   no
func isSubset(a, b string) bool {
	if !isWildcard(b) {
		return a == b
	}
	suffix := b[1:]
	if isWildcard(a) {
		return len(a) >= len(b) && strings.HasSuffix(a[1:], suffix)
	}
	return strings.HasSuffix(a, suffix)
}

// hostsMatch says whether one host is a subset of the other.
func hostsMatch(a, b string) bool { return isSubset(a, b) || isSubset(b, a) }

// intersect keeps the narrower host of every pair of which one is a subset of the other (VS-GW-02), each once, in the
// order of the server's hosts.
func intersect(server, virtualService []string) []string {
	var hosts []string
	seen := map[string]bool{}
	keep := func(h string) {
		if !seen[h] {
			seen[h] = true
			hosts = append(hosts, h)
		}
	}
	for _, s := range server {
		for _, v := range virtualService {
			switch {
			case isSubset(s, v):
				keep(s)
			case isSubset(v, s):
				keep(v)
			}
		}
	}
	return hosts
}

// normalizeServerHosts resolves the namespace of a server's hosts: "./h" is the Gateway's own, "*/h" is any, and "*/*"
// makes the whole list "*" (VS-GW-01).
func normalizeServerHosts(hosts []string, namespace string) []string {
	out := make([]string, 0, len(hosts))
	for _, h := range hosts {
		ns, name, ok := strings.Cut(h, "/")
		switch {
		case !ok:
			out = append(out, h)
		case ns == "." || ns == "":
			out = append(out, namespace+"/"+name)
		case ns == "*" && name == "*":
			return []string{"*"}
		case ns == "*":
			out = append(out, name)
		default:
			out = append(out, h)
		}
	}
	return out
}

// hostsFor are the server hosts that VirtualServices of a namespace may use, without their namespace (VS-GW-01).
func hostsFor(hosts []string, namespace string) []string {
	var out []string
	for _, h := range hosts {
		ns, name, ok := strings.Cut(h, "/")
		switch {
		case !ok:
			out = append(out, h)
		case ns == namespace || ns == "*":
			out = append(out, name)
		}
	}
	return out
}

// fullName expands a short name: one without a dot stands for a service of the namespace (VS-NAME-01). "*", addresses
// and names with a dot stay as they are (VS-NAME-02).
func fullName(name, namespace, domain string) string {
	if name == "*" || name == "" || strings.Contains(name, ".") {
		return name
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	return name + "." + namespace + ".svc." + domain
}

// gatewayKey expands the name of a Gateway to namespace/name; "mesh" stays (VS-SEL-02).
func gatewayKey(name, namespace string) string {
	if name == meshGateway {
		return name
	}
	if ns, base, ok := strings.Cut(name, "/"); ok {
		if ns == "." {
			ns = namespace
		}
		return ns + "/" + base
	}
	if base, rest, ok := strings.Cut(name, "."); ok { // the old form name.namespace.svc...
		ns, _, _ := strings.Cut(rest, ".")
		return ns + "/" + base
	}
	return namespace + "/" + name
}
