package gateway

import (
	"cmp"
	"net/netip"
	"slices"
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

// matchingHosts says for each host which one before it matches it, the first one of several; -1 is none. The work grows
// with the length of the list, not with its pairs: a wildcard is found by each ending of the names that it takes.
func matchingHosts(hosts []string) []int {
	matching := make([]int, len(hosts))
	first := make(map[string]int, len(hosts))
	wildcards := map[string]int{} // the first of each, by what follows the star
	for i, h := range hosts {
		matching[i] = -1
		if _, ok := first[h]; !ok {
			first[h] = i
			if isWildcard(h) {
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

// hostList are the hosts of a server, with what finds them without comparing each.
type hostList struct {
	hosts     []string
	exact     map[string][]int // the places of each host
	wildcards map[string][]int // the places of those that begin with a star, by what follows it
}

func newHostList(hosts []string) *hostList {
	l := &hostList{hosts, make(map[string][]int, len(hosts)), map[string][]int{}}
	for i, h := range hosts {
		l.exact[h] = append(l.exact[h], i)
		if isWildcard(h) {
			l.wildcards[h[1:]] = append(l.wildcards[h[1:]], i)
		}
	}
	return l
}

// intersect keeps the narrower host of every pair of which one is a subset of the other (VS-GW-02), each once, in the
// order of the server's hosts.
func (l *hostList) intersect(virtualService []string) []string {
	type pair struct {
		server, virtualService int
		narrower               string
	}
	var pairs []pair
	for j, v := range virtualService {
		name := v
		if isWildcard(v) {
			name = v[1:]
			for i, s := range l.hosts {
				if isSubset(s, v) {
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
				if !isSubset(l.hosts[i], v) {
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
