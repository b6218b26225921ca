package envoy

import (
	"slices"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// StepKind is what a step changes.
type StepKind string

// The kinds of steps, in their order.
const (
	Certificates StepKind = "certificates"
	Endpoints    StepKind = "endpoints"
	Clusters     StepKind = "clusters"
	Routes       StepKind = "routes"
	Plugins      StepKind = "plugin configuration"
	Listeners    StepKind = "listeners"
	Cleanup      StepKind = "what nothing needs any more"
)

// Step is what Envoy takes at once, before the next step.
type Step struct {
	Kind StepKind
	// Set are resources that are new, or that take the place of those with their keys. xDS delivers listeners and clusters as
	// a whole: where one of these types changes, Set has all of the type.
	Set []Resource
	// Remove are keys of resources that nothing needs any more.
	Remove []Key
	// Unreachable is set in a cleanup of routes that no request comes to once the steps before were taken: the filter does
	// not choose them any more. It may wait for the next change, and Envoy builds its routes once instead of twice.
	Unreachable bool
}

// Sequence is the steps from one set of resources to another, such that no request is lost or misrouted on the way: make
// before break. Each step may be taken once Envoy has taken the one before. Where nothing changes there are no steps. With
// nothing in force, old is empty or nil.
//
// The hard case is a rule that changes its outcome. Workers take a new plugin configuration one by one, so for a while one
// of them chooses the old outcome and another one the new:
//
//	certificates, endpoints    before anything names them
//	clusters                   old and new together
//	routes                     with the outcomes of both
//	plugin configuration       now a worker may choose an outcome of either
//	listeners                  a new one finds routes and plugin configuration in place, and opens beside the old ones: a
//	                           port that is bound to another address is another listener
//	cleanup                    old listeners; then routes with the new outcomes alone; then clusters that no route names
func Sequence(old, next *Resources) []Step {
	if old == nil {
		old = &Resources{}
	}
	both := union(old.OfType(ClusterType), next.OfType(ClusterType))
	listening := union(old.OfType(ListenerType), next.OfType(ListenerType))
	routes := changeRoutes(old, next)
	steps := []Step{
		{Kind: Certificates, Set: changed(old, next, SecretType)},
		{Kind: Endpoints, Set: changed(old, next, EndpointType)},
		{Kind: Clusters, Set: whole(old.OfType(ClusterType), both)},
		{Kind: Routes, Set: routes.merged, Remove: routes.taken},
		{Kind: Plugins, Set: changed(old, next, ExtensionType)},
		{Kind: Listeners, Set: whole(old.OfType(ListenerType), listening)},
		{Kind: Cleanup, Set: whole(listening, next.OfType(ListenerType)), Remove: gone(old, next, ListenerType)},
		{Kind: Cleanup, Set: routes.final, Remove: append(routes.left, gone(old, next, RouteType, ExtensionType)...), Unreachable: routes.unreachable},
		{Kind: Cleanup, Set: whole(both, next.OfType(ClusterType)), Remove: gone(old, next, ClusterType, EndpointType, SecretType)},
	}
	return slices.DeleteFunc(steps, func(s Step) bool { return len(s.Set) == 0 && len(s.Remove) == 0 })
}

// routeChange is how routes and virtual hosts change.
type routeChange struct {
	merged, final []Resource // of the two steps
	taken, left   []Key      // virtual hosts: those whose domains others have taken, and those that go at the end
	unreachable   bool       // see [Step.Unreachable]
}

func changeRoutes(old, next *Resources) routeChange {
	c := routeChange{unreachable: true}
	set := func(k Key, before, during, after proto.Message) {
		if before == nil || !proto.Equal(before, during) {
			c.merged = append(c.merged, Resource{k, during})
		}
		if !proto.Equal(during, after) {
			c.final = append(c.final, Resource{k, after})
		}
	}
	hostsBefore, hostsAfter := hostsByRoutes(old), hostsByRoutes(next)
	for _, r := range next.OfType(RouteType) {
		after := r.Message.(*routev3.RouteConfiguration)
		before, _ := old.Get(r.Key).(*routev3.RouteConfiguration)
		if before == nil {
			set(r.Key, nil, after, after)
		} else {
			during := proto.CloneOf(after)
			var unreachable bool
			during.VirtualHosts, unreachable = mergeHosts(before.VirtualHosts, after.VirtualHosts)
			c.unreachable = c.unreachable && unreachable
			set(r.Key, before, during, after)
		}
		during, unreachable := mergeHosts(hostsBefore[r.Name], hostsAfter[r.Name])
		c.unreachable = c.unreachable && unreachable
		there := map[Key]bool{}
		for _, h := range during {
			k := KeyOf(h)
			there[k] = true
			before, after := old.Get(k), next.Get(k)
			if after != nil {
				set(k, before, h, after)
				continue
			}
			set(k, before, h, h)
			c.left = append(c.left, k)
		}
		for _, h := range hostsBefore[r.Name] {
			if k := KeyOf(h); !there[k] {
				c.taken = append(c.taken, k)
			}
		}
	}
	for _, r := range old.OfType(RouteType) {
		if next.Get(r.Key) == nil {
			for _, h := range hostsBefore[r.Name] {
				c.left = append(c.left, KeyOf(h))
			}
		}
	}
	return c
}

// hostsByRoutes are the virtual hosts that are resources of their own, by route configuration.
func hostsByRoutes(r *Resources) map[string][]*routev3.VirtualHost {
	out := map[string][]*routev3.VirtualHost{}
	for _, h := range r.OfType(HostType) {
		name := RoutesOfHost(h.Name)
		out[name] = append(out[name], h.Message.(*routev3.VirtualHost))
	}
	return out
}

// changed are the resources of a type that are new or not as they were.
func changed(old, next *Resources, t Type) []Resource {
	return slices.DeleteFunc(slices.Clone(next.OfType(t)), func(r Resource) bool {
		before := old.Get(r.Key)
		return before != nil && proto.Equal(before, r.Message)
	})
}

// whole is the list after a change, or nil where it is as it was.
func whole(before, after []Resource) []Resource {
	if slices.EqualFunc(before, after, func(a, b Resource) bool { return a.Key == b.Key && proto.Equal(a.Message, b.Message) }) {
		return nil
	}
	return after
}

// gone are the keys of the resources that next has not.
func gone(old, next *Resources, types ...Type) []Key {
	var out []Key
	for _, t := range types {
		for _, r := range old.OfType(t) {
			if next.Get(r.Key) == nil {
				out = append(out, r.Key)
			}
		}
	}
	return out
}

// union is what is in force of clusters or listeners while others change from old to next: all of next, and those of old that
// next has not. Of two with one name the one of next counts.
func union(old, next []Resource) []Resource {
	known := map[Key]bool{}
	for _, c := range next {
		known[c.Key] = true
	}
	return slices.Concat(next, slices.DeleteFunc(slices.Clone(old), func(c Resource) bool { return known[c.Key] }))
}

// mergeHosts are the virtual hosts that are in force while the plugin configuration changes from old to next: each worker
// changes when it gets to it, so each domain must have the outcomes of both. An id means the same in both, since it is a hash of what the
// outcome does. Domains that next has not keep their virtual host.
//
// A domain whose routes Envoy matches by itself in next changes at once, with nothing to wait for. One that the filter
// decides for from now on, and did not before, is matched as before until the filter knows it, which takes seconds where
// the module must be loaded first. So domains that were matched by different lists stand in virtual hosts of their own.
//
// What was in force for a domain that only one of the two has is that of the wildcard that covers it in the other:
//
//	old   *.test             next   *.test, a.test     the filter may choose an outcome of *.test for a.test as well
//
// unreachable: what they have more than next is not reached once the filter has its next configuration.
func mergeHosts(old, next []*routev3.VirtualHost) (out []*routev3.VirtualHost, unreachable bool) {
	unreachable = true
	before, after := byDomain(old), byDomain(next)
	names := map[string]bool{}
	for _, h := range next {
		names[h.Name] = true
	}
	add := func(h *routev3.VirtualHost) { out = append(out, h) }
	another := func(h *routev3.VirtualHost) *routev3.VirtualHost {
		h = proto.CloneOf(h)
		h.Domains = nil
		for names[h.Name] {
			h.Name += ".old" // names are distinct
		}
		names[h.Name] = true
		return h
	}
	for _, h := range next {
		if outcomes(h) == nil || !slices.ContainsFunc(h.Domains, func(d string) bool { return before.serving(d) != h }) {
			add(h) // matched by Envoy, or as it was
			continue
		}
		merged := proto.CloneOf(h)
		add(merged)
		hosts := map[*routev3.VirtualHost]*routev3.VirtualHost{} // by the one that is fallen back to, or nil
		merged.Domains = nil
		for _, d := range h.Domains {
			from := before.serving(d)
			var list *routev3.VirtualHost
			if from != nil && outcomes(from) == nil {
				list = from
			}
			to := hosts[list]
			if to == nil {
				if to = merged; len(hosts) > 0 {
					to = another(h)
					add(to)
				}
				hosts[list] = to
				if list != nil && fallBack(to, list) {
					unreachable = false
				}
			}
			to.Domains = append(to.Domains, d)
			if from != nil {
				addOutcomes(to, from)
			}
		}
	}
	for _, h := range old {
		var kept *routev3.VirtualHost
		for _, d := range h.Domains {
			n := after.serving(d)
			if after[d] != nil || n != nil && outcomes(h) != nil && outcomes(n) == nil { // the filter is about to forget it
				continue
			}
			if kept == nil {
				kept = another(h)
				add(kept)
				unreachable = unreachable && outcomes(h) != nil
			}
			kept.Domains = append(kept.Domains, d)
			if n != nil && outcomes(h) != nil {
				addOutcomes(kept, n)
			}
		}
	}
	return out, unreachable
}

// domains are virtual hosts by their domains.
type domains map[string]*routev3.VirtualHost

func byDomain(hosts []*routev3.VirtualHost) domains {
	all := domains{}
	for _, h := range hosts {
		for _, d := range h.Domains {
			all[d] = h
		}
	}
	return all
}

// serving is the virtual host for requests to a domain: its own, else that of the longest wildcard that covers it, or nil.
func (all domains) serving(domain string) *routev3.VirtualHost {
	h := all[domain]
	for i := 1; i <= len(domain) && h == nil; i++ {
		h = all["*"+domain[i:]]
	}
	return h
}

// fallBack matches as another virtual host does where the filter wrote nothing, and reports whether there is anything to
// match. Upgrades are refused all the same.
func fallBack(to, from *routev3.VirtualHost) bool {
	upgrades := to.Matcher.OnNoMatch.GetMatcher()
	switch {
	case from.Matcher != nil:
		upgrades.OnNoMatch = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: from.Matcher}}
	case len(from.Routes) > 0:
		upgrades.OnNoMatch = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
			Action: &xdscorev3.TypedExtensionConfig{Name: "routes", TypedConfig: pack(&routev3.RouteList{Routes: from.Routes})},
		}}
	default:
		return false
	}
	return true
}

// outcomes are the entries of a virtual host that the filter decides for; nil for all others.
func outcomes(h *routev3.VirtualHost) map[string]*xdsmatcherv3.Matcher_OnMatch {
	if h.GetMatcher().GetMatcherTree().GetInput().GetName() != outcomeInput {
		return nil
	}
	return h.GetMatcher().GetMatcherTree().GetExactMatchMap().GetMap()
}

// addOutcomes gives a virtual host those of another that it has not.
func addOutcomes(to, from *routev3.VirtualHost) {
	for id, action := range outcomes(from) {
		if outcomes(to)[id] == nil {
			outcomes(to)[id] = action
		}
	}
}
