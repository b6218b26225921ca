package envoy

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// routeConfiguration has the virtual hosts. The headers by which the filter speaks to Envoy are dropped from every
// external request before any filter runs, so that a client cannot choose a route even where the filter is gone.
func (b *builder) routeConfiguration(rc *plan.RouteConfig) *routev3.RouteConfiguration {
	out := &routev3.RouteConfiguration{
		Name:                           rc.Name,
		ValidateClusters:               wrapperspb.Bool(false), // an unknown cluster answers 503, as in Istio (VS-SPLIT-03)
		IgnorePortInHostMatching:       true,                   // VS-GW-04
		MaxDirectResponseBodySizeBytes: wrapperspb.UInt32(1 << 20),
		InternalOnlyHeaders:            routing.DecisionHeaders[:],
	}
	if source := b.source(Key{Type: HostType}); source != nil {
		out.Vhds = &routev3.Vhds{ConfigSource: source}
		return out
	}
	for _, h := range rc.VirtualHosts {
		out.VirtualHosts = append(out.VirtualHosts, virtualHost(rc, h, b.strategies[rc], &b.Options))
	}
	return out
}

// HostName is the name of a virtual host that is a resource of its own. Envoy finds the route configuration by what is in
// front of the first slash (VHDS), so [plan.RouteConfig.Name] has none.
func HostName(routeConfig, host string) string { return routeConfig + "/" + host }

// RoutesOfHost is the name of the route configuration of such a virtual host.
func RoutesOfHost(name string) string {
	routes, _, _ := strings.Cut(name, "/")
	return routes
}

func virtualHost(rc *plan.RouteConfig, h *plan.VirtualHost, s *strategies, o *Options) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: h.Name, Domains: h.Domains, IncludeRequestAttemptCount: true, RequestHeadersToRemove: routing.DecisionHeaders[:]}
	if h.RequireTLS {
		out.RequireTls = routev3.VirtualHost_ALL
	}
	switch s.of[h] {
	case StrategyFilter:
		out.Matcher = outcomeMap(h, o)
		return out
	case StrategyTree:
		out.Matcher = s.trees[h].matcher()
	default:
		for _, r := range h.Rules {
			out.Routes = append(out.Routes, nativeRoute(r, o))
		}
	}
	if s.placed {
		// Where Envoy matches by itself, our filter does not run, and nobody's headers make a fault.
		out.TypedPerFilterConfig = map[string]*anypb.Any{
			pluginName(rc): typed(&routev3.FilterConfig{Disabled: true}), faultFilter: typed(&faultv3.HTTPFault{}),
		}
	}
	return out
}
