package suite

import (
	"slices"
	"strconv"
	"strings"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// Destination is where requests go, or are expected to go.
type Destination struct {
	// Host is the host of a service. An expected host without a dot is a service in the namespace of the rule, as in a
	// VirtualService.
	Host   string `json:"host,omitempty"`
	Subset string `json:"subset,omitempty"`
	// Port is the port of the service; 0 of an expected destination is any.
	Port uint32 `json:"port,omitempty"`
	// Cluster is the name of an Envoy cluster that does not stand for a service.
	Cluster string `json:"cluster,omitempty"`
	// Weight is the part of the requests, in proportion to the other destinations; 0 of an only one.
	Weight uint32 `json:"weight,omitempty"`
}

// String is host:port with the subset: reviews.default.svc.cluster.local:9080 (v1).
func (d Destination) String() string {
	out := d.Host + d.Cluster
	if d.Port != 0 {
		out += ":" + strconv.Itoa(int(d.Port))
	}
	if d.Subset != "" {
		out += " (" + d.Subset + ")"
	}
	return out
}

// ofCluster is the destination that a cluster's name stands for: outbound|9080|v1|reviews.default.svc.cluster.local.
func ofCluster(name string) Destination {
	parts := strings.Split(name, "|")
	if len(parts) == 4 && parts[0] == "outbound" {
		if port, err := strconv.ParseUint(parts[1], 10, 16); err == nil {
			return Destination{Host: parts[3], Subset: parts[2], Port: uint32(port)}
		}
	}
	return Destination{Cluster: name}
}

// destinations are those of an answer, each cluster once; nil if the request has none.
func (a *answer) destinations() (out []Destination) {
	if a.verdict.Kind != verdict.Route && a.verdict.Kind != verdict.TCP {
		return nil
	}
	index := map[string]int{}
	for _, c := range a.verdict.Clusters {
		i, known := index[c.Name]
		if !known {
			i = len(out)
			index[c.Name] = i
			out = append(out, ofCluster(c.Name))
		}
		out[i].Weight += c.Weight
	}
	if len(out) == 1 {
		out[0].Weight = 0
	}
	return out
}

// isAt reports whether an expected destination is the actual one.
func (a *answer) isAt(want, got Destination) bool {
	if want.Cluster != "" {
		return want.Cluster == got.Cluster
	}
	host := names.FullName(want.Host, a.namespace(), a.rules.ClusterDomain)
	return strings.EqualFold(host, got.Host) && want.Subset == got.Subset && (want.Port == 0 || want.Port == got.Port)
}

// namespace is the namespace in which short names of the rule are completed.
func (a *answer) namespace() string {
	if a.taken.Rule == nil {
		return ""
	}
	return a.taken.Rule.Origin.Namespace
}

// share compares expected destinations with those of an answer: the same ones, in any order, with weights in the same
// proportion. Without any expected weight, weights are not compared.
func (a *answer) share(want, got []Destination) bool {
	if len(want) != len(got) {
		return false
	}
	sum := func(all []Destination) (n uint64) {
		for _, d := range all {
			n += uint64(d.Weight)
		}
		return n
	}
	wanted, had := sum(want), sum(got)
	left := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(left, func(g Destination) bool {
			return a.isAt(w, g) && (wanted == 0 || len(want) == 1 || uint64(w.Weight)*had == uint64(g.Weight)*wanted)
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// indexes are the indexes of the rule's destinations that are among some.
func (a *answer) indexes(of []Destination) (out []int) {
	if a.taken.Rule == nil || a.taken.Rule.Route == nil {
		return nil
	}
	for i, d := range a.taken.Rule.Route.Destinations {
		if slices.ContainsFunc(of, func(w Destination) bool { return a.isAt(w, ofCluster(d.Cluster)) }) {
			out = append(out, i)
		}
	}
	return out
}

// goesTo is the check that a request goes to some destinations.
func goesTo(field string, want []Destination) Check {
	return Check{
		Field: field, Want: want,
		look: func(a *answer) (any, bool) {
			got := a.destinations()
			return orOutcome(a, got), len(got) > 0 && a.share(want, got)
		},
		reaches: func(a *answer) []int { return a.indexes(want) },
	}
}

// orOutcome is the destinations of an answer, or in words what happens instead.
func orOutcome(a *answer, got []Destination) any {
	if len(got) == 0 {
		return a.outcome()
	}
	return got
}

// mirror is a destination that gets a copy of requests.
type mirror struct {
	Destination
	Percent float64 `json:"percent"`
}

// mirrorsOf are the mirrors of a rule.
func mirrorsOf(r *plan.Rule) (out []mirror) {
	if r == nil || r.Route == nil {
		return nil
	}
	for _, m := range r.Route.Mirrors {
		p := plan.Percentage{Numerator: m.Numerator, Denominator: m.Denominator}
		out = append(out, mirror{ofCluster(m.Cluster), percentOf(p)})
	}
	return out
}

// percentOf is a percentage as a number up to 100.
func percentOf(p plan.Percentage) float64 { return float64(p.PerMillion()) / 10_000 }

// mirrorsTo is the check of the mirrors of a rule; without any, there must be none.
func mirrorsTo(field string, want []mirror) Check {
	return Check{Field: field, Want: orEmpty(want), look: func(a *answer) (any, bool) {
		got := mirrorsOf(a.taken.Rule)
		left := slices.Clone(got)
		for _, w := range want {
			i := slices.IndexFunc(left, func(g mirror) bool { return a.isAt(w.Destination, g.Destination) && w.Percent == g.Percent })
			if i < 0 {
				return orEmpty(got), false
			}
			left = slices.Delete(left, i, i+1)
		}
		return orEmpty(got), len(left) == 0
	}}
}

// orEmpty is a list that is written as [] in JSON if there is nothing in it.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
