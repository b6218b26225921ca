package translate

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// ProxyType says where a proxy stands.
type ProxyType string

// The types of proxies. A gateway serves what Gateways select it for; a sidecar serves what its workload sends to
// services.
const (
	GatewayProxy ProxyType = "gateway"
	SidecarProxy ProxyType = "sidecar"
)

// OutboundTrafficPolicy says what a sidecar does with a request to a host that nothing knows (VS-MESH-05).
type OutboundTrafficPolicy string

// The policies. AllowAny sends the request to the address that its client had asked for; that is known only where
// connections are redirected to the proxy, and elsewhere is answered with 503. RegistryOnly answers 502.
const (
	AllowAny     OutboundTrafficPolicy = "ALLOW_ANY"
	RegistryOnly OutboundTrafficPolicy = "REGISTRY_ONLY"
)

// Options say for which proxy to translate.
type Options struct {
	// Proxy is its type. Default: a gateway.
	Proxy ProxyType
	// Namespace of the proxy; it decides what is exported to it, which DestinationRules it sees, and by which short names
	// a sidecar knows services. Default: istio-system for a gateway, where Istio's own ingress gateway runs, and
	// "default" for a sidecar.
	Namespace string
	// Labels of the proxy, compared with the selectors of Gateways and with sourceLabels. Default: those of Istio's
	// ingress gateway, and none for a sidecar.
	Labels map[string]string
	// OutboundTrafficPolicy of a sidecar. Default: AllowAny, as in Istio.
	OutboundTrafficPolicy OutboundTrafficPolicy
	// ClusterDomain ends the full names of services. Default cluster.local.
	ClusterDomain string
	// Gateway, as name or namespace/name, leaves only one Gateway in. Default: all that select the proxy. A sidecar has
	// none.
	Gateway string
	// Endpoints give a service other addresses than its resources do: host name to host:port. For a developer's machine.
	Endpoints map[string]string
	// Locality of the proxy, region/zone/subzone: what is near is preferred (DR-LOC-01). Default: unknown.
	Locality string
	// Secrets are files for the names of credentials, instead of Secret documents.
	Secrets map[string]SecretFiles
	// ReadFile reads the file of a certificate, so that what Envoy would refuse is reported. Default: none; the files are on
	// Envoy's machine and cannot be looked at.
	ReadFile func(path string) ([]byte, error)
	// SystemAuthorities is the file with the authorities that Envoy's system trusts. Default: Debian's.
	SystemAuthorities string
}

// WithDefaults fills in what is not set.
func (o Options) WithDefaults() Options {
	if o.Proxy == "" {
		o.Proxy = GatewayProxy
	}
	if o.Namespace == "" {
		o.Namespace = rootNamespace
		if o.Proxy == SidecarProxy {
			o.Namespace = "default"
		}
	}
	if o.Labels == nil {
		o.Labels = map[string]string{"istio": "ingressgateway", "app": "istio-ingressgateway"}
		if o.Proxy == SidecarProxy {
			o.Labels = map[string]string{}
		}
	}
	if o.OutboundTrafficPolicy == "" {
		o.OutboundTrafficPolicy = AllowAny
	}
	if o.ClusterDomain == "" {
		o.ClusterDomain = "cluster.local"
	}
	if o.SystemAuthorities == "" {
		o.SystemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
	}
	return o
}

// translator holds what a translation has worked out so far.
type translator struct {
	options  *Options
	registry *registry
	rules    *destinationRules
	slices   []*resource.EndpointSlice
	entries  []*resource.WorkloadEntry
	secrets  *secretStore
	clusters map[clusterRef]*reference
	findings *diag.Findings
	// made bounds the rules, endpoints those of all clusters.
	made, endpoints *bound
}

// Plan works out the plan of one proxy. The plan is complete even where there are errors, so that it can be asked
// what Istio would do; it must not be executed then.
func Plan(r *resource.Set, options Options) (*plan.Plan, diag.Findings) {
	var findings diag.Findings
	options = options.WithDefaults()
	o := &options
	t := &translator{
		options:  o,
		registry: newRegistry(r, o.Namespace, o.ClusterDomain),
		rules:    newDestinationRules(r, o),
		slices:   r.EndpointSlices,
		entries:  r.WorkloadEntries,
		secrets:  newSecretStore(r, o, &findings),
		clusters: map[clusterRef]*reference{},
		findings: &findings,

		made:      &bound{what: "rules", most: maxRules, findings: &findings},
		endpoints: &bound{what: "endpoints", most: maxEndpoints, findings: &findings},
	}
	resolved := resolveNames(r.VirtualServices, o.ClusterDomain)
	bound := orderVirtualServices(mergeDelegates(resolved, &findings), o.Namespace)
	var p *plan.Plan
	if o.Proxy == SidecarProxy {
		p = t.sidecarListeners(bound)
	} else {
		p = t.listeners(mergeServers(t.selectGateways(r.Gateways), boundPort(r.Services, o), &findings), bound)
	}
	clusters, missing := t.planClusters()
	p.Clusters = append(p.Clusters, clusters...)
	if !slices.ContainsFunc(r.Refused, isDestination) {
		findings = append(findings, missing...)
		t.warnIdleRules(r)
	}
	findings.Sort()
	return p, findings
}

// selectGateways keeps the Gateways that select the proxy, in order (GW-SEL-01, GW-SEL-02).
func (t *translator) selectGateways(all []*resource.Gateway) []*resource.Gateway {
	var kept []*resource.Gateway
	named := false
	for _, gw := range orderGateways(all) {
		if name := t.options.Gateway; name != "" {
			if gw.Name != name && gw.Key() != name {
				continue
			}
			named = true
		}
		if !names.Selects(gw.Spec.Selector, t.options.Labels) {
			t.findings.Add(diag.Warning, "", gw.Object, "spec.selector", "does not select this proxy, whose labels are %s; the Gateway is not used", labelText(t.options.Labels))
			continue
		}
		kept = append(kept, gw)
	}
	if t.options.Gateway != "" && !named {
		t.findings.Add(diag.Error, "", nil, "", "there is no Gateway %s", t.options.Gateway)
	}
	return kept
}

// isDestination says that destinations of rules refer to an object.
func isDestination(o *resource.Object) bool {
	return slices.Contains([]string{"DestinationRule", "ServiceEntry", "WorkloadEntry"}, o.Kind)
}

func labelText(labels map[string]string) string {
	var pairs []string
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// noPortTranslation is the label of Services whose ports do not tell which ones a proxy binds (GW-PORT-01).
const noPortTranslation = "experimental.istio.io/disable-gateway-port-translation"

// boundPort tells which port a server binds: its number is that of a Service that selects the proxy; where there is
// such a Service, its target port is bound (GW-PORT-01).
func boundPort(services []*resource.Service, o *Options) func(*istio.Server) uint32 {
	return func(s *istio.Server) uint32 {
		for _, svc := range services {
			if svc.Namespace != o.Namespace || len(svc.Spec.Selector) == 0 || !names.Selects(svc.Spec.Selector, o.Labels) {
				continue
			}
			if _, off := svc.Labels[noPortTranslation]; off {
				continue
			}
			for _, p := range svc.Spec.Ports {
				switch {
				case uint32(p.Port) != s.GetPort().GetNumber():
				case p.TargetPort.IntValue() > 0:
					return uint32(p.TargetPort.IntValue())
				case p.TargetPort.StrVal == "": // the default: its own number
					return uint32(p.Port)
				}
			}
		}
		return s.GetPort().GetNumber()
	}
}

// boundByGateway are VirtualServices in their order, by the Gateways that they name.
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

// listeners makes one listener of every address that servers bind, in order.
func (t *translator) listeners(m *merged, bound []*boundVirtualService) *plan.Plan {
	services := byGateway(bound)
	p := &plan.Plan{}
	opaque := &opaqueChains{map[uint32]map[string]*server{}, t}
	byAddress := map[string]*plan.Listener{}
	owners := map[*plan.Listener]map[string]*server{}
	add := func(l *plan.Listener, s *server, chains ...*plan.FilterChain) {
		for _, c := range chains {
			if owners[l] == nil {
				owners[l] = map[string]*server{}
			}
			t.refuseTwins(l, c, s, owners[l])
			l.Chains = append(l.Chains, c)
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
				t.findings.Add(diag.Error, "", s.gateway.Object, s.field(".bind"), "%q is no IP address", bind)
			}
			l = &plan.Listener{Name: name, Bind: bind, Port: socket.port}
			byAddress[name] = l
			p.Listeners = append(p.Listeners, l)
		}
		if first := socket.servers[0]; names.SpeaksHTTP(first.Port.Protocol) {
			routes := t.routeConfig(m.routes[first.routes], services)
			routes.GRPCWeb = names.IsProtocol(first.Port.Protocol, names.GRPCWeb)
			add(l, first, &plan.FilterChain{Routes: routes})
			continue
		}
		for _, s := range socket.servers {
			if s.routes == "" {
				add(l, s, opaque.chains(s, services)...)
			} else {
				add(l, s, t.tlsChain(s, m, services))
			}
		}
	}
	p.Listeners = slices.DeleteFunc(p.Listeners, func(l *plan.Listener) bool { return len(l.Chains) == 0 }) // TCP-02
	return p
}

// refuseTwins reports a chain whose connections an earlier one of the listener takes, too: Envoy refuses such a listener as
// a whole. The test for hosts that two servers share does not see those that differ in their namespace or in case, those of
// a server that terminates TLS and of a rule that forwards it, and plain HTTP beside a server for * (GW-MERGE-03,
// GW-MERGE-05).
//
// owners are the servers that have the listener's chains, by server name; "" is every one.
func (t *translator) refuseTwins(l *plan.Listener, c *plan.FilterChain, s *server, owners map[string]*server) {
	names := c.ServerNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		first := owners[name]
		if first == nil {
			continue
		}
		what := "every server name"
		if name != "" {
			what = "the server name " + strconv.Quote(name)
		}
		t.findings.Add(diag.Error, "", s.gateway.Object, s.field(".hosts"), "%s on port %d is taken by %s, %s; Envoy refuses a listener with both",
			what, l.Port, first.gateway, first.field(""))
		break
	}
	for _, name := range names {
		if owners[name] == nil {
			owners[name] = s
		}
	}
}

// tlsChain is the chain of one server that terminates TLS and speaks HTTP.
func (t *translator) tlsChain(s *server, m *merged, services boundByGateway) *plan.FilterChain {
	return &plan.FilterChain{ServerNames: s.serverNames(), TLS: t.serverTLS(s), Routes: t.routeConfig(m.routes[s.routes], services)}
}

// routeConfig puts the virtual hosts of all servers of one route configuration together (section 1.4 and 1.5).
func (t *translator) routeConfig(servers []*server, services boundByGateway) *plan.RouteConfig {
	rc := &plan.RouteConfig{Name: servers[0].routes, Port: servers[0].Port.Number}
	hosts := map[string]*plan.VirtualHost{}
	host := func(name string, s *server) *plan.VirtualHost { // names that differ in case alone share one (VS-HOST-04)
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
	translated := map[reached][]*plan.Rule{} // once per Gateway, with the first server's port (VS-GW-12)
	for _, s := range servers {
		redirects := s.Tls.GetHttpsRedirect()
		for _, vs := range services[s.gateway.Key()] {
			names := s.hostsFor(vs.Namespace).Intersect(vs.Spec.Hosts)
			if len(names) == 0 {
				continue
			}
			key := reached{s.gateway.Key(), vs}
			rules := translated[key]
			if len(rules) == 0 { // none so far: another server's port may suit it
				rules = t.translateRules(vs, listenerContext{
					port: s.Port.Number, gateway: s.gateway.Key(), isTLS: s.Tls != nil, services: t.registry.from(vs.Namespace),
				})
				translated[key] = rules
			}
			if len(rules) == 0 {
				continue
			}
			for _, name := range names {
				h := host(name, s)
				h.RequireTLS = h.RequireTLS || redirects
				h.Rules = append(h.Rules, rules...)
			}
		}
		if !redirects {
			continue
		}
		for _, name := range s.hosts { // with its namespace, if it has one: Istio's quirk (GW-REDIR-02, GW-REDIR-03)
			host(name, s).RequireTLS = true
		}
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

// collapse makes one virtual host of those with the same rules, named after the first, and moves catch-all rules to
// the end of each (VS-GW-03, VS-ORD-02).
func collapse(hosts map[string]*plan.VirtualHost) []*plan.VirtualHost {
	names := slices.SortedFunc(maps.Keys(hosts), moreSpecific)
	var out []*plan.VirtualHost
	byFirst := map[*plan.Rule][]*plan.VirtualHost{} // candidates to join
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
	slices.SortFunc(out, func(a, b *plan.VirtualHost) int { return strings.Compare(a.Name, b.Name) })
	return out
}
