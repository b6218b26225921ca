package translate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// server is one server of a Gateway, with the values that Istio derives from it.
type server struct {
	*istio.Server
	gateway *resource.Gateway
	index   int      // in the Gateway's servers
	hosts   []string // with the namespace written out (VS-GW-01)
	port    uint32   // the port that is bound
	routes  string   // the name of the route configuration; "" for a server that does not speak HTTP

	lists    map[string]*names.HostList // results of hostsFor, by namespace; nil before its first call
	sameList bool                       // no host is limited to a namespace, so all namespaces use the list of ""
}

// hostsFor are the hosts that VirtualServices of a namespace may use, without their namespace (VS-GW-01).
func (s *server) hostsFor(namespace string) *names.HostList {
	if s.lists == nil {
		s.lists = map[string]*names.HostList{}
		s.sameList = !slices.ContainsFunc(s.hosts, func(h string) bool { return strings.Contains(h, "/") })
	}
	if s.sameList {
		namespace = ""
	}
	if s.lists[namespace] == nil {
		s.lists[namespace] = names.NewHostList(names.HostsFor(s.hosts, namespace))
	}
	return s.lists[namespace]
}

// origin is the origin of the server: its entry in its Gateway.
func (s *server) origin() plan.Origin {
	return plan.Origin{Kind: "Gateway", Namespace: s.gateway.Namespace, Name: s.gateway.Name, Path: plan.EntryPath("servers", s.index)}
}

func (s *server) field(rest string) string {
	return "spec.servers[" + strconv.Itoa(s.index) + "]" + rest
}

// isPassthrough reports whether the server forwards TLS without terminating it. A tls block without mode is PASSTHROUGH
// (GW-PROTO-04).
func (s *server) isPassthrough() bool { return s.Tls != nil && names.IsPassthrough(s.Tls) }

// isTLS reports whether connections to the server are TLS. The tls block of a plain HTTP server only has httpsRedirect.
func (s *server) isTLS() bool { return s.Tls != nil && !names.SpeaksHTTP(s.Port.Protocol) }

// routesName is Istio's name for the server's route configuration; "" for a server that does not speak HTTP
// (GW-RDS-01).
func (s *server) routesName() string {
	bind := ""
	if s.Bind != "" {
		bind = "." + s.Bind
	}
	switch p := names.ParseProtocol(s.Port.Protocol); {
	case p == names.ProtocolHTTP:
		return "http." + strconv.Itoa(int(s.port)) + bind
	case p == names.ProtocolHTTPS && s.Tls != nil && !s.isPassthrough():
		return "https." + strconv.Itoa(int(s.Port.Number)) + "." + s.Port.Name + "." + s.gateway.Name + "." + s.gateway.Namespace + bind
	default:
		return ""
	}
}

// socket is the address and protocol that a group of servers shares.
type socket struct {
	port     uint32
	protocol string
	bind     string
}

// mergedServers are the servers that share a socket, in order.
type mergedServers struct {
	socket
	servers []*server
}

// merged is the servers of all Gateways without those that were left out, grouped by socket and by route configuration.
type merged struct {
	sockets []*mergedServers
	routes  map[string][]*server // by the name of the route configuration
}

// first is the first server of a port.
func (m *merged) first(port uint32) *server {
	i := slices.IndexFunc(m.sockets, func(s *mergedServers) bool { return s.port == port })
	return m.sockets[i].servers[0]
}

// mergeServers merges the servers of all Gateways of one proxy, in order. A server that conflicts with an earlier one
// on the same port is left out with a warning or an error; Istio leaves it out without one (GW-MERGE-01 to
// GW-MERGE-05).
func mergeServers(gateways []*resource.Gateway, bound func(*istio.Server) uint32, leftOut diag.Severity, out *output) *merged {
	m := &merged{routes: map[string][]*server{}}
	plain := map[uint32]socket{}                // the first plaintext server of a port
	usedPorts := map[uint32]bool{}              // ports that have a server
	tlsBinds := map[uint32][]string{}           // binds of the later servers on a port whose first server is TLS
	tlsHosts := map[uint32]map[string]*server{} // by port and host: the last server with the host
	find := func(k socket) *mergedServers {
		for _, s := range m.sockets {
			if s.socket == k {
				return s
			}
		}
		return nil
	}
	join := func(k socket, s *server) {
		if found := find(k); found != nil {
			found.servers = append(found.servers, s)
		} else {
			m.sockets = append(m.sockets, &mergedServers{k, []*server{s}})
		}
	}
	for _, gw := range gateways {
		for i, spec := range gw.Spec.Servers {
			if spec.GetPort() == nil {
				continue // validation refuses it
			}
			s := &server{Server: spec, gateway: gw, index: i, hosts: names.NormalizeServerHosts(spec.Hosts, gw.Namespace), port: bound(spec)}
			s.routes = s.routesName()
			skip := func(severity diag.Severity, by *server, field, format string, args ...any) {
				out.findings.Add(severity, "", gw.Object, s.field(field), format, args...)
				out.drop(gw.Object, s.origin(), plan.DropServerConflict, by.origin())
			}
			if s.Tls != nil {
				if tlsHosts[s.port] == nil {
					tlsHosts[s.port] = map[string]*server{}
				}
				known := tlsHosts[s.port]
				if j := slices.IndexFunc(s.hosts, func(h string) bool { return known[h] != nil && known[h].Bind == s.Bind }); j >= 0 {
					skip(diag.Warning, known[s.hosts[j]], ".hosts", "host %q is served on port %d by %s already; the whole server is skipped (GW-MERGE-03)", s.hosts[j], s.port, known[s.hosts[j]].gateway)
					continue
				}
				for _, h := range s.hosts {
					known[h] = s
				}
			}
			k := socket{s.port, s.Port.Protocol, s.Bind}
			first, isPlain := plain[s.port]
			switch {
			case !usedPorts[s.port]:
				usedPorts[s.port] = true
				if !s.isTLS() {
					plain[s.port] = k
				}
				join(k, s)
			case isPlain:
				here, there := names.ParseProtocol(k.protocol), names.ParseProtocol(first.protocol)
				compatible := here == names.ProtocolHTTP && there == names.ProtocolHTTP
				if !compatible && first.bind == k.bind {
					skip(leftOut, find(first).servers[0], ".port.protocol", "port %d speaks %s already; a server with %s on it is skipped (GW-MERGE-02)", s.port, first.protocol, k.protocol)
					continue
				}
				if first.bind != k.bind {
					join(k, s)
				} else {
					join(first, s)
				}
			default:
				if s.routes != "" && len(m.routes[s.routes]) > 0 {
					skip(diag.Warning, m.routes[s.routes][0], ".port.name", "another server has the port name %q already; this one is skipped", s.Port.Name)
					continue
				}
				newBind := !slices.Contains(tlsBinds[s.port], s.Bind)
				if newBind {
					tlsBinds[s.port] = append(tlsBinds[s.port], s.Bind)
				}
				if s.Tls == nil && !newBind {
					skip(leftOut, m.first(s.port), ".port.protocol", "port %d is used by a TLS server already; a server without tls on it is skipped", s.port)
					continue
				}
				join(k, s)
			}
			m.routes[s.routes] = append(m.routes[s.routes], s)
		}
	}
	return m
}
