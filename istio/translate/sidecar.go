package translate

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// sidecarBind is the address on which a sidecar listens. Connections are not redirected to it; clients connect to it,
// as with Istio's capture mode NONE.
const sidecarBind = "127.0.0.1"

// Names of the rules and the cluster that Istio generates itself.
const (
	defaultRoute       = "default"
	allowAny           = "allow_any"
	blockAll           = "block_all"
	passthroughCluster = "PassthroughCluster"
)

// sidecar makes the outbound listeners of a sidecar proxy.
type sidecar struct {
	options      *Options
	destinations *destinations
	rules        *ruleTranslator
	out          *output

	virtualServices []*boundVirtualService          // of the mesh, in order
	owners          map[string]*boundVirtualService // see wildcardOwners
	lost            map[string]bool                 // warnings of warnLost that were given, by VirtualService and host
	hosted          map[*boundVirtualService]bool   // those that have a host on some port
}

func newSidecar(o *Options, d *destinations, rules *ruleTranslator, out *output) *sidecar {
	return &sidecar{options: o, destinations: d, rules: rules, out: out, lost: map[string]bool{}, hosted: map[*boundVirtualService]bool{}}
}

// listeners makes one listener for each port that [httpPorts] finds, with the virtual hosts of all services that have
// the port.
func (sc *sidecar) listeners(bound []*boundVirtualService) []*plan.Listener {
	services := sc.destinations.services.listed
	sc.virtualServices = sc.inMesh(bound)
	sc.owners = wildcardOwners(sc.virtualServices, services)
	var out []*plan.Listener
	ports := httpPorts(services)
	sc.noticePorts(services, ports)
	for _, port := range ports {
		hosts, dropped := sc.virtualHosts(port)
		out = append(out, &plan.Listener{
			Name: sidecarBind + "_" + strconv.Itoa(int(port)), Bind: sidecarBind, Port: port,
			Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{
				Name: strconv.Itoa(int(port)), Port: port, GRPCWeb: firstSpeaksGRPCWeb(services, port), VirtualHosts: append(hosts, sc.anyOtherHost()), Dropped: dropped,
			}}},
		})
	}
	if !slices.Contains(ports, 80) {
		sc.unheard()
	}
	for _, vs := range sc.virtualServices {
		if !sc.hosted[vs] {
			sc.out.drop(vs.Object, originOf(vs.VirtualService, plan.Path{}), plan.DropNoHost, plan.Origin{})
		}
	}
	return out
}

// clusters are those that a sidecar has in addition to those that rules name: the one for hosts that are not known,
// with AllowAny.
func (sc *sidecar) clusters(listeners []*plan.Listener) []*plan.Cluster {
	if sc.options.OutboundTrafficPolicy != AllowAny || len(listeners) == 0 {
		return nil
	}
	return []*plan.Cluster{{Name: passthroughCluster, Discovery: plan.OriginalDestination, ClientProtocol: true}}
}

// firstSpeaksGRPCWeb reports whether the first service for which a port has a listener declares gRPC-Web.
func firstSpeaksGRPCWeb(services []*service, port uint32) bool {
	for _, s := range services {
		for _, p := range s.ports {
			if p.number == port && s.listens(p) {
				return names.IsProtocol(p.protocol, names.GRPCWeb)
			}
		}
	}
	return false
}

// inMesh keeps the VirtualServices that are bound to the mesh.
func (sc *sidecar) inMesh(bound []*boundVirtualService) (kept []*boundVirtualService) {
	for _, vs := range bound {
		if slices.Contains(names.GatewaysOf(vs.Spec), names.MeshGateway) {
			kept = append(kept, vs)
		} else {
			sc.out.drop(vs.Object, originOf(vs.VirtualService, plan.Path{}), plan.DropNotBound, plan.Origin{})
		}
	}
	return kept
}

// httpPorts are the ports that get a listener, sorted: those on which a service listens, unless an earlier service
// without an address has the port for a protocol in which the server sends first. Nothing else can share a listener
// with that.
func httpPorts(services []*service) []uint32 {
	var ports []uint32
	first := map[uint32]servicePort{}
	for _, s := range services {
		for _, p := range s.ports {
			if !s.sharesListener(p) {
				continue
			}
			if _, ok := first[p.number]; !ok {
				first[p.number] = p
			}
			if s.listens(p) && !names.IsProtocol(first[p.number].protocol, "MONGO", "MYSQL") {
				ports = append(ports, p.number)
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// listens reports whether a port of a service has a listener that serves HTTP for all services with the port: a port
// that declares HTTP, or one that declares no protocol, of a service without an address of its own.
func (s *service) listens(p servicePort) bool {
	return s.sharesListener(p) && (p.speaksHTTP() || p.isUndeclared())
}

// sharesListener reports whether Istio's listener for a port of a service is that of all addresses. A port that does
// not declare HTTP has a listener for each address of its service, which serves this service alone, and which only
// connections that are redirected to the proxy reach. So has a headless Service, for the addresses of its pods, and a
// ServiceEntry with resolution NONE, for those of workloads that it selects or that another entry of its host has.
func (s *service) sharesListener(p servicePort) bool {
	switch {
	case s.alias != "" || names.IsProtocol(p.protocol, "UDP"):
		return false
	case p.speaksHTTP() || s.hasRange():
		return true
	case s.isHeadless():
		return false
	case s.entry != nil && s.entry.Spec.Resolution == istio.ServiceEntry_NONE && (s.entry.Spec.WorkloadSelector != nil || s.reached[p.number]):
		return false
	default:
		return !slices.ContainsFunc(s.addresses(), func(a string) bool { return a != unspecifiedAddress })
	}
}

// noticePorts adds a notice for each port that has no listener, with the reason.
func (sc *sidecar) noticePorts(services []*service, ports []uint32) {
	for _, s := range services {
		for _, p := range s.ports {
			notice := func(format string, args ...any) {
				sc.out.findings.Add(diag.Notice, "", s.object(), portField(p), format, args...)
			}
			switch has := slices.Contains(ports, p.number); {
			case s.alias != "", has && (s.listens(p) || p.isUndeclared()):
			case s.listens(p):
				notice("port %d has no listener, since an older service without an address has it for another protocol, in which the server sends first", p.number)
			case !p.isUndeclared():
				notice("port %d speaks %s, and a sidecar's listeners serve HTTP only; it is skipped", p.number, p.protocol)
			default:
				notice("port %d declares no protocol, so it has no listener; give it appProtocol: http or a name that begins with http", p.number)
			}
		}
	}
}

func portField(p servicePort) string { return "spec.ports[" + strconv.Itoa(p.index) + "]" }

// anyOtherHost is the virtual host for requests to hosts that are not known (VS-MESH-05).
func (sc *sidecar) anyOtherHost() *plan.VirtualHost {
	r := &plan.Rule{Name: allowAny, Match: translateMatch(nil, false)}
	if sc.options.OutboundTrafficPolicy == RegistryOnly {
		r.Name = blockAll
		r.DirectResponse = &plan.DirectResponse{Status: http.StatusBadGateway}
	} else {
		r.Route = &plan.RouteAction{Destinations: []plan.Destination{{Cluster: passthroughCluster}}}
	}
	r.Seal()
	return &plan.VirtualHost{Name: r.Name, Domains: []string{"*"}, Rules: []*plan.Rule{r}}
}

// defaultRule sends all requests to a service, for which no VirtualService has rules on the port (VS-MESH-06,
// VS-TO-10). Its retry policy avoids hosts that were tried, even with consistent hashing, unlike the default of a
// VirtualService's rule (VS-RETRY-06).
func (sc *sidecar) defaultRule(s *service, p servicePort) *plan.Rule {
	ref := clusterRef{host: s.host, port: p.number}
	if lower := sc.destinations.services.services[s.domain()]; lower != nil && s.host != lower.host {
		if q, ok := lower.port(p.number); ok { // Istio's route names the host in lower case, so this service gets the requests
			s, p, ref.host = lower, q, lower.host
		}
	}
	sc.destinations.reference(ref, s.object(), portField(p), diag.Error)
	a := &plan.RouteAction{Destinations: []plan.Destination{{Cluster: ref.name()}}, Retry: translateRetries(nil, false)}
	d := &istio.Destination{Host: s.host, Port: &istio.PortSelector{Number: p.number}}
	if hash := sc.destinations.rules.find(s.host, s).consistentHash(d); hash != nil {
		if policy := hashPolicy(hash); policy != nil {
			a.HashPolicies = []plan.HashPolicy{*policy}
		}
	}
	r := &plan.Rule{Name: defaultRoute, Source: s.object().Place(portField(p)), Match: translateMatch(nil, false), Route: a}
	r.Seal()
	return r
}

// unheard warns of hosts that are not known services where there is no listener on port 80, the only port on which they
// are served (VS-MESH-03).
func (sc *sidecar) unheard() {
	services := sc.destinations.services.listed
	for _, vs := range sc.virtualServices {
		for i, h := range vs.Spec.Hosts {
			if !slices.ContainsFunc(services, func(s *service) bool { return names.HostsMatch(strings.ToLower(s.host), strings.ToLower(h)) }) {
				sc.out.findings.Add(diag.Warning, "", vs.Object, "spec.hosts["+strconv.Itoa(i)+"]",
					"%q is not a known service, so a sidecar serves it on port 80 only, where no service declares HTTP: nothing listens there (VS-MESH-03)", h)
			}
		}
	}
}
