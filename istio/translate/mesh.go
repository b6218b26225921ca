package translate

import (
	"slices"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// meshGroup is what has one list of rules on a port: the hosts of a VirtualService, or a service without one.
type meshGroup struct {
	vs       *boundVirtualService // nil for a service without one
	hosts    []string             // that are no service on this port
	services []*service
	rules    []*plan.Rule
}

// virtualHosts are those of one port, by name. There is no merging: of two VirtualServices for a host the first has it
// alone, and a service of which no VirtualService has rules keeps its default one (VS-MESH-01, VS-MESH-06).
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
			ruled[s.host] = true
		}
	}
	for _, s := range here.all() {
		if mayServe(s) && !ruled[s.host] && s.alias == "" { // an alias is a domain of the service that it stands for
			groups = append(groups, &meshGroup{services: []*service{s}, rules: []*plan.Rule{sc.defaultRule(s, s.ports[0])}})
		}
	}
	return sc.place(groups, port), dropped
}

// mayServe says that the one port of a view's service may carry HTTP: a port without protocol may, too.
func mayServe(s *service) bool { return s.ports[0].speaksHTTP() || s.ports[0].isUndeclared() }

// group is what a VirtualService has on a port, or nil where that is nothing: no service of its hosts has the port, or no
// rule is for it. On port 80 its hosts count that are no service there, in the registry or not (VS-MESH-03).
func (sc *sidecar) group(vs *boundVirtualService, port uint32, here *registry) (*meshGroup, []plan.Dropped) {
	g := &meshGroup{vs: vs}
	g.hosts, g.services = sc.separate(vs, here)
	g.services = slices.DeleteFunc(g.services, func(s *service) bool { return !mayServe(s) })
	if len(g.services) == 0 && (port != 80 || len(g.hosts) == 0) {
		return nil, nil
	}
	sc.hosted[vs] = true
	c := listenerContext{port: port, gateway: names.MeshGateway, services: here, missingPort: diag.Warning}
	if len(g.services) == 0 && !slices.ContainsFunc(g.hosts, func(h string) bool { return sc.destinations.services.find(h) == nil }) {
		c.missingPort = diag.Notice // services of other ports, of which Istio lets port 80 know all the same
	}
	rules, dropped := sc.rules.rules(vs, c)
	if g.rules = rules; len(rules) == 0 {
		return nil, dropped
	}
	return g, dropped
}

// separate splits the hosts of a VirtualService into services of the port and other hosts, as they are written. A wildcard
// that takes a service is no host of its own, even if it is another VirtualService's that owns the service. Other than at a
// gateway (VS-HOST-04), capitals mean nothing.
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
		found := false
		for _, s := range here.all() {
			if !names.HostsMatch(strings.ToLower(s.host), strings.ToLower(h)) {
				continue
			}
			found = true
			if sc.owners[sc.destinations.services.find(s.host)] == vs {
				services = append(services, s)
			}
		}
		if !found {
			hosts = append(hosts, h)
		}
	}
	return hosts, services
}

// place gives every host of the groups, in order, its virtual host, and every domain to the first that has it. A name
// that only abbreviates or completes a host is never taken from a service whose whole host it is.
func (sc *sidecar) place(groups []*meshGroup, port uint32) []*plan.VirtualHost {
	whole := map[string]bool{}
	for _, g := range groups {
		for _, s := range g.services {
			whole[s.host] = true
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
			taken[lower] = true
			h.Domains = append(h.Domains, lower)
		}
		if len(h.Domains) > 0 {
			out = append(out, h)
		}
	}
	for _, g := range groups {
		for _, host := range g.hosts {
			add(g, host, []string{bracketed(host)}, nil)
		}
		for _, s := range g.services {
			domains, expanded := serviceDomains(s, sc.destinations.services.aliases[s.host], sc.options.Namespace, sc.options.ClusterDomain)
			add(g, s.host, domains, expanded)
		}
	}
	slices.SortFunc(out, func(a, b *plan.VirtualHost) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// warnLost says, once for all ports, that a VirtualService has a host that an earlier one has.
func (sc *sidecar) warnLost(g, first *meshGroup, host string) {
	if g.vs == first.vs || sc.lost[g.vs.Key()+" "+host] {
		return
	}
	sc.lost[g.vs.Key()+" "+host] = true
	sc.out.drop(g.vs.Object, originOf(g.vs.VirtualService, plan.Path{}), plan.DropHostTaken, originOf(first.vs.VirtualService, plan.Path{}))
	sc.out.findings.Add(diag.Warning, "", g.vs.Object, "spec.hosts", "%s has %s already, and the mesh does not merge: the rules of this VirtualService are not used for it (VS-MESH-01)",
		first.vs, host)
}
