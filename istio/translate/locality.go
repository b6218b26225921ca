package translate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/plan"
)

// workload is an endpoint with what decides between endpoints.
type workload struct {
	plan.Endpoint
	locality string // region/zone/subzone, as far as known
	labels   map[string]string
}

// splitLocality cuts region/zone/subzone.
func splitLocality(s string) (region, zone, subzone string) {
	region, rest, _ := strings.Cut(s, "/")
	zone, subzone, _ = strings.Cut(rest, "/")
	return region, zone, subzone
}

// localities groups workloads by where they are, in the order of their names.
func localities(all []workload) []plan.Locality {
	byName := map[string]*plan.Locality{}
	var names []string
	for _, w := range all {
		l := byName[w.locality]
		if l == nil {
			l = &plan.Locality{}
			l.Region, l.Zone, l.SubZone = splitLocality(w.locality)
			byName[w.locality] = l
			names = append(names, w.locality)
		}
		l.Endpoints = append(l.Endpoints, w.Endpoint)
	}
	slices.Sort(names)
	var out []plan.Locality
	for _, name := range names {
		out = append(out, *byName[name])
	}
	return out
}

// localize puts the workloads into the cluster. Where the proxy is decides which are preferred, but only with outlier
// detection: without it nothing would ever fail over. Istio's own setting is on, so failover by locality is what an
// empty setting means (DR-LOC-01).
func (ds *destinations) localize(c *plan.Cluster, all []workload, p trafficPolicy) {
	setting := p.loadBalancer.GetLocalityLbSetting()
	c.Localities = localities(all)
	if setting != nil && setting.Enabled != nil && !setting.Enabled.GetValue() {
		return
	}
	failover := c.Outlier != nil
	switch {
	case len(setting.GetDistribute()) > 0:
		c.LocalityWeighted = true
		distribute(c, ds.options.Locality, setting.Distribute)
	case failover && len(setting.GetFailoverPriority()) > 0:
		c.LocalityWeighted = true
		c.Localities = byLabels(all, ds.options.Labels, setting.FailoverPriority)
		if len(setting.Failover) > 0 {
			byLocality(c.Localities, ds.options.Locality, setting.Failover)
		}
	case failover:
		c.LocalityWeighted = len(setting.GetFailover()) > 0
		byLocality(c.Localities, ds.options.Locality, setting.GetFailover())
	}
	if c.LocalityWeighted {
		for i := range c.Localities {
			if l := &c.Localities[i]; l.Weight == 0 {
				l.Weight = endpointWeights(l.Endpoints)
			}
		}
	}
}

func endpointWeights(endpoints []plan.Endpoint) uint32 {
	var sum uint32
	for _, e := range endpoints {
		sum += max(e.Weight, 1)
	}
	return sum
}

// takes says whether a rule such as region/zone/* takes a locality; what the rule leaves out is any.
func takesLocality(rule, region, zone, subzone string) bool {
	r, z, s := splitLocality(rule)
	return (r == "*" || r == region) && (z == "*" || z == "" || z == zone) && (s == "*" || s == "" || s == subzone)
}

// distribute gives each locality its share of what comes from the proxy's, and takes out those that get none.
func distribute(c *plan.Cluster, from string, settings []*istio.LocalityLoadBalancerSetting_Distribute) {
	region, zone, subzone := splitLocality(from)
	for _, d := range settings {
		if !takesLocality(d.GetFrom(), region, zone, subzone) {
			continue
		}
		weights := map[int]uint32{}
		for _, to := range slices.Sorted(maps.Keys(d.To)) {
			var taken []int
			var total uint32
			for i, l := range c.Localities {
				if _, done := weights[i]; !done && takesLocality(to, l.Region, l.Zone, l.SubZone) {
					taken = append(taken, i)
					total += endpointWeights(l.Endpoints)
				}
			}
			for _, i := range taken {
				// a wildcard's share is divided between all that it takes
				weights[i] = uint32(math.Ceil(float64(endpointWeights(c.Localities[i].Endpoints)*d.To[to]) / float64(total)))
			}
		}
		var kept []plan.Locality
		for i, l := range c.Localities {
			if w := weights[i]; w > 0 {
				l.Weight = w
				kept = append(kept, l)
			}
		}
		c.Localities = kept
		return
	}
}

// byLocality ranks localities by how much of the proxy's they share; those in a region that the proxy's region does not
// fail over to come last.
func byLocality(all []plan.Locality, from string, settings []*istio.LocalityLoadBalancerSetting_Failover) {
	region, zone, subzone := splitLocality(from)
	for i := range all {
		l := &all[i]
		rank := uint32(3)
		switch {
		case l.Region == region && l.Zone == zone && l.SubZone == subzone:
			rank = 0
		case l.Region == region && l.Zone == zone:
			rank = 1
		case l.Region == region:
			rank = 2
		default:
			for _, f := range settings {
				if f.GetFrom() == region {
					if l.Region != f.GetTo() {
						rank = 4
					}
					break
				}
			}
		}
		l.Priority = l.Priority*5 + rank
	}
	closeGaps(all)
}

// byLabels ranks endpoints by how many of the labels, from the first, they share with the proxy, and keeps them grouped
// by locality.
func byLabels(all []workload, proxy map[string]string, priorities []string) []plan.Locality {
	ranked := map[uint32][]workload{}
	for _, w := range all {
		rank := uint32(0)
		for i, p := range priorities {
			label, want, fixed := strings.Cut(p, "=")
			if !fixed {
				want = proxy[label]
			}
			if w.labels[label] != want {
				rank = uint32(len(priorities) - i)
				break
			}
		}
		ranked[rank] = append(ranked[rank], w)
	}
	var out []plan.Locality
	for rank, group := range ranked {
		for _, l := range localities(group) {
			l.Priority = rank
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b plan.Locality) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.SubZone, b.SubZone))
	})
	closeGaps(out)
	return out
}

// closeGaps numbers the priorities anew: Envoy wants them from 0 on, none left out.
func closeGaps(all []plan.Locality) {
	var used []uint32
	for _, l := range all {
		used = append(used, l.Priority)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	for i := range all {
		n, _ := slices.BinarySearch(used, all[i].Priority)
		all[i].Priority = uint32(n)
	}
}
