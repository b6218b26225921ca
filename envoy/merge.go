package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
)

// MergeClusters is what stands while routes change from old to next: all of next, and those of old that are no more. Of
// two with one name the one of next counts.
func MergeClusters(old, next []*clusterv3.Cluster) []*clusterv3.Cluster {
	known := map[string]bool{}
	for _, c := range next {
		known[c.Name] = true
	}
	out := append([]*clusterv3.Cluster{}, next...)
	for _, c := range old {
		if !known[c.Name] {
			out = append(out, c)
		}
	}
	return out
}

// MergeRoutes is what stands while the plugin configuration changes from old to next: each worker changes when it gets
// to it, so each domain must have the outcomes of both. An id means the same in both, since it is a hash of what the
// outcome does. Domains that are no more keep their virtual host.
//
// A domain whose routes Envoy matches by itself in next changes at once, with nothing to wait for. One that the filter
// decides for from now on, and did not before, is matched as before until the filter knows it.
func MergeRoutes(old, next *routev3.RouteConfiguration) *routev3.RouteConfiguration {
	out := proto.Clone(next).(*routev3.RouteConfiguration)
	if old == nil {
		return out
	}
	owner := map[string]*routev3.VirtualHost{} // by domain
	names := map[string]bool{}
	for _, h := range out.VirtualHosts {
		names[h.Name] = true
		for _, d := range h.Domains {
			owner[d] = h
		}
	}
	for _, h := range old.VirtualHosts {
		var left []string
		for _, d := range h.Domains {
			o := owner[d]
			switch {
			case o == nil:
				left = append(left, d)
			case outcomes(o) == nil: // matched by Envoy
			case outcomes(h) != nil:
				addOutcomes(o, h)
			default:
				fallBack(o, h)
			}
		}
		if len(left) > 0 {
			kept := proto.Clone(h).(*routev3.VirtualHost)
			kept.Domains = left
			for names[kept.Name] {
				kept.Name += ".old" // names are distinct
			}
			names[kept.Name] = true
			out.VirtualHosts = append(out.VirtualHosts, kept)
		}
	}
	return out
}

// fallBack matches as another virtual host does where the filter wrote nothing. Upgrades are refused all the same.
func fallBack(to, from *routev3.VirtualHost) {
	upgrades := to.Matcher.OnNoMatch.GetMatcher()
	if upgrades.OnNoMatch != nil {
		return // another domain of the host brought it
	}
	if from.Matcher != nil {
		upgrades.OnNoMatch = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: from.Matcher}}
	} else if len(from.Routes) > 0 {
		upgrades.OnNoMatch = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
			Action: &xdscorev3.TypedExtensionConfig{Name: "routes", TypedConfig: typed(&routev3.RouteList{Routes: from.Routes})},
		}}
	}
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
