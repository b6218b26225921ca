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

// workload is an endpoint with its locality and labels, by which endpoints are selected and ranked.
type workload struct {
	plan.Endpoint
	locality string // region/zone/subzone, as far as known
	labels   map[string]string
	// unlabelled means that the endpoint is a Pod whose labels are not known.
	unlabelled bool
	// forAll means that the endpoint is a host name that stands for all endpoints, so that every subset has it.
	forAll bool
}

// splitLocality splits region/zone/subzone; parts that are missing are "".
func splitLocality(s string) (region, zone, subzone string) {
	region, rest, _ := strings.Cut(s, "/")
	zone, subzone, _ = strings.Cut(rest, "/")
	return region, zone, subzone
}

// localities groups workloads by locality, sorted by its name.
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

// localize puts the workloads into the cluster, grouped by locality, and ranks localities by their distance to the
// proxy. Failover needs outlier detection: without it no endpoint is ever known to have failed, so localities are not
// ranked. Distribution works without it. Istio enables locality load balancing by default, so a missing setting means
// failover by locality (DR-LOC-01).
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

// endpointWeights is the sum of the endpoints' weights; a weight of 0 counts as 1.
func endpointWeights(endpoints []plan.Endpoint) uint32 {
	var sum uint32
	for _, e := range endpoints {
		sum += max(e.Weight, 1)
	}
	return sum
}

// coversLocality reports whether a pattern such as region/zone/* covers a locality; parts that it leaves out match any.
func coversLocality(pattern, region, zone, subzone string) bool {
	r, z, s := splitLocality(pattern)
	return (r == "*" || r == region) && (z == "*" || z == "" || z == zone) && (s == "*" || s == "" || s == subzone)
}

// distribute sets the weight of each locality from the first setting that covers the proxy's locality, and removes the
// localities that get no share.
func distribute(c *plan.Cluster, from string, settings []*istio.LocalityLoadBalancerSetting_Distribute) {
	region, zone, subzone := splitLocality(from)
	for _, d := range settings {
		if !coversLocality(d.GetFrom(), region, zone, subzone) {
			continue
		}
		weights := map[int]uint32{}
		for _, to := range slices.Sorted(maps.Keys(d.To)) {
			var covered []int
			var total uint32
			for i, l := range c.Localities {
				if _, done := weights[i]; !done && coversLocality(to, l.Region, l.Zone, l.SubZone) {
					covered = append(covered, i)
					total += endpointWeights(l.Endpoints)
				}
			}
			for _, i := range covered {
				// the share of a wildcard is divided between the localities that it covers, by their endpoints' weights
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

// byLocality sets the priority of localities by how much of the proxy's locality they share: 0 is the same subzone,
// then the same zone, the same region, other regions. If a setting names the region that the proxy's region fails over
// to, all further regions come last.
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

// byLabels sets the priority of endpoints by how many of the labels, counted from the first, have the same value as
// those of the proxy, or the value that a setting "label=value" gives. The endpoints of each priority are grouped by
// locality.
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

// closeGaps renumbers the priorities, since Envoy requires them to begin at 0 without gaps.
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
