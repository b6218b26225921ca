package translate

import (
	"maps"
	"net/netip"
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
	host       string
	namespace  string
	ports      []servicePort
	visibility names.Visibility // to the proxy's namespace
	// alias is the target of an external-name Service (VS-SPLIT-04); "" for other services.
	alias string
	// exactly one of these is set
	kubernetes *resource.Service
	entry      *resource.ServiceEntry
	// reached are the ports for which another ServiceEntry of the host and namespace has endpoints.
	reached map[uint32]bool
	// parts are the services of several ServiceEntries that this one joins, in order; nil for others.
	parts []*service
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

// registry finds the services that a proxy may use by their hosts.
type registry struct {
	// listed are the services that are visible to the proxy, in order; for a sidecar those of one namespace for each
	// host, see [inScope].
	listed []*service
	byHost map[string][]*service // the same, by host
	// services are the ones that clusters are made from. Of several listed ones with one host, that is the first, or
	// one that joins them.
	services map[string]*service
	// targets are the external names of all external-name Services, and aliases for each host the hosts of those whose
	// chain of external names ends at it. Both ignore exportTo, as Istio does.
	targets map[string]string
	aliases map[string][]string
	// owned are the visible services by host and namespace. Those of namespace are preferred to those of other
	// namespaces.
	owned     map[ownedHost]*service
	namespace string
	// hidden are the services of a sidecar's own namespace that are not exported to it. Rules may name them as
	// destinations all the same.
	hidden map[string]*service
	// whole is the registry of which this one is a view, or nil, see [registry.on].
	whole *registry
}

type ownedHost struct{ host, namespace string }

// newRegistry collects the services that a proxy may use, in the order of [orderServices].
func newRegistry(r *resource.Set, o *Options) *registry {
	x := &registry{
		byHost: map[string][]*service{}, services: map[string]*service{}, targets: map[string]string{},
		owned: map[ownedHost]*service{}, hidden: map[string]*service{},
	}
	all := orderServices(r, o.Namespace, o.ClusterDomain)
	setReached(all)
	for _, s := range all {
		if s.alias != "" {
			x.targets[s.host] = s.alias
		}
		if s.visibility != names.Hidden {
			x.listed = append(x.listed, s)
			prefer(x.owned, ownedHost{s.host, s.namespace}, s)
		} else if o.Proxy == SidecarProxy && s.namespace == o.Namespace {
			prefer(x.hidden, s.host, s)
		}
	}
	if o.Proxy == SidecarProxy {
		x.listed = inScope(x.listed, o.Namespace)
	}
	for _, s := range x.listed {
		x.byHost[s.host] = append(x.byHost[s.host], s)
		x.add(s)
	}
	x.resolveAliases()
	return x
}

// setReached fills in [service.reached] of all services.
func setReached(all []*service) {
	reached := map[ownedHost]map[uint32]bool{}
	for _, s := range all {
		if s.entry == nil {
			continue
		}
		if resolution := s.entry.Spec.Resolution; resolution == istio.ServiceEntry_NONE || resolution == istio.ServiceEntry_STATIC && len(s.entry.Spec.Endpoints) == 0 {
			continue
		}
		key := ownedHost{s.host, s.namespace}
		if reached[key] == nil {
			reached[key] = map[uint32]bool{}
		}
		for _, p := range s.ports {
			reached[key][p.number] = true
		}
	}
	for _, s := range all {
		s.reached = reached[ownedHost{s.host, s.namespace}]
	}
}

// prefer puts a service into a map, unless an earlier one has its key. A Kubernetes Service wins over a ServiceEntry,
// so that nobody can take over the host of a Service that is made later (SE-08).
func prefer[K comparable](in map[K]*service, key K, s *service) {
	if known := in[key]; known == nil || known.kubernetes == nil && s.kubernetes != nil {
		in[key] = s
	}
}

// resolveAliases fills in the aliases of each host, sorted by namespace and host. A chain that is a cycle ends nowhere.
func (reg *registry) resolveAliases() {
	reg.aliases = map[string][]string{}
	for alias, target := range reg.targets {
		if end := reg.follow(target); reg.targets[end] == "" {
			reg.aliases[end] = append(reg.aliases[end], alias)
		}
	}
	for _, list := range reg.aliases {
		slices.SortFunc(list, aliasesByNamespace)
	}
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

// add registers a service as one that clusters are made from, unless its host is registered already. The ports of a
// later ServiceEntry are added to the first one where both describe the same service.
func (reg *registry) add(s *service) {
	first := reg.services[s.host]
	prefer(reg.services, s.host, s)
	if first == nil || !first.describes(s) {
		return
	}
	joined := *first
	joined.ports, joined.parts = slices.Clone(first.ports), append(slices.Clone(first.describedBy()), s)
	for _, p := range s.ports {
		if !slices.ContainsFunc(joined.ports, func(q servicePort) bool { return q.number == p.number }) {
			joined.ports = append(joined.ports, p)
		}
	}
	reg.services[s.host] = &joined
}

// describedBy are the services of the ServiceEntries that a service was joined from, or the service itself.
func (s *service) describedBy() []*service {
	if s.parts != nil {
		return s.parts
	}
	return []*service{s}
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
	return &registry{services: reg.services, targets: reg.targets, owned: reg.owned, namespace: namespace}
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
	if s := reg.services[host]; s != nil {
		return s
	}
	return reg.hidden[host]
}

// serving returns the service that a cluster for a host and port is made from, or nil. If the first service of the host
// does not have the port, that is the last other one that has it. Istio makes no cluster then, though its routes name
// it.
func (reg *registry) serving(host string, port uint32) *service {
	s := reg.find(host)
	if s == nil {
		return nil
	}
	if _, ok := s.port(port); ok {
		return s
	}
	for _, other := range slices.Backward(reg.byHost[host]) {
		if _, ok := other.port(port); ok && other.namespace == s.namespace {
			return other
		}
	}
	return s
}

// on is a view of the services that have a port: each with that port alone, by its host in lower case. Of several with
// one host, the last counts, whichever of them the cluster is made from. A sidecar translates each of its ports with
// such a view.
func (reg *registry) on(port uint32) *registry {
	view := &registry{services: map[string]*service{}, targets: reg.targets, whole: reg}
	for _, s := range reg.listed {
		if p, ok := s.port(port); ok {
			only := *s
			only.ports = []servicePort{p}
			view.services[s.domain()] = &only
		}
	}
	view.listed = slices.SortedFunc(maps.Values(view.services), servicesByHost)
	return view
}

// follow returns the host at the end of a chain of external names. If the chain is a cycle, the result is a host in the
// cycle.
func (reg *registry) follow(host string) string {
	for range reg.targets { // a chain without a cycle is not longer than this
		target, ok := reg.targets[host]
		if !ok {
			break
		}
		host = target
	}
	return host
}

// domain is the host as it is written in virtual hosts: in lower case.
func (s *service) domain() string { return strings.ToLower(s.host) }

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

// name is what Istio calls the service: the name of a Kubernetes Service, the host of a ServiceEntry.
func (s *service) name() string {
	if s.kubernetes != nil {
		return s.kubernetes.Name
	}
	return s.host
}

// isHeadless reports whether a Kubernetes Service has no address of its own, so that clients connect to its endpoints.
func (s *service) isHeadless() bool {
	return s.kubernetes != nil && s.alias == "" && s.kubernetes.Spec.ClusterIP == core.ClusterIPNone
}

// addresses are the service's own addresses (VIPs): IP addresses, and for ServiceEntries also ranges such as
// 10.0.0.0/8. A range of one address is that address.
func (s *service) addresses() []string {
	if s.entry != nil {
		all := slices.Clone(s.entry.Spec.Addresses)
		for i, a := range all {
			if prefix, err := netip.ParsePrefix(a); err == nil && prefix.IsSingleIP() {
				all[i] = prefix.Addr().String()
			}
		}
		return all
	}
	all := s.kubernetes.Spec.ClusterIPs
	if len(all) == 0 {
		all = []string{s.kubernetes.Spec.ClusterIP}
	}
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == "" || a == core.ClusterIPNone })
}

// hasRange reports whether one of the addresses is a range.
func (s *service) hasRange() bool {
	return slices.ContainsFunc(s.addresses(), func(a string) bool { return strings.Contains(a, "/") })
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

// cluster is the cluster of a destination; declared is the port of the listener. Istio follows one external name, and
// only if the external-name Service has the port of the listener. Where that differs from following them all, Istio
// names a cluster that it does not make.
func (reg *registry) cluster(d *istio.Destination, declared uint32) clusterRef {
	host := d.GetHost()
	s := reg.find(host)
	if s == nil && reg.whole != nil {
		s = reg.whole.find(host)
	}
	if s != nil && s.alias != "" {
		host = reg.follow(host)
	}
	return clusterRef{host, d.GetSubset(), reg.portOf(d, declared)}
}

// sendsToOriginal reports whether a sidecar sends requests for the service to the address that the client connected to,
// instead of choosing an endpoint: for a headless Service, and a ServiceEntry with resolution NONE (SE-02).
func (s *service) sendsToOriginal() bool {
	return s.isHeadless() || s.entry != nil && s.entry.Spec.Resolution == istio.ServiceEntry_NONE
}
