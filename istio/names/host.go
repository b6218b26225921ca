package names

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
)

// IsWildcard says whether a host stands for all names with a suffix: its first byte is "*" (VS-HOST-01).
func IsWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// IsCoveredBy says whether every name that a takes is taken by b, too (VS-HOST-02).
//
//	a.foo.com      of *.foo.com   yes
//	*.a.foo.com    of *.foo.com   yes
//	foo.com        of *.foo.com   no
//	*.foo.com      of a.foo.com   no
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

// HostsMatch says whether one host is a subset of the other.
func HostsMatch(a, b string) bool { return IsCoveredBy(a, b) || IsCoveredBy(b, a) }

// MatchingHosts says for each host which one before it matches it, the first one of several; -1 is none. The work grows
// with the length of the list, not with its pairs: a wildcard is found by each ending of the names that it takes.
func MatchingHosts(hosts []string) []int {
	matching := make([]int, len(hosts))
	first := make(map[string]int, len(hosts))
	wildcards := map[string]int{} // the first of each, by what follows the star
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
	for i, h := range hosts { // what is written again matches what the first of its kind matches, or that one
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

// HostList are the hosts of a server, with what finds them without comparing each.
type HostList struct {
	hosts     []string
	exact     map[string][]int // the places of each host
	wildcards map[string][]int // the places of those that begin with a star, by what follows it
}

// NewHostList makes a list of a server's hosts.
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

// Intersect keeps the narrower host of every pair of which one is a subset of the other (VS-GW-02), each once, in the
// order of the server's hosts.
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

// NormalizeServerHosts resolves the namespace of a server's hosts: "./h" is the Gateway's own, "*/h" is any, and "*/*"
// makes the whole list "*" (VS-GW-01).
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

// HostsFor are the server hosts that VirtualServices of a namespace may use, without their namespace (VS-GW-01).
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

// FullName expands a short name: one without a dot stands for a service of the namespace (VS-NAME-01). "*", addresses
// and names with a dot stay as they are (VS-NAME-02).
func FullName(name, namespace, domain string) string {
	if name == "*" || name == "" || strings.Contains(name, ".") {
		return name
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	return name + "." + namespace + ".svc." + domain
}

// MeshGateway is the name by which VirtualServices are bound to sidecars (VS-SEL-01).
const MeshGateway = "mesh"

// GatewayKey expands the name of a Gateway to namespace/name; "mesh" stays (VS-SEL-02).
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

// GatewaysOf are the Gateways that a VirtualService is bound to: none means the mesh alone (VS-SEL-01).
func GatewaysOf(vs *istio.VirtualService) []string {
	if len(vs.Gateways) == 0 {
		return []string{MeshGateway}
	}
	return vs.Gateways
}
