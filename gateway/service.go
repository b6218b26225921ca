package gateway

import (
	"maps"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
)

// service is a destination that is known: a Kubernetes Service, or one host of a ServiceEntry.
type service struct {
	host      string
	namespace string
	ports     []servicePort
	// alias is the name that an external-name Service stands for (VS-SPLIT-04).
	alias string
	// exactly one of these is set
	kubernetes *Service
	entry      *ServiceEntry
}

type servicePort struct {
	name     string
	number   uint32
	target   uint32 // the port of the endpoints; 0 where it has a name
	named    string // the name of the target port
	protocol string
}

// registry finds services by host.
type registry struct {
	services map[string]*service
	// owned are the services by host and namespace; they are asked first where namespace says in which one.
	owned     map[ownedHost]*service
	namespace string
}

type ownedHost struct{ host, namespace string }

// newRegistry collects the services that a namespace may use. A Kubernetes Service wins over a ServiceEntry of the same
// host; among ServiceEntries those that are exported to the namespace alone come first, then the oldest does (SE-08).
func newRegistry(r *Resources, namespace, domain string) *registry {
	x := &registry{services: map[string]*service{}, owned: map[ownedHost]*service{}}
	for _, s := range r.Services {
		x.add(kubernetesService(s, domain))
	}
	for _, e := range orderServiceEntries(r.ServiceEntries, namespace) {
		for _, host := range e.Spec.Hosts {
			x.add(entryService(e, host))
		}
	}
	return x
}

// add keeps the first service of a host. Ports of further ServiceEntries join it where they describe the same service.
func (x *registry) add(s *service) {
	if key := (ownedHost{s.host, s.namespace}); x.owned[key] == nil {
		x.owned[key] = s
	}
	switch first := x.services[s.host]; {
	case first == nil:
		x.services[s.host] = s
	case first.describes(s):
		joined := *first
		joined.ports = slices.Clone(first.ports)
		for _, p := range s.ports {
			if !slices.ContainsFunc(joined.ports, func(q servicePort) bool { return q.number == p.number }) {
				joined.ports = append(joined.ports, p)
			}
		}
		x.services[s.host] = &joined
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
func (x *registry) from(namespace string) *registry {
	return &registry{services: x.services, owned: x.owned, namespace: namespace}
}

func kubernetesService(s *Service, domain string) *service {
	out := &service{host: s.Name + "." + s.Namespace + ".svc." + domain, namespace: s.Namespace, kubernetes: s}
	for _, p := range s.Spec.Ports {
		protocol := ""
		if p.AppProtocol != nil {
			protocol = *p.AppProtocol
		} else {
			protocol, _, _ = strings.Cut(p.Name, "-")
		}
		sp := servicePort{name: p.Name, number: uint32(p.Port), target: uint32(p.TargetPort.IntValue()), protocol: protocol}
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

func entryService(e *ServiceEntry, host string) *service {
	out := &service{host: host, namespace: e.Namespace, entry: e}
	for _, p := range e.Spec.Ports {
		target := p.GetTargetPort()
		if target == 0 {
			target = p.GetNumber()
		}
		out.ports = append(out.ports, servicePort{name: p.GetName(), number: p.GetNumber(), target: target, protocol: p.GetProtocol()})
	}
	return out
}

// find returns the service of a host, or nil.
func (x *registry) find(host string) *service {
	if s := x.owned[ownedHost{host, x.namespace}]; s != nil {
		return s
	}
	return x.services[host]
}

// portOf is the port that a destination means: its own, else the only one of its service, else the declared port of the
// listener (VS-SPLIT-02).
func (x *registry) portOf(d *istio.Destination, declared uint32) uint32 {
	if d.GetPort() != nil {
		return d.GetPort().GetNumber()
	}
	if s := x.find(d.GetHost()); s != nil && len(s.ports) == 1 {
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
	return "outbound|" + itoa(int(c.port)) + "|" + c.subset + "|" + c.host
}

func (x *registry) cluster(d *istio.Destination, declared uint32) clusterRef {
	c := clusterRef{d.GetHost(), d.GetSubset(), x.portOf(d, declared)}
	if s := x.find(d.GetHost()); s != nil && s.alias != "" {
		c.host = s.alias
	}
	return c
}
