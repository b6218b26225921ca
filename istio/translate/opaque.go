package translate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/plan"
)

// opaqueChains makes the filter chains of servers that do not speak HTTP: of TCP, and of TLS that is forwarded as it is
// or terminated for TCP.
//
// A server is nothing by itself. Without a rule in some VirtualService's tcp[] or tls[] it has no chain, and a listener
// without chains is not there (TCP-02).
type opaqueChains struct {
	// taken are the server names that have a chain, by port: the first match that names one keeps it (TLS-04).
	taken map[uint32]map[string]*server
	*translator
}

func (o *opaqueChains) chains(s *server, services boundByGateway) []*plan.FilterChain {
	if s.Tls.GetMode() == istio.ServerTLSSettings_AUTO_PASSTHROUGH {
		o.findings.Add(diag.Error, "", s.gateway.Object, s.field(".tls.mode"), "AUTO_PASSTHROUGH, the way between networks of one mesh, is not translated; the server is left out (TCP-07)")
		return nil
	}
	var out []*plan.FilterChain
	for _, vs := range services[s.gateway.Key()] {
		if !s.sharesHost(vs) {
			continue
		}
		if s.isPassthrough() {
			out = append(out, o.passthrough(s, vs)...)
		} else if i := slices.IndexFunc(vs.Spec.Tcp, s.takesTCP); i >= 0 { // the first VirtualService takes all connections (TCP-01)
			chain := &plan.FilterChain{ServerNames: s.serverNames(), TCP: o.tcpProxy(s, vs, "tcp["+strconv.Itoa(i)+"]", vs.Spec.Tcp[i].Route)}
			if s.Tls != nil {
				chain.TLS = o.serverTLS(s)
			}
			return []*plan.FilterChain{chain}
		}
	}
	return out
}

// passthrough are the chains of a VirtualService's tls[]: one for each match, by its own server names, which are not
// compared with the server's hosts (TLS-02, TLS-03).
func (o *opaqueChains) passthrough(s *server, vs *boundVirtualService) []*plan.FilterChain {
	taken := o.taken[s.port]
	if taken == nil {
		taken = map[string]*server{}
		o.taken[s.port] = taken
	}
	var out []*plan.FilterChain
	for i, rule := range vs.Spec.Tls {
		for _, m := range rule.GetMatch() {
			if len(rule.Route) == 0 || !s.takes(m.GetPort(), m.GetGateways()) ||
				slices.ContainsFunc(m.GetSniHosts(), func(h string) bool { return taken[h] != nil && taken[h].Bind == s.Bind }) {
				continue
			}
			for _, h := range m.GetSniHosts() {
				taken[h] = s
			}
			out = append(out, &plan.FilterChain{
				ServerNames: serverNames(m.GetSniHosts()), Passthrough: true, TCP: o.tcpProxy(s, vs, "tls["+strconv.Itoa(i)+"]", rule.Route),
			})
		}
	}
	return out
}

// sharesHost says whether a host of the VirtualService is a subset of one of the server's, or the other way round
// (TLS-05).
func (s *server) sharesHost(vs *boundVirtualService) bool {
	return len(s.hostsFor(vs.Namespace).Intersect(vs.Spec.Hosts)) > 0
}

func (s *server) takesTCP(rule *istio.TCPRoute) bool {
	return len(rule.Route) > 0 && (len(rule.Match) == 0 ||
		slices.ContainsFunc(rule.Match, func(m *istio.L4MatchAttributes) bool { return s.takes(m.GetPort(), m.GetGateways()) }))
}

// takes says whether a match's port and Gateways are the server's; none is any.
func (s *server) takes(port uint32, gateways []string) bool {
	return (port == 0 || port == s.Port.Number) && (len(gateways) == 0 || slices.Contains(gateways, s.gateway.Key()))
}

// tcpProxy is where the connections of a rule go. One destination's weight means nothing, of several those without one get
// none (TCP-03). The first destination's DestinationRule says when idle connections are closed (TCP-04).
func (o *opaqueChains) tcpProxy(s *server, vs *boundVirtualService, rule string, routes []*istio.RouteDestination) *plan.TCPProxy {
	out := &plan.TCPProxy{Rule: vs.Key() + "." + rule, Source: vs.Place("spec." + rule)}
	services := o.registry.from(vs.Namespace)
	for i, r := range routes {
		weight := uint32(max(r.GetWeight(), 0))
		if len(routes) > 1 && weight == 0 {
			continue
		}
		ref := services.cluster(r.GetDestination(), s.Port.Number)
		o.reference(ref, vs.Object, "spec."+rule+".route["+strconv.Itoa(i)+"].destination", diag.Error)
		if len(out.Destinations) == 0 {
			found := services.find(ref.host)
			if policy := o.rules.find(ref.host, found); policy != nil {
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

// serverNames are hosts without their namespace; "*" among them stands for any name, and for none (GW-MERGE-06).
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
