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

// service is a destination that is known: a Kubernetes Service, or one host of a ServiceEntry.
type service struct {
	host      string
	namespace string
	ports     []servicePort
	// alias is the name that an external-name Service stands for (VS-SPLIT-04).
	alias string
	// exactly one of these is set
	kubernetes *resource.Service
	entry      *resource.ServiceEntry
}

type servicePort struct {
	name     string
	number   uint32
	target   uint32 // the port of the endpoints; 0 where it has a name
	named    string // the name of the target port
	protocol string // as declared; "" where it is not
	index    int    // in the resource's ports
}

// speaksHTTP says that a port declares HTTP or one of its kin.
func (p servicePort) speaksHTTP() bool { return names.SpeaksHTTP(p.protocol) }

// isUndeclared says that a port declares no protocol.
func (p servicePort) isUndeclared() bool {
	return !slices.Contains(names.KnownProtocols, strings.ToUpper(p.protocol))
}

// registry finds services by host.
type registry struct {
	services map[string]*service
	// aliases are the hosts of the external-name Services that stand for a host in the end.
	aliases map[string][]string
	// owned are the services by host and namespace; they are asked first where namespace says in which one.
	owned     map[ownedHost]*service
	namespace string
}

type ownedHost struct{ host, namespace string }

// newRegistry collects the services that a namespace may use. A Kubernetes Service wins over a ServiceEntry of the same
// host; among ServiceEntries those that are exported to the namespace alone come first, then the oldest does (SE-08).
func newRegistry(r *resource.Set, namespace, domain string) *registry {
	x := &registry{services: map[string]*service{}, aliases: map[string][]string{}, owned: map[ownedHost]*service{}}
	for _, s := range r.Services {
		if names.VisibilityTo(namespace, s.Namespace, exportAnnotation(s)) != names.Hidden {
			x.add(kubernetesService(s, domain))
		}
	}
	for _, e := range orderServiceEntries(r.ServiceEntries, namespace) {
		for _, host := range e.Spec.Hosts {
			x.add(entryService(e, host))
		}
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

// exportAnnotation is the exportTo of a Kubernetes Service, which has no such field.
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

// add keeps the first service of a host. Ports of further ServiceEntries join it where they describe the same service.
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

// describes says whether two ServiceEntries of one host are parts of one service.
func (s *service) describes(other *service) bool {
	if s.entry == nil || other.entry == nil || s.namespace != other.namespace {
		return false
	}
	a, b := s.entry, other.entry
	return a.Spec.Resolution == b.Spec.Resolution && maps.Equal(a.Labels, b.Labels) && sameSet(a.Spec.ExportTo, b.Spec.ExportTo) &&
		maps.Equal(a.Spec.WorkloadSelector.GetLabels(), b.Spec.WorkloadSelector.GetLabels())
}

// from is what the rules of a namespace's VirtualServices mean by a host: the service of their own namespace, where it
// has one of that host (VS-SPLIT-02).
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

// find returns the service of a host, or nil.
func (reg *registry) find(host string) *service {
	if s := reg.owned[ownedHost{host, reg.namespace}]; s != nil {
		return s
	}
	return reg.services[host]
}

// all are the services, by the alphabet of their hosts.
func (reg *registry) all() []*service {
	return slices.SortedFunc(maps.Values(reg.services), func(a, b *service) int { return strings.Compare(a.host, b.host) })
}

// on are the services that have a port, as if they had no other, by their hosts in lower case. A sidecar works out each of
// its ports with such a view.
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

// follow is the host at the end of a chain of external-name Services; of a circle it is one in it, which has an alias.
func (reg *registry) follow(host string) string {
	for range reg.services { // no chain is longer, unless it is a circle
		s := reg.find(host)
		if s == nil || s.alias == "" {
			break
		}
		host = s.alias
	}
	return host
}

// port finds a port by its number. A UDP port is never a destination.
func (s *service) port(number uint32) (servicePort, bool) {
	i := slices.IndexFunc(s.ports, func(p servicePort) bool { return p.number == number && p.protocol != "UDP" })
	if i < 0 {
		return servicePort{}, false
	}
	return s.ports[i], true
}

// object is the resource that a service comes from.
func (s *service) object() *resource.Object {
	if s.kubernetes != nil {
		return s.kubernetes.Object
	}
	return s.entry.Object
}

// isHeadless says that a Kubernetes Service has no address of its own, so that clients connect to its endpoints.
func (s *service) isHeadless() bool {
	return s.kubernetes != nil && s.alias == "" && s.kubernetes.Spec.ClusterIP == core.ClusterIPNone
}

// addresses are the service's own (VIPs): IP addresses, and of ServiceEntries networks, too.
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

// portOf is the port that a destination means: its own, else the only one of its service, else the declared port of the
// listener (VS-SPLIT-02).
func (reg *registry) portOf(d *istio.Destination, declared uint32) uint32 {
	if d.GetPort() != nil {
		return d.GetPort().GetNumber()
	}
	if s := reg.find(d.GetHost()); s != nil && len(s.ports) == 1 {
		return s.ports[0].number
	}
	return declared
}

// clusterRef says which cluster a destination means.
type clusterRef struct {
	host, subset string
	port         uint32
}

// name is Istio's: outbound|port|subset|host (VS-SPLIT-01), and that of no cluster for a destination without a host
// (VS-SPLIT-11).
func (c clusterRef) name() string {
	if c.host == "" {
		return "UnknownService"
	}
	return "outbound|" + strconv.Itoa(int(c.port)) + "|" + c.subset + "|" + c.host
}

func (reg *registry) cluster(d *istio.Destination, declared uint32) clusterRef {
	return clusterRef{reg.follow(d.GetHost()), d.GetSubset(), reg.portOf(d, declared)}
}

// sendsToOriginal says that a sidecar does not choose an endpoint of the service, but lets a connection go where its
// client wanted to: to a headless Service, and to a ServiceEntry of resolution NONE (SE-02).
func (s *service) sendsToOriginal() bool {
	return s.isHeadless() || s.entry != nil && s.entry.Spec.Resolution == istio.ServiceEntry_NONE
}
