package translate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// takenName is the server and the match in tls[] that use a server name of forwarded TLS.
type takenName struct {
	server *server
	origin plan.Origin
}

// opaqueChains makes the filter chains of a server that does not speak HTTP: for TCP, and for TLS that is forwarded as
// it is or terminated for TCP.
//
// Chains come from rules only: a server without a rule in some VirtualService's tcp[] or tls[] has none, and a listener
// without chains is left out (TCP-02).
func (g *gatewayProxy) opaqueChains(s *server, services boundByGateway) []*plan.FilterChain {
	if s.Tls.GetMode() == istio.ServerTLSSettings_AUTO_PASSTHROUGH {
		g.out.findings.Add(g.options.leftOut(), "", s.gateway.Object, s.field(".tls.mode"), "AUTO_PASSTHROUGH, which connects networks of one mesh, is not translated; the server is left out (TCP-07)")
		g.out.drop(s.gateway.Object, s.origin(), plan.DropUnsupported, plan.Origin{})
		return nil
	}
	var out []*plan.FilterChain
	for _, vs := range services[s.gateway.Key()] {
		if !s.sharesHost(vs) {
			continue
		}
		g.hosted[vs] = true
		switch {
		case s.isPassthrough():
			out = append(out, g.passthrough(s, vs)...)
		case len(out) == 0:
			out = g.tcpChain(s, vs)
		default: // the first VirtualService takes all connections (TCP-01)
			for i := range vs.Spec.Tcp {
				g.opaque.miss(originOf(vs.VirtualService, plan.EntryPath("tcp", i)), plan.DropHostTaken, out[0].TCP.Origin)
			}
		}
	}
	if len(out) == 0 {
		g.out.drop(s.gateway.Object, s.origin(), plan.DropNoRule, plan.Origin{})
	}
	return out
}

// opaqueRules holds, for each rule in tcp[] and each match in tls[], why it is dropped; without a code it is used. One
// that has a chain on some listener counts as used, even if it has none on others.
type opaqueRules map[plan.Origin]plan.Dropped

func (o opaqueRules) use(origin plan.Origin) { o[origin] = plan.Dropped{} }

func (o opaqueRules) miss(origin plan.Origin, code plan.DropCode, by plan.Origin) {
	if _, known := o[origin]; !known {
		o[origin] = plan.Dropped{Origin: origin, Code: code, By: by}
	}
}

// dropOpaque records the rules in tcp[] and matches in tls[] of a VirtualService that have no chain on any listener.
func (g *gatewayProxy) dropOpaque(vs *boundVirtualService) {
	drop := func(path plan.Path) {
		if d := g.opaque[originOf(vs.VirtualService, path)]; d.Code != "" {
			g.out.drop(vs.Object, d.Origin, d.Code, d.By)
		}
	}
	for i := range vs.Spec.Tcp {
		drop(plan.EntryPath("tcp", i))
	}
	for i, rule := range vs.Spec.Tls {
		for j := range rule.GetMatch() {
			drop(plan.Path{List: "tls", Index: i, Match: j})
		}
	}
}

// passthrough makes the chains of a VirtualService's tls[]: one for each match, with the match's own server names,
// which are not compared with the server's hosts (TLS-02, TLS-03).
func (g *gatewayProxy) passthrough(s *server, vs *boundVirtualService) []*plan.FilterChain {
	taken := g.taken[s.port]
	if taken == nil {
		taken = map[string]takenName{}
		g.taken[s.port] = taken
	}
	var out []*plan.FilterChain
	for i, rule := range vs.Spec.Tls {
		for j, m := range rule.GetMatch() {
			if len(rule.Route) == 0 {
				continue // validation refuses it
			}
			origin := originOf(vs.VirtualService, plan.Path{List: "tls", Index: i, Match: j})
			if code := s.misses(m.GetPort(), m.GetGateways()); code != "" {
				g.opaque.miss(origin, code, plan.Origin{})
				continue
			}
			isTaken := func(h string) bool { return taken[h].server != nil && taken[h].server.Bind == s.Bind }
			if k := slices.IndexFunc(m.GetSniHosts(), isTaken); k >= 0 {
				g.opaque.miss(origin, plan.DropHostTaken, taken[m.GetSniHosts()[k]].origin)
				continue
			}
			for _, h := range m.GetSniHosts() {
				taken[h] = takenName{s, origin}
			}
			g.opaque.use(origin)
			out = append(out, &plan.FilterChain{
				Gateways:    []string{s.gateway.Key()},
				ServerNames: serverNames(m.GetSniHosts()), Passthrough: true, TCP: g.tcpProxy(s, vs, plan.EntryPath("tls", i), rule.Route),
			})
		}
	}
	return out
}

// tcpChain makes the chain of the first rule in a VirtualService's tcp[] that applies to a server; none where no rule
// does.
func (g *gatewayProxy) tcpChain(s *server, vs *boundVirtualService) (out []*plan.FilterChain) {
	for i, rule := range vs.Spec.Tcp {
		path := plan.EntryPath("tcp", i)
		origin := originOf(vs.VirtualService, path)
		code := s.missesTCP(rule)
		switch {
		case code != "":
			g.opaque.miss(origin, code, plan.Origin{})
		case len(out) > 0:
			g.opaque.miss(origin, plan.DropHostTaken, out[0].TCP.Origin)
		default:
			g.opaque.use(origin)
			chain := &plan.FilterChain{Gateways: []string{s.gateway.Key()}, ServerNames: s.serverNames(), TCP: g.tcpProxy(s, vs, path, rule.Route)}
			if s.Tls != nil {
				chain.TLS = g.serverTLS(s)
			}
			out = append(out, chain)
		}
	}
	return out
}

// sharesHost reports whether a host of the VirtualService is a subset of one of the server's, or the reverse (TLS-05).
func (s *server) sharesHost(vs *boundVirtualService) bool {
	return len(s.hostsFor(vs.Namespace).Intersect(vs.Spec.Hosts)) > 0
}

// missesTCP returns the reason why a rule of tcp[] does not apply to a server, or "". One of its matches must apply; a
// rule without matches applies to every server.
func (s *server) missesTCP(rule *istio.TCPRoute) (code plan.DropCode) {
	if len(rule.Route) == 0 {
		return plan.DropNoRule // validation refuses it
	}
	for _, m := range rule.Match {
		if code = s.misses(m.GetPort(), m.GetGateways()); code == "" {
			return ""
		}
	}
	return code
}

// misses returns the reason why a match does not apply to the server, or "": another port, or other Gateways. Port 0
// and an empty list match any.
func (s *server) misses(port uint32, gateways []string) plan.DropCode {
	switch {
	case port != 0 && port != s.Port.Number:
		return plan.DropPort
	case len(gateways) > 0 && !slices.Contains(gateways, s.gateway.Key()):
		return plan.DropGateway
	default:
		return ""
	}
}

// tcpProxy translates the destinations of a rule in tcp[] or tls[]. The weight of an only destination is ignored; of
// several, those without a weight get no connections (TCP-03). The idle timeout is that of the first destination's
// DestinationRule (TCP-04).
func (g *gatewayProxy) tcpProxy(s *server, vs *boundVirtualService, rule plan.Path, routes []*istio.RouteDestination) *plan.TCPProxy {
	origin := originOf(vs.VirtualService, rule)
	out := &plan.TCPProxy{Origin: origin, Source: vs.Place(origin.Field())}
	services := g.destinations.services.from(vs.Namespace)
	for i, r := range routes {
		weight := uint32(max(r.GetWeight(), 0))
		if len(routes) > 1 && weight == 0 {
			continue
		}
		ref := services.cluster(r.GetDestination(), s.Port.Number)
		g.destinations.reference(ref, vs.Object, origin.Field()+".route["+strconv.Itoa(i)+"].destination", diag.Error)
		if len(out.Destinations) == 0 {
			found := services.find(ref.host)
			if policy := g.destinations.rules.find(ref.host, found); policy != nil {
				out.IdleTimeout = optionalDuration(policy.traffic.GetConnectionPool().GetTcp().GetIdleTimeout())
			}
		}
		out.Destinations = append(out.Destinations, plan.Destination{Cluster: ref.name(), Weight: max(weight, 1)})
	}
	return out
}

// serverNames are the SNI names of a server that has a tls block.
func (s *server) serverNames() []string {
	if s.Tls == nil {
		return nil
	}
	return serverNames(s.hosts)
}

// serverNames are the SNI names for hosts, in lower case and without their namespace. It is nil, which matches every
// connection, with or without SNI, if "*" is among the hosts (GW-MERGE-06).
func serverNames(hosts []string) []string {
	var out []string
	seen := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		if _, name, ok := strings.Cut(h, "/"); ok {
			h = name
		}
		if h == "*" {
			return nil
		}
		if h = strings.ToLower(h); !seen[h] {
			seen[h] = true
			out = append(out, h)
		}
	}
	return out
}
