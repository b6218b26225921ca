package translate

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
)

// service is a Kubernetes Service, or one host of a ServiceEntry.
type service struct {
	host      string
	namespace string
	ports     []servicePort
	// alias is the target of an external-name Service (VS-SPLIT-04); "" for other services.
	alias string
	// exactly one of these is set
	kubernetes *resource.Service
	entry      *resource.ServiceEntry
}

// servicePort is one port of a service.
type servicePort struct {
	name     string
	number   uint32
	target   uint32 // the port of the endpoints; 0 where it is given by name
	named    string // the name of the target port, or ""
	protocol string // as declared; "" where none is
	index    int    // in the resource's ports
}

// speaksHTTP reports whether a port declares HTTP, HTTP2, HTTP_PROXY, GRPC or GRPC-Web.
func (p servicePort) speaksHTTP() bool { return names.SpeaksHTTP(p.protocol) }

// isUndeclared reports whether a port declares no protocol that Istio knows.
func (p servicePort) isUndeclared() bool {
	return !slices.Contains(names.KnownProtocols, strings.ToUpper(p.protocol))
}

// registry finds the services that a namespace may use by their hosts.
type registry struct {
	services map[string]*service
	// aliases are, for each host, the hosts of the external-name Services whose chain of aliases ends at it.
	aliases map[string][]string
	// owned are the services by host and namespace. Those of namespace are preferred to those of other namespaces.
	owned     map[ownedHost]*service
	namespace string
}

type ownedHost struct{ host, namespace string }

// newRegistry collects the services that a namespace may use; [orderServices] decides which of several with one host
// counts (SE-08).
func newRegistry(r *resource.Set, namespace, domain string) *registry {
	x := &registry{services: map[string]*service{}, aliases: map[string][]string{}, owned: map[ownedHost]*service{}}
	for _, s := range orderServices(r, namespace, domain) {
		x.add(s)
	}
	for _, s := range x.all() {
		if s.alias == "" {
			continue
		}
		if end := x.find(x.follow(s.host)); end != nil && end.alias == "" {
			x.aliases[end.host] = append(x.aliases[end.host], s.host)
		}
	}
	return x
}

// exportAnnotation is the exportTo of a Kubernetes Service, which is an annotation since the Service has no such field.
func exportAnnotation(s *resource.Service) []string {
	text, ok := s.Annotations["networking.istio.io/exportTo"]
	if !ok || text == "" {
		return nil
	}
	var out []string
	for _, e := range strings.Split(text, ",") {
		out = append(out, strings.TrimSpace(e))
	}
	return out
}

// add registers a service unless its host is registered already. The ports of a later ServiceEntry are added to the
// first one where both describe the same service.
func (reg *registry) add(s *service) {
	if key := (ownedHost{s.host, s.namespace}); reg.owned[key] == nil {
		reg.owned[key] = s
	}
	switch first := reg.services[s.host]; {
	case first == nil:
		reg.services[s.host] = s
	case first.describes(s):
		joined := *first
		joined.ports = slices.Clone(first.ports)
		for _, p := range s.ports {
			if !slices.ContainsFunc(joined.ports, func(q servicePort) bool { return q.number == p.number }) {
				joined.ports = append(joined.ports, p)
			}
		}
		reg.services[s.host] = &joined
	}
}

// describes reports whether two services come from ServiceEntries that are parts of one service.
func (s *service) describes(other *service) bool {
	if s.entry == nil || other.entry == nil || s.namespace != other.namespace {
		return false
	}
	a, b := s.entry, other.entry
	return a.Spec.Resolution == b.Spec.Resolution && maps.Equal(a.Labels, b.Labels) && sameSet(a.Spec.ExportTo, b.Spec.ExportTo) &&
		maps.Equal(a.Spec.WorkloadSelector.GetLabels(), b.Spec.WorkloadSelector.GetLabels())
}

// from is the registry as the VirtualServices of a namespace use it: of several services with one host, the one in
// their own namespace is found (VS-SPLIT-02).
func (reg *registry) from(namespace string) *registry {
	return &registry{services: reg.services, owned: reg.owned, namespace: namespace}
}

func kubernetesHost(s *resource.Service, domain string) string {
	return s.Name + "." + s.Namespace + ".svc." + domain
}

func kubernetesService(s *resource.Service, domain string) *service {
	out := &service{host: kubernetesHost(s, domain), namespace: s.Namespace, kubernetes: s}
	for i, p := range s.Spec.Ports {
		sp := servicePort{name: p.Name, number: uint32(p.Port), target: uint32(p.TargetPort.IntValue()), protocol: names.KubernetesProtocol(p), index: i}
		if p.TargetPort.StrVal != "" {
			sp.named = p.TargetPort.StrVal
		} else if sp.target == 0 {
			sp.target = sp.number
		}
		out.ports = append(out.ports, sp)
	}
	if s.Spec.Type == core.ServiceTypeExternalName {
		out.alias = s.Spec.ExternalName
	}
	return out
}

func entryService(e *resource.ServiceEntry, host string) *service {
	out := &service{host: host, namespace: e.Namespace, entry: e}
	for i, p := range e.Spec.Ports {
		target := p.GetTargetPort()
		if target == 0 {
			target = p.GetNumber()
		}
		out.ports = append(out.ports, servicePort{name: p.GetName(), number: p.GetNumber(), target: target, protocol: p.GetProtocol(), index: i})
	}
	return out
}

// find returns the service with a host, or nil.
func (reg *registry) find(host string) *service {
	if s := reg.owned[ownedHost{host, reg.namespace}]; s != nil {
		return s
	}
	return reg.services[host]
}

// all are the services, as [servicesByHost] sorts them.
func (reg *registry) all() []*service {
	return slices.SortedFunc(maps.Values(reg.services), servicesByHost)
}

// on is a view of the services that have a port: each with that port alone, by its host in lower case. A sidecar
// translates each of its ports with such a view.
func (reg *registry) on(port uint32) *registry {
	view := &registry{services: map[string]*service{}}
	for _, s := range reg.all() {
		p, ok := s.port(port)
		host := strings.ToLower(s.host)
		if !ok || view.services[host] != nil {
			continue
		}
		only := *s
		only.ports = []servicePort{p}
		view.services[host] = &only
	}
	return view
}

// follow returns the host at the end of a chain of external-name Services. If the chain is a cycle, the result is a
// host in the cycle, whose service has an alias.
func (reg *registry) follow(host string) string {
	for range reg.services { // a chain without a cycle is not longer than this
		s := reg.find(host)
		if s == nil || s.alias == "" {
			break
		}
		host = s.alias
	}
	return host
}

// port returns the port with a number. UDP ports are left out, since no rule can send to them.
func (s *service) port(number uint32) (servicePort, bool) {
	i := slices.IndexFunc(s.ports, func(p servicePort) bool { return p.number == number && p.protocol != "UDP" })
	if i < 0 {
		return servicePort{}, false
	}
	return s.ports[i], true
}

// object is the resource that a service was made from.
func (s *service) object() *resource.Object {
	if s.kubernetes != nil {
		return s.kubernetes.Object
	}
	return s.entry.Object
}

// isHeadless reports whether a Kubernetes Service has no address of its own, so that clients connect to its endpoints.
func (s *service) isHeadless() bool {
	return s.kubernetes != nil && s.alias == "" && s.kubernetes.Spec.ClusterIP == core.ClusterIPNone
}

// addresses are the service's own addresses (VIPs): IP addresses, and for ServiceEntries also ranges such as
// 10.0.0.0/8.
func (s *service) addresses() []string {
	if s.entry != nil {
		return s.entry.Spec.Addresses
	}
	all := s.kubernetes.Spec.ClusterIPs
	if len(all) == 0 {
		all = []string{s.kubernetes.Spec.ClusterIP}
	}
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == "" || a == core.ClusterIPNone })
}

// portOf is the port number of a destination: the one that it names, else the only port of its service, else the
// declared port of the listener (VS-SPLIT-02).
func (reg *registry) portOf(d *istio.Destination, declared uint32) uint32 {
	if d.GetPort() != nil {
		return d.GetPort().GetNumber()
	}
	if s := reg.find(d.GetHost()); s != nil && len(s.ports) == 1 {
		return s.ports[0].number
	}
	return declared
}

// clusterRef identifies a cluster.
type clusterRef struct {
	host, subset string
	port         uint32
}

// name is Istio's name of the cluster: outbound|port|subset|host (VS-SPLIT-01). A destination without a host has the
// name of a cluster that does not exist (VS-SPLIT-11).
func (c clusterRef) name() string {
	if c.host == "" {
		return "UnknownService"
	}
	return "outbound|" + strconv.Itoa(int(c.port)) + "|" + c.subset + "|" + c.host
}

// cluster is the cluster of a destination; declared is the port of the listener.
func (reg *registry) cluster(d *istio.Destination, declared uint32) clusterRef {
	return clusterRef{reg.follow(d.GetHost()), d.GetSubset(), reg.portOf(d, declared)}
}

// sendsToOriginal reports whether a sidecar sends requests for the service to the address that the client connected to,
// instead of choosing an endpoint: for a headless Service, and a ServiceEntry with resolution NONE (SE-02).
func (s *service) sendsToOriginal() bool {
	return s.isHeadless() || s.entry != nil && s.entry.Spec.Resolution == istio.ServiceEntry_NONE
}
