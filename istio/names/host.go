package names

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
)

// IsWildcard reports whether a host stands for all names with a suffix: its first byte is "*" (VS-HOST-01).
func IsWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// IsCoveredBy reports whether host b matches every name that host a matches (VS-HOST-02).
//
//	a.foo.com      by *.foo.com   true
//	*.a.foo.com    by *.foo.com   true
//	foo.com        by *.foo.com   false
//	*.foo.com      by a.foo.com   false
func IsCoveredBy(a, b string) bool {
	if !IsWildcard(b) {
		return a == b
	}
	suffix := b[1:]
	if IsWildcard(a) {
		return len(a) >= len(b) && strings.HasSuffix(a[1:], suffix)
	}
	return strings.HasSuffix(a, suffix)
}

// HostsMatch reports whether one of two hosts covers the other.
func HostsMatch(a, b string) bool { return IsCoveredBy(a, b) || IsCoveredBy(b, a) }

// MatchingHosts returns for each host the index of the first earlier host that it matches (see [HostsMatch]); -1 where
// there is none. The cost grows with the length of the list, not with the number of pairs: the wildcards that cover a
// name are found by the endings of the name.
func MatchingHosts(hosts []string) []int {
	matching := make([]int, len(hosts))
	first := make(map[string]int, len(hosts))
	wildcards := map[string]int{} // the index of the first of each, by the text after the star
	for i, h := range hosts {
		matching[i] = -1
		if _, ok := first[h]; !ok {
			first[h] = i
			if IsWildcard(h) {
				wildcards[h[1:]] = i
			}
		}
	}
	meet := func(a, b int) {
		a, b = min(a, b), max(a, b)
		if a != b && (matching[b] < 0 || a < matching[b]) {
			matching[b] = a
		}
	}
	for h, i := range first {
		name := strings.TrimPrefix(h, "*")
		for begin := range len(name) + 1 {
			if w, ok := wildcards[name[begin:]]; ok {
				meet(i, w)
			}
		}
	}
	for i, h := range hosts { // a repeated host matches the same host as its first occurrence, or that occurrence
		switch j := first[h]; {
		case j == i:
		case matching[j] >= 0:
			matching[i] = matching[j]
		default:
			matching[i] = j
		}
	}
	return matching
}

// HostList is the hosts of a server, indexed so that those that match a name are found without comparing each.
type HostList struct {
	hosts     []string
	exact     map[string][]int // the indexes of each host
	wildcards map[string][]int // the indexes of those that begin with a star, by the text after it
}

// NewHostList indexes the hosts of a server.
func NewHostList(hosts []string) *HostList {
	l := &HostList{hosts, make(map[string][]int, len(hosts)), map[string][]int{}}
	for i, h := range hosts {
		l.exact[h] = append(l.exact[h], i)
		if IsWildcard(h) {
			l.wildcards[h[1:]] = append(l.wildcards[h[1:]], i)
		}
	}
	return l
}

// Intersect compares each host of the server with each host of a VirtualService, and returns the narrower host of every
// pair in which one covers the other (VS-GW-02), each once, in the order of the server's hosts.
func (l *HostList) Intersect(virtualService []string) []string {
	type pair struct {
		server, virtualService int
		narrower               string
	}
	var pairs []pair
	for j, v := range virtualService {
		name := v
		if IsWildcard(v) {
			name = v[1:]
			for i, s := range l.hosts {
				if IsCoveredBy(s, v) {
					pairs = append(pairs, pair{i, j, s})
				}
			}
		} else {
			for _, i := range l.exact[v] {
				pairs = append(pairs, pair{i, j, v})
			}
		}
		for begin := 0; begin <= len(name) && len(l.wildcards) > 0; begin++ {
			for _, i := range l.wildcards[name[begin:]] {
				if !IsCoveredBy(l.hosts[i], v) {
					pairs = append(pairs, pair{i, j, v})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.server, b.server), cmp.Compare(a.virtualService, b.virtualService))
	})
	var hosts []string
	seen := make(map[string]bool, len(pairs))
	for _, p := range pairs {
		if !seen[p.narrower] {
			seen[p.narrower] = true
			hosts = append(hosts, p.narrower)
		}
	}
	return hosts
}

// NormalizeServerHosts resolves the namespaces of a server's hosts: "./h" becomes "NAMESPACE/h" with the Gateway's
// namespace, "*/h" becomes "h", and with "*/*" the whole list becomes "*" (VS-GW-01).
func NormalizeServerHosts(hosts []string, namespace string) []string {
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

// HostsFor returns the server hosts that VirtualServices of a namespace may use, without their namespace (VS-GW-01).
// The hosts are those of [NormalizeServerHosts].
func HostsFor(hosts []string, namespace string) []string {
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

// FullName expands a short name: one without a dot stands for a service of the namespace (VS-NAME-01). "*", IP
// addresses and names with a dot are returned as they are (VS-NAME-02).
func FullName(name, namespace, domain string) string {
	if name == "*" || name == "" || strings.Contains(name, ".") {
		return name
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	return name + "." + namespace + ".svc." + domain
}

// MeshGateway is the entry in gateways that binds a VirtualService to sidecars (VS-SEL-01).
const MeshGateway = "mesh"

// GatewayKey expands the name of a Gateway to namespace/name; "mesh" is returned as it is (VS-SEL-02).
func GatewayKey(name, namespace string) string {
	if name == MeshGateway {
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

// GatewaysOf returns the Gateways to which a VirtualService is bound; without any, that is "mesh" (VS-SEL-01).
func GatewaysOf(vs *istio.VirtualService) []string {
	if len(vs.Gateways) == 0 {
		return []string{MeshGateway}
	}
	return vs.Gateways
}
