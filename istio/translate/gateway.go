package translate

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// gatewayProxy makes the listeners of a gateway proxy from the servers of all Gateways that select it.
type gatewayProxy struct {
	options      *Options
	destinations *destinations
	rules        *ruleTranslator
	secrets      *secretStore
	out          *output

	// taken are the server names of forwarded TLS, by bound port: the first match that has a name keeps it (TLS-04).
	taken map[uint32]map[string]takenName
	// hosted are the VirtualServices that share a host with some server.
	hosted map[*boundVirtualService]bool
	opaque opaqueRules // which rules in tcp[] and tls[] are used
}

func newGatewayProxy(o *Options, d *destinations, rules *ruleTranslator, secrets *secretStore, out *output) *gatewayProxy {
	return &gatewayProxy{o, d, rules, secrets, out, map[uint32]map[string]takenName{}, map[*boundVirtualService]bool{}, opaqueRules{}}
}

// gatewayOrigin is the origin for a whole Gateway.
func gatewayOrigin(gw *resource.Gateway) plan.Origin {
	return plan.Origin{Kind: "Gateway", Namespace: gw.Namespace, Name: gw.Name}
}

// selectGateways keeps the Gateways that select the proxy, in order (GW-SEL-01, GW-SEL-02).
func (g *gatewayProxy) selectGateways(all []*resource.Gateway) []*resource.Gateway {
	var kept []*resource.Gateway
	named := false
	for _, gw := range orderGateways(all) {
		if name := g.options.Gateway; name != "" {
			if gw.Name != name && gw.Key() != name {
				g.out.drop(gw.Object, gatewayOrigin(gw), plan.DropNotSelected, plan.Origin{})
				continue
			}
			named = true
		}
		if !names.Selects(gw.Spec.Selector, g.options.Labels) {
			g.out.findings.Add(diag.Warning, "", gw.Object, "spec.selector", "does not select this proxy, whose labels are %s; the Gateway is not used; give --labels %s for the proxy that it is meant for", labelText(g.options.Labels), labelText(gw.Spec.Selector))
			g.out.drop(gw.Object, gatewayOrigin(gw), plan.DropNotSelected, plan.Origin{})
			continue
		}
		kept = append(kept, gw)
	}
	if g.options.Gateway != "" && !named {
		g.out.findings.Add(diag.Error, "", nil, "", "there is no Gateway %s", g.options.Gateway)
	}
	return kept
}

func labelText(labels map[string]string) string {
	var pairs []string
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// boundByGateway holds VirtualServices, in order, by the Gateways that they name.
type boundByGateway map[string][]*boundVirtualService

func byGateway(services []*boundVirtualService) boundByGateway {
	out := boundByGateway{}
	for _, vs := range services {
		for _, gateway := range names.GatewaysOf(vs.Spec) {
			if l := out[gateway]; len(l) == 0 || l[len(l)-1] != vs { // one may be named twice
				out[gateway] = append(l, vs)
			}
		}
	}
	return out
}

// listeners makes one listener for each address that servers bind, in the order of the servers.
func (g *gatewayProxy) listeners(m *merged, bound []*boundVirtualService) []*plan.Listener {
	services := byGateway(bound)
	var out []*plan.Listener
	byAddress := map[string]*plan.Listener{}
	owners := map[*plan.Listener]map[string]*server{}
	add := func(l *plan.Listener, s *server, chains ...*plan.FilterChain) {
		for _, c := range chains {
			if owners[l] == nil {
				owners[l] = map[string]*server{}
			}
			if g.withoutTwins(l, c, s, owners[l]) {
				l.Chains = append(l.Chains, c)
			}
		}
	}
	for _, socket := range m.sockets {
		bind := socket.bind
		if bind == "" {
			bind = "0.0.0.0"
		}
		name := bind + "_" + strconv.Itoa(int(socket.port))
		l := byAddress[name]
		if l == nil {
			if _, err := netip.ParseAddr(bind); err != nil {
				s := socket.servers[0]
				g.out.findings.Add(g.options.leftOut(), "", s.gateway.Object, s.field(".bind"), "%q is not an IP address; nothing listens there", bind)
				continue
			}
			l = &plan.Listener{Name: name, Bind: bind, Port: socket.port}
			byAddress[name] = l
			out = append(out, l)
		}
		if first := socket.servers[0]; names.SpeaksHTTP(first.Port.Protocol) {
			routes := g.routeConfig(m.routes[first.routes], services)
			routes.GRPCWeb = names.IsProtocol(first.Port.Protocol, names.GRPCWeb)
			add(l, first, &plan.FilterChain{Gateways: gatewaysOf(m.routes[first.routes]), Routes: routes})
			continue
		}
		for _, s := range socket.servers {
			if s.routes == "" {
				add(l, s, g.opaqueChains(s, services)...)
			} else {
				add(l, s, g.tlsChain(s, m, services))
			}
		}
	}
	g.dropUnused(m, bound)
	return slices.DeleteFunc(out, func(l *plan.Listener) bool { return len(l.Chains) == 0 }) // TCP-02
}

// dropUnused records the VirtualServices that are bound to no Gateway of the proxy, or share no host with its servers.
func (g *gatewayProxy) dropUnused(m *merged, bound []*boundVirtualService) {
	served := map[string]bool{}
	for _, socket := range m.sockets {
		for _, s := range socket.servers {
			served[s.gateway.Key()] = true
		}
	}
	for _, vs := range bound {
		code := plan.DropNoHost
		if !slices.ContainsFunc(names.GatewaysOf(vs.Spec), func(name string) bool { return served[name] }) {
			code = plan.DropNotBound
		}
		if !g.hosted[vs] {
			g.out.drop(vs.Object, originOf(vs.VirtualService, plan.Path{}), code, plan.Origin{})
		}
		g.dropOpaque(vs)
	}
}

// withoutTwins takes the server names out of a chain that an earlier chain of the listener has: Envoy refuses a listener in
// which two chains match the same connections, and in Istio the earlier one would go on being served. It reports
// whether the chain has any connections left. Istio's own check for hosts that two servers share (see mergeServers)
// does not find hosts that differ in their namespace or in case, hosts of a server that terminates TLS and of a rule
// that forwards it, and plain HTTP beside a server for * (GW-MERGE-03, GW-MERGE-05).
//
// owners are the servers of the listener's earlier chains, by server name; "" stands for every name.
func (g *gatewayProxy) withoutTwins(l *plan.Listener, c *plan.FilterChain, s *server, owners map[string]*server) bool {
	serverNames := c.ServerNames
	if len(serverNames) == 0 {
		serverNames = []string{""}
	}
	var free []string
	told := false
	for _, name := range serverNames {
		first := owners[name]
		if first == nil {
			owners[name] = s
			free = append(free, name)
			continue
		}
		if told {
			continue
		}
		told = true
		what := "every server name"
		if name != "" {
			what = "the server name " + strconv.Quote(name)
		}
		g.out.findings.Add(g.options.leftOut(), "", s.gateway.Object, s.field(".hosts"), "%s on port %d is taken by %s, %s, which is served there alone",
			what, l.Port, first.gateway, first.field(""))
		g.out.drop(s.gateway.Object, s.origin(), plan.DropServerConflict, first.origin())
	}
	if told && len(free) > 0 {
		c.ServerNames = free
	}
	return len(free) > 0
}

// tlsChain makes the chain of one server that terminates TLS and speaks HTTP.
func (g *gatewayProxy) tlsChain(s *server, m *merged, services boundByGateway) *plan.FilterChain {
	servers := m.routes[s.routes]
	return &plan.FilterChain{ServerNames: s.serverNames(), TLS: g.serverTLS(s), Gateways: gatewaysOf(servers), Routes: g.routeConfig(servers, services)}
}

// gatewaysOf are the keys of the Gateways that servers belong to, each once, in order.
func gatewaysOf(servers []*server) (keys []string) {
	for _, s := range servers {
		if key := s.gateway.Key(); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// routeConfig makes one route configuration from the servers that share it (GW-RDS-01, GW-MERGE-01). One without any
// host gets a virtual host without rules, so that every request is answered with 404.
func (g *gatewayProxy) routeConfig(servers []*server, services boundByGateway) *plan.RouteConfig {
	rc := &plan.RouteConfig{Name: servers[0].routes, Port: servers[0].Port.Number}
	hosts := map[string]*plan.VirtualHost{}
	host := func(name string, s *server) *plan.VirtualHost { // names that differ only in case share one (VS-HOST-04)
		name = strings.ToLower(name)
		h := hosts[name]
		if h == nil {
			h = &plan.VirtualHost{Name: virtualHostName(name, s.Port.Number), Domains: []string{name}}
			hosts[name] = h
		}
		return h
	}
	type reached struct {
		gateway string
		vs      *boundVirtualService
	}
	type result struct {
		rules   []*plan.Rule
		dropped []plan.Dropped
	}
	translated := map[reached]*result{} // once per Gateway, with the first server's port (VS-GW-12)
	var order []*result
	for _, s := range servers {
		redirects := s.Tls.GetHttpsRedirect()
		for _, vs := range services[s.gateway.Key()] {
			shared := s.hostsFor(vs.Namespace).Intersect(vs.Spec.Hosts)
			if len(shared) == 0 {
				continue
			}
			g.hosted[vs] = true
			key := reached{s.gateway.Key(), vs}
			t := translated[key]
			if t == nil {
				t = &result{}
				translated[key] = t
				order = append(order, t)
			}
			if len(t.rules) == 0 { // another server of the Gateway may have a port that the rules match
				t.rules, t.dropped = g.rules.rules(vs, listenerContext{
					port: s.Port.Number, gateway: s.gateway.Key(), isTLS: s.Tls != nil, services: g.destinations.services.from(vs.Namespace),
				})
			}
			if len(t.rules) == 0 {
				continue
			}
			for _, name := range shared {
				h := host(name, s)
				h.RequireTLS = h.RequireTLS || redirects
				h.Rules = append(h.Rules, t.rules...)
			}
		}
		if !redirects {
			continue
		}
		for _, name := range s.hosts { // with the namespace, if it has one, as in Istio (GW-REDIR-02, GW-REDIR-03)
			host(name, s).RequireTLS = true
		}
	}
	for _, t := range order {
		rc.Dropped = append(rc.Dropped, t.dropped...)
	}
	rc.VirtualHosts = collapse(hosts)
	if len(rc.VirtualHosts) == 0 {
		rc.VirtualHosts = []*plan.VirtualHost{{Name: virtualHostName("blackhole", rc.Port), Domains: []string{"*"}}}
	}
	return rc
}

func virtualHostName(host string, port uint32) string {
	return host + ":" + strconv.Itoa(int(port))
}

// collapse joins the virtual hosts that have the same rules, under the name of the most specific one, and moves
// catch-all rules to the end of each (VS-GW-03, VS-ORD-02).
func collapse(hosts map[string]*plan.VirtualHost) []*plan.VirtualHost {
	names := slices.SortedFunc(maps.Keys(hosts), moreSpecific)
	var out []*plan.VirtualHost
	byFirst := map[*plan.Rule][]*plan.VirtualHost{} // virtual hosts by their first rule, to compare few
	for _, name := range names {
		h := hosts[name]
		var first *plan.Rule
		if len(h.Rules) > 0 {
			first = h.Rules[0]
		}
		if i := slices.IndexFunc(byFirst[first], func(o *plan.VirtualHost) bool {
			return o.RequireTLS == h.RequireTLS && slices.Equal(o.Rules, h.Rules)
		}); i >= 0 {
			same := byFirst[first][i]
			same.Domains = append(same.Domains, h.Domains...)
			continue
		}
		byFirst[first] = append(byFirst[first], h)
		out = append(out, h)
	}
	for _, h := range out {
		h.Rules = catchAllLast(h.Rules)
	}
	slices.SortFunc(out, virtualHostsByName)
	return out
}
