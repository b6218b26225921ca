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

// sidecarBind is where a sidecar listens that nothing redirects connections to: Istio's capture mode NONE.
const sidecarBind = "127.0.0.1"

// Names that Istio gives to what it makes itself.
const (
	defaultRoute       = "default"
	allowAny           = "allow_any"
	blockAll           = "block_all"
	passthroughCluster = "PassthroughCluster"
)

// sidecar makes the outbound side of a sidecar.
type sidecar struct {
	options      *Options
	destinations *destinations
	rules        *ruleTranslator
	out          *output

	virtualServices []*boundVirtualService            // of the mesh, in order
	owners          map[*service]*boundVirtualService // who may reach a service by a wildcard
	lost            map[string]bool                   // hosts that were warned about, by VirtualService and host
	hosted          map[*boundVirtualService]bool     // with a host on some port
}

func newSidecar(o *Options, d *destinations, rules *ruleTranslator, out *output) *sidecar {
	return &sidecar{options: o, destinations: d, rules: rules, out: out, lost: map[string]bool{}, hosted: map[*boundVirtualService]bool{}}
}

// listeners are one for each port on which a service declares HTTP, with the virtual hosts of all services that have the
// port.
//
// A port that declares no protocol has no listener of its own: Istio makes one for each address of such a service and
// looks at the first bytes of a connection, which needs connections that are redirected to the proxy. Where another
// service declares HTTP on the same port, it is served there.
func (sc *sidecar) listeners(bound []*boundVirtualService) []*plan.Listener {
	services := sc.destinations.services.all()
	sc.virtualServices = sc.inMesh(bound)
	sc.owners = wildcardOwners(sc.virtualServices, services)
	var out []*plan.Listener
	ports := sc.ports(services)
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

// clusters are those that no rule names.
func (sc *sidecar) clusters(listeners []*plan.Listener) []*plan.Cluster {
	if sc.options.OutboundTrafficPolicy != AllowAny || len(listeners) == 0 {
		return nil
	}
	return []*plan.Cluster{{Name: passthroughCluster, Discovery: plan.OriginalDestination, ClientProtocol: true}}
}

// firstSpeaksGRPCWeb says whether the first service with HTTP on a port declares gRPC-Web.
func firstSpeaksGRPCWeb(services []*service, port uint32) bool {
	for _, s := range services {
		for _, p := range s.ports {
			if p.number == port && p.speaksHTTP() && s.alias == "" {
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

// ports are the ports that are listened on, in order, and says of every other port why it is not.
func (sc *sidecar) ports(services []*service) []uint32 {
	var ports []uint32
	for _, s := range services {
		for _, p := range s.ports {
			if p.speaksHTTP() && s.alias == "" {
				ports = append(ports, p.number)
			}
		}
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	for _, s := range services {
		for _, p := range s.ports {
			if p.speaksHTTP() || s.alias != "" {
				continue
			}
			switch {
			case !p.isUndeclared():
				sc.out.findings.Add(diag.Notice, "", s.object(), portField(p), "port %d speaks %s, and a sidecar's listeners serve HTTP only; it is left aside", p.number, p.protocol)
			case !slices.Contains(ports, p.number):
				sc.out.findings.Add(diag.Notice, "", s.object(), portField(p), "port %d declares no protocol, so it has no listener; give it appProtocol: http or a name that begins with http", p.number)
			}
		}
	}
	return ports
}

func portField(p servicePort) string { return "spec.ports[" + strconv.Itoa(p.index) + "]" }

// anyOtherHost is the virtual host of the requests whose host nothing knows (VS-MESH-05).
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

// defaultRule sends everything to a service: what holds where no VirtualService has rules for it (VS-MESH-06, VS-TO-10).
// The retry policy avoids hosts that were tried even under consistent hashing, other than a VirtualService's (VS-RETRY-06).
func (sc *sidecar) defaultRule(s *service, p servicePort) *plan.Rule {
	ref := clusterRef{host: s.host, port: p.number}
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

// unheard warns of hosts that are no service: they are served on port 80, and nothing listens there (VS-MESH-03).
func (sc *sidecar) unheard() {
	services := sc.destinations.services.all()
	for _, vs := range sc.virtualServices {
		for i, h := range vs.Spec.Hosts {
			if !slices.ContainsFunc(services, func(s *service) bool { return names.HostsMatch(strings.ToLower(s.host), strings.ToLower(h)) }) {
				sc.out.findings.Add(diag.Warning, "", vs.Object, "spec.hosts["+strconv.Itoa(i)+"]",
					"%q is not a known service, so a sidecar serves it on port 80 only, where no service declares HTTP: nothing listens there (VS-MESH-03)", h)
			}
		}
	}
}
