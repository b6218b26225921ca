package translate

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// destinations holds all that rules may send requests to: the services that the proxy knows, with their
// DestinationRules and endpoints. It makes the clusters in two steps: code that names a cluster records it with
// [destinations.reference], and at the end [destinations.clusters] makes the recorded ones.
type destinations struct {
	options  *Options
	missing  func() *hostIndex // made when the first destination is missing
	services *registry
	rules    *destinationRules
	slices   []*resource.EndpointSlice            // by namespace and name, as the entries
	slicesOf map[string][]*resource.EndpointSlice // by namespace/name of their Service
	entries  []*resource.WorkloadEntry
	pods     *podIndex
	secrets  *secretStore
	named    map[clusterRef]*reference
	made     *bound // endpoints of all clusters
	out      *output
}

func newDestinations(r *resource.Set, o *Options, secrets *secretStore, out *output) *destinations {
	ds := &destinations{
		options: o, missing: sync.OnceValue(func() *hostIndex { return newHostIndex(r, o) }), services: newRegistry(r, o), rules: newDestinationRules(r, o),
		slices:  byKey(r.EndpointSlices, func(s *resource.EndpointSlice) *resource.Object { return s.Object }),
		entries: byKey(r.WorkloadEntries, func(e *resource.WorkloadEntry) *resource.Object { return e.Object }),
		pods:    newPodIndex(r.Pods), secrets: secrets, out: out,
		named: map[clusterRef]*reference{}, made: &bound{what: "endpoints", most: maxEndpoints, out: out},
		slicesOf: map[string][]*resource.EndpointSlice{},
	}
	for _, s := range ds.slices {
		of := s.Namespace + "/" + s.Labels[serviceName]
		ds.slicesOf[of] = append(ds.slicesOf[of], s)
	}
	return ds
}

// reference is the first place that names a cluster.
type reference struct {
	object *resource.Object
	field  string
	// missingPort is the severity of the finding if the destination's host has no such port; diag.Error stands for
	// that of everything that is left out.
	missingPort diag.Severity
}

// destination returns the cluster that a destination of a rule refers to, and records where it is named. field is that
// of the destination in the rule's object.
func (ds *destinations) destination(h httpRule, field string, d *istio.Destination, c listenerContext) clusterRef {
	ref := c.services.cluster(d, c.port)
	missingPort := diag.Error
	if d.GetPort() == nil && c.missingPort != "" {
		missingPort = c.missingPort
	}
	ds.reference(ref, h.origin.Object, field, missingPort)
	return ref
}

// reference records a place that names a cluster. The first place is kept, or the first one for which a missing port is
// an error.
func (ds *destinations) reference(c clusterRef, o *resource.Object, field string, missingPort diag.Severity) {
	if known := ds.named[c]; known == nil || known.missingPort != diag.Error && missingPort == diag.Error {
		ds.named[c] = &reference{o, field, missingPort}
	}
}

// clusters makes the clusters that rules name, sorted by name. One that cannot be made is a finding, and its requests get
// a 503, as in Istio (VS-SPLIT-03).
func (ds *destinations) clusters() (out []*plan.Cluster) {
	for ref, at := range ds.named {
		c, why := ds.cluster(ref)
		if why != "" {
			severity := ds.options.leftOut()
			if s := ds.services.serving(ref.host, ref.port); s != nil && at.missingPort != diag.Error {
				if _, ok := s.port(ref.port); !ok {
					severity = at.missingPort
				}
			}
			if ds.options.AssumeDestinations {
				severity = diag.Notice
				out = append(out, &plan.Cluster{Name: ref.name()})
			}
			ds.out.findings.Add(severity, CodeNoDestination, at.object, at.field, "there is no cluster %s: %s", ref.name(), why)
			continue
		}
		n := 0
		for _, l := range c.Localities {
			n += len(l.Endpoints)
		}
		if !ds.made.add(n, at.object, at.field) {
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *plan.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// cluster makes one cluster, or returns the reason why it cannot be made.
func (ds *destinations) cluster(ref clusterRef) (*plan.Cluster, string) {
	s := ds.services.serving(ref.host, ref.port)
	rules := ds.rules.find(ref.host, s)
	c := &plan.Cluster{Name: ref.name(), Rules: rules.names()}
	labels, ok := rules.subsetLabels(ref.subset)
	if !ok {
		return nil, "no DestinationRule for " + ref.host + " defines the subset " + strconv.Quote(ref.subset) + " (defined: " + subsetNames(rules) + ")"
	}
	address, overridden := ds.override(ref)
	var port servicePort
	switch {
	case s != nil:
		if port, ok = s.port(ref.port); !ok && !overridden {
			return nil, "its host has no port " + strconv.Itoa(int(ref.port)) + " (it has " + portNumbers(s) + ")"
		}
	case ds.options.DNSFallback && !overridden && ref.host != "" && ref.subset == "":
		address, overridden = net.JoinHostPort(ref.host, strconv.Itoa(int(ref.port))), true
	case !overridden:
		return nil, ds.missing().missing(ref.host)
	}
	c.HTTP2 = speaksHTTP2(port.protocol)
	var all []workload
	var why string
	switch {
	case overridden:
		all, c.Discovery, why = overriddenEndpoints(address)
	case ds.options.Proxy == SidecarProxy && s.sendsToOriginal():
		c.Discovery = plan.OriginalDestination
	case s.kubernetes != nil:
		all, c.Discovery, why = ds.kubernetesEndpoints(s, port, ref.subset, labels)
	default:
		all, c.Discovery, why = ds.entryEndpoints(s, port)
	}
	if why != "" {
		return nil, why
	}
	if !overridden && c.Discovery != plan.OriginalDestination {
		all = ds.subset(ref, s, all, labels)
	}
	return c, ds.applyPolicy(c, rules, ref, s, all)
}

// applyPolicy fills in the settings of a cluster that come from the DestinationRules of its host. all are the
// endpoints. The result is the reason why the cluster must not be used with them, or "".
func (ds *destinations) applyPolicy(c *plan.Cluster, rules *destinationPolicy, ref clusterRef, s *service, all []workload) string {
	p := rules.policyFor(ref.subset, ref.port)
	p.connections(c)
	p.outliers(c)
	if len(all) > 0 {
		ds.localize(c, all, p)
	}
	p.balance(c)
	var usable bool
	if c.TLS, usable = ds.upstreamTLS(ref, rules, p.tls, s); !usable {
		return "a certificate of " + rules.object().String() + " cannot be used"
	}
	if pp := p.proxyProtocol; pp != nil {
		c.ProxyProtocol = int(pp.Version) + 1
	}
	if p.tunnel != nil {
		ds.out.findings.Add(ds.options.leftOut(), "", rules.object(), "spec.trafficPolicy.tunnel", "tunnels are not executed; there is no cluster %s", c.Name)
		return rules.object().String() + " has a tunnel"
	}
	if p.loadBalancer.GetZoneAwareLbSetting() != nil {
		ds.out.findings.Add(ds.options.leftOut(), "", rules.object(), "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting",
			"zone-aware load balancing is not executed, since it requires knowledge of the proxies in all zones; use localityLbSetting; the cluster is %s", c.Name)
	}
	return ""
}

func portNumbers(s *service) string {
	var all []string
	for _, p := range s.ports {
		all = append(all, strconv.Itoa(int(p.number)))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// speaksHTTP2 reports whether a port's protocol is HTTP/2 from the first byte (SE-07).
func speaksHTTP2(protocol string) bool {
	return names.IsProtocol(protocol, "HTTP2", "GRPC", names.GRPCWeb)
}
