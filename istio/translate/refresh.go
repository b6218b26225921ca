package translate

import (
	"reflect"
	"strconv"
	"strings"

	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// Refresh makes the clusters of a plan anew whose endpoints have changed, without a look at the rules. before is the set
// that the plan was made of, and after one that differs from it in EndpointSlices and Pods alone. ok is false where that
// changes more than endpoints: then the plan must be made anew.
func Refresh(p *plan.Plan, before, after *resource.Set, options Options) (changed []*plan.Cluster, ok bool) {
	touched, ok := touchedServices(before, after)
	if !ok {
		return nil, false
	}
	options = options.WithDefaults()
	out := &output{}
	ds := newDestinations(after, &options, newSecretStore(after, &options, &out.findings), out)
	for _, c := range p.Clusters {
		ref, isRef := parseCluster(c.Name)
		if !isRef {
			continue
		}
		s := ds.services.serving(ref.host, ref.port)
		if s == nil || s.kubernetes == nil || !touched.has(s.kubernetes) {
			continue
		}
		now, why := ds.cluster(ref)
		if why != "" {
			return nil, false
		}
		if reflect.DeepEqual(c, now) {
			continue
		}
		was, is := *c, *now
		was.Localities, is.Localities = nil, nil
		was.TLS, is.TLS = nil, nil // of the same Secrets
		if !reflect.DeepEqual(was, is) {
			return nil, false
		}
		now.TLS = c.TLS
		changed = append(changed, now)
	}
	return changed, !out.tooMuch
}

// parseCluster is the opposite of [clusterRef.name].
func parseCluster(name string) (clusterRef, bool) {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return clusterRef{}, false
	}
	port, err := strconv.ParseUint(parts[1], 10, 32)
	return clusterRef{host: parts[3], subset: parts[2], port: uint32(port)}, err == nil
}

// touched are Services whose endpoints may have changed.
type touched struct {
	services   map[string]bool // namespace/name, of EndpointSlices
	namespaces map[string]bool // of Pods
}

func (t *touched) has(s *resource.Service) bool {
	return t.services[s.Key()] || t.namespaces[s.Namespace]
}

// touchedServices compares two sets. ok is false where a Service has its first EndpointSlice or has lost its last one, where
// the ports of one changed, and where a Pod with named ports did: listeners and the discovery of clusters depend on these.
func touchedServices(before, after *resource.Set) (t touched, ok bool) {
	t = touched{map[string]bool{}, map[string]bool{}}
	served := [2]map[string]bool{{}, {}}
	slicesBefore := map[string]*resource.EndpointSlice{}
	service := func(s *resource.EndpointSlice) string { return s.Namespace + "/" + s.Labels[serviceName] }
	for _, s := range before.EndpointSlices {
		slicesBefore[s.Key()] = s
		served[0][service(s)] = true
	}
	for _, s := range after.EndpointSlices {
		served[1][service(s)] = true
		was := slicesBefore[s.Key()]
		delete(slicesBefore, s.Key())
		switch {
		case was == s:
		case was != nil && (service(was) != service(s) || !reflect.DeepEqual(was.Ports, s.Ports)):
			return t, false
		default:
			t.services[service(s)] = true
		}
	}
	for _, s := range slicesBefore {
		t.services[service(s)] = true
	}
	podsBefore := map[string]*resource.Pod{}
	for _, p := range before.Pods {
		podsBefore[p.Key()] = p
	}
	changed := func(p *resource.Pod) bool {
		t.namespaces[p.Namespace] = true
		return !hasNamedPorts(p)
	}
	for _, p := range after.Pods {
		was := podsBefore[p.Key()]
		delete(podsBefore, p.Key())
		if was != p && (!changed(p) || was != nil && !changed(was)) {
			return t, false
		}
	}
	for _, p := range podsBefore {
		if !changed(p) {
			return t, false
		}
	}
	return t, reflect.DeepEqual(served[0], served[1])
}

func hasNamedPorts(p *resource.Pod) bool {
	for _, c := range p.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name != "" {
				return true
			}
		}
	}
	return false
}
