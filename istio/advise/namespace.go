package advise

import (
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// services are the hosts of a set's services, and those of Kubernetes' by their name without a namespace.
type services struct {
	domain string
	hosts  map[string]bool
	byName map[string][]string
}

func newServices(set *resource.Set, domain string) *services {
	s := &services{domain, map[string]bool{}, map[string][]string{}}
	for _, k := range set.Services {
		host := k.Name + "." + k.Namespace + ".svc." + domain
		s.hosts[host] = true
		s.byName[k.Name] = append(s.byName[k.Name], host)
	}
	for _, e := range set.ServiceEntries {
		for _, host := range e.Spec.GetHosts() {
			s.hosts[strings.ToLower(host)] = true
		}
	}
	return s
}

// check warns of each host of a VirtualService for the mesh that stands for no service, although a service of that name is in
// another namespace. Sidecars then send the requests for that service without the rules. A host of a gateway is any name.
//
//	namespace: shop, hosts: [reviews]        is reviews.shop.svc.cluster.local
//	namespace: shop, hosts: [reviews.prod]   is not completed (VS-NAME-02), and no service has it
func (s *services) check(findings *diag.Findings, vs *resource.VirtualService) {
	if vs.IsRoute() || !slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway) {
		return
	}
	for i, host := range vs.Spec.GetHosts() {
		full := strings.ToLower(names.FullName(host, vs.Namespace, s.domain))
		name, rest, _ := strings.Cut(strings.ToLower(host), ".")
		namespace, rest, _ := strings.Cut(rest, ".")
		if s.hosts[full] || rest != "" && rest != "svc" { // a full name is what somebody wanted
			continue
		}
		var there []string
		for _, other := range s.byName[name] {
			if namespace == "" || strings.HasPrefix(other, name+"."+namespace+".") {
				there = append(there, other)
			}
		}
		if len(there) > 0 {
			findings.Add(diag.Warning, CodeOtherNamespace, vs.Object, "spec.hosts["+strconv.Itoa(i)+"]",
				"stands for %s, which no service has, so the rules are not used for it; did you mean %s?", full, few(there))
		}
	}
}

// mostNamed bounds the hosts in a message.
const mostNamed = 3

func few(hosts []string) string {
	if len(hosts) > mostNamed {
		return strings.Join(hosts[:mostNamed], ", ") + " or " + strconv.Itoa(len(hosts)-mostNamed) + " more"
	}
	return strings.Join(hosts, " or ")
}
