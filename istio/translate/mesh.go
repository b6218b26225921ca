package translate

import (
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// meshGroup is the hosts that share one list of rules on a port: those of a VirtualService, or a service that has none.
type meshGroup struct {
	vs       *boundVirtualService // nil for a service without a VirtualService
	hosts    []string             // hosts of the VirtualService that are not services on this port
	services []*service
	rules    []*plan.Rule
}

// virtualHosts makes the virtual hosts of one port, sorted by name. VirtualServices are not merged: of two for a host
// only the first counts, and a service for which no VirtualService has rules gets the default rule (VS-MESH-01,
// VS-MESH-06).
func (sc *sidecar) virtualHosts(port uint32) (hosts []*plan.VirtualHost, dropped []plan.Dropped) {
	here := sc.destinations.services.on(port)
	var groups []*meshGroup
	ruled := map[string]bool{}
	for _, vs := range sc.virtualServices {
		g, more := sc.group(vs, port, here)
		dropped = append(dropped, more...)
		if g == nil {
			continue
		}
		groups = append(groups, g)
		for _, s := range g.services {
			ruled[s.domain()] = true
		}
	}
	for _, s := range here.listed {
		if mayServe(s) && !ruled[s.domain()] && s.alias == "" { // an alias is a domain of its target service
			groups = append(groups, &meshGroup{services: []*service{s}, rules: []*plan.Rule{sc.defaultRule(s, s.ports[0])}})
		}
	}
	return sc.place(groups, port), dropped
}

// mayServe reports whether the only port of a service, in a view made by [registry.on], may carry HTTP: it declares
// HTTP, or no protocol.
func mayServe(s *service) bool { return s.ports[0].speaksHTTP() || s.ports[0].isUndeclared() }

// group makes the group of a VirtualService on a port. It is nil where none of the VirtualService's hosts is a service
// with that port, or none of its rules is for it. On port 80, hosts that are not services of that port count as well,
// whether or not they are services of other ports (VS-MESH-03). A route of the Gateway API applies only if it is
// in the proxy's own namespace, or in that of one of its services. here are the services that have the port.
func (sc *sidecar) group(vs *boundVirtualService, port uint32, here *registry) (*meshGroup, []plan.Dropped) {
	g := &meshGroup{vs: vs}
	g.hosts, g.services = sc.separate(vs, here)
	if vs.IsRoute() && !slices.ContainsFunc(g.services, func(s *service) bool { return vs.Namespace == s.namespace || vs.Namespace == sc.options.Namespace }) {
		return nil, nil
	}
	g.services = slices.DeleteFunc(g.services, func(s *service) bool { return !mayServe(s) })
	if len(g.services) == 0 && (port != 80 || len(g.hosts) == 0) {
		return nil, nil
	}
	sc.hosted[vs] = true
	c := listenerContext{port: port, gateway: names.MeshGateway, services: here, missingPort: diag.Warning}
	if len(g.services) == 0 && !slices.ContainsFunc(g.hosts, func(h string) bool { return sc.destinations.services.find(h) == nil }) {
		c.missingPort = diag.Notice // all hosts are services of other ports, which Istio serves on port 80 as well
	}
	rules, dropped := sc.rules.rules(vs, c)
	if g.rules = rules; len(rules) == 0 {
		return nil, dropped
	}
	return g, dropped
}

// separate splits the hosts of a VirtualService into services of the port, and other hosts as they are written. A
// wildcard that covers a service is not among the other hosts, even if another VirtualService owns that service; one of
// a route of the Gateway API stands for itself only. Hosts are compared without regard to case, unlike at a gateway
// (VS-HOST-04).
func (sc *sidecar) separate(vs *boundVirtualService, here *registry) (hosts []string, services []*service) {
	for _, h := range vs.Spec.Hosts {
		if names.IsWildcard(h) {
			continue
		}
		if s := here.find(strings.ToLower(h)); s != nil {
			services = append(services, s)
		} else {
			hosts = append(hosts, h)
		}
	}
	for _, h := range vs.Spec.Hosts {
		if !names.IsWildcard(h) {
			continue
		}
		if vs.IsRoute() {
			hosts = append(hosts, h)
			continue
		}
		found := false
		for _, s := range here.listed {
			if !names.HostsMatch(s.domain(), strings.ToLower(h)) {
				continue
			}
			found = true
			if sc.owners[s.domain()] == vs {
				services = append(services, s)
			}
		}
		if !found {
			hosts = append(hosts, h)
		}
	}
	return hosts, services
}

// place makes a virtual host for every host of the groups, in order. Each domain goes to the first host that has it,
// except that another spelling of a host (see [serviceDomains]) never takes a domain that is the full host of a
// service.
func (sc *sidecar) place(groups []*meshGroup, port uint32) []*plan.VirtualHost {
	whole := map[string]bool{}
	for _, g := range groups {
		for _, s := range g.services {
			whole[s.domain()] = true
		}
	}
	var out []*plan.VirtualHost
	byName, taken := map[string]*meshGroup{}, map[string]bool{}
	add := func(g *meshGroup, host string, domains, expanded []string) {
		h := &plan.VirtualHost{Name: virtualHostName(bracketed(host), port), Rules: g.rules}
		if first := byName[h.Name]; first != nil {
			sc.warnLost(g, first, host)
			return
		}
		byName[h.Name] = g
		for _, d := range domains {
			lower := strings.ToLower(d)
			if taken[lower] || slices.Contains(expanded, d) && whole[d] {
				continue
			}
			if lower == "*" {
				sc.warnStar(g, host)
				continue
			}
			taken[lower] = true
			h.Domains = append(h.Domains, lower)
		}
		if len(h.Domains) > 0 {
			out = append(out, h)
		}
	}
	for _, g := range groups {
		for _, host := range g.hosts {
			host = strings.ToLower(host)
			add(g, host, []string{bracketed(host)}, nil)
		}
		for _, s := range g.services {
			domains, expanded := serviceDomains(s, sc.destinations.services.aliases[s.host], sc.options.Namespace, sc.options.ClusterDomain)
			add(g, s.domain(), domains, expanded)
		}
	}
	slices.SortFunc(out, virtualHostsByName)
	return out
}

// warnStar warns, once for all ports, that a domain of a host is "*", which is the domain of hosts that are not known.
// Envoy refuses a list of virtual hosts in which a domain occurs twice; Istio writes it all the same.
func (sc *sidecar) warnStar(g *meshGroup, host string) {
	if sc.lost["* "+host] {
		return
	}
	sc.lost["* "+host] = true
	var o *resource.Object
	if g.vs != nil {
		o = g.vs.Object
	}
	for _, s := range g.services {
		if s.domain() == host {
			o = s.object()
		}
	}
	sc.out.findings.Add(diag.Warning, "", o, "spec.hosts", "%q is also served as \"*\" in namespace %s, which is the domain of all hosts that are not known; that name is left out (VS-MESH-04)",
		host, sc.options.Namespace)
}

// warnLost warns, once for all ports, that a VirtualService has a host that an earlier one has.
func (sc *sidecar) warnLost(g, first *meshGroup, host string) {
	if g.vs == first.vs || sc.lost[g.vs.Key()+" "+host] {
		return
	}
	sc.lost[g.vs.Key()+" "+host] = true
	sc.out.drop(g.vs.Object, originOf(g.vs.VirtualService, plan.Path{}), plan.DropHostTaken, originOf(first.vs.VirtualService, plan.Path{}))
	sc.out.findings.Add(diag.Warning, "", g.vs.Object, "spec.hosts", "%s has %s already, and the mesh does not merge: the rules of this VirtualService are not used for it (VS-MESH-01)",
		first.vs, host)
}
