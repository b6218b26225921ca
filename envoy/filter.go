package envoy

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	wasmfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// filterName is the name of our filter, its root and its VM, in configuration, logs and statistics.
const filterName = "waymark"

// pluginName is the name of the filter in front of one set of routes, and of its configuration.
func pluginName(rc *plan.RouteConfig) string { return PluginName(rc.Name) }

// PluginName is that name, by the one of the routes.
func PluginName(routeConfig string) string { return filterName + "." + routeConfig }

// discoveredFilter is the filter whose configuration comes from elsewhere. Until there is a good one, its listener does not
// open.
func discoveredFilter(name string, source *corev3.ConfigSource) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
		ConfigSource: source,
		TypeUrls:     []string{typeURL(&wasmfilterv3.Wasm{}), typeURL(placeholder())},
	}}}
}

// placeholder is a filter that does nothing, in the place of ours.
func placeholder() *mutationv3.HeaderMutation { return &mutationv3.HeaderMutation{} }

// wasmFilter loads the module, and lets it do what it needs to, see [Capabilities]. A VM that died is made anew for the next
// request; until then requests get 503: the filter never fails open.
func (b *builder) wasmFilter(rc *plan.RouteConfig) (*wasmfilterv3.Wasm, error) {
	config, err := b.strategies[rc].pluginConfig(rc, &b.Options)
	if err != nil {
		return nil, err
	}
	vm := &wasmv3.VmConfig{
		VmId:    filterName,
		Runtime: "envoy.wasm.runtime.v8",
		Code: &corev3.AsyncDataSource{Specifier: &corev3.AsyncDataSource_Local{Local: &corev3.DataSource{
			Specifier: &corev3.DataSource_Filename{Filename: b.Module},
		}}},
	}
	plugin := &wasmv3.PluginConfig{
		Name:          filterName,
		RootId:        filterName,
		FailurePolicy: wasmv3.FailurePolicy_FAIL_RELOAD,
		Vm:            &wasmv3.PluginConfig_VmConfig{VmConfig: vm},
		Configuration: typed(wrapperspb.String(string(config))),
	}
	if b.Behaviour().RestrictsCapabilitiesOfVM {
		vm.CapabilityRestrictionConfig = capabilities()
	} else {
		//nolint:staticcheck // older versions do not know its successor
		plugin.CapabilityRestrictionConfig = capabilities()
	}
	return &wasmfilterv3.Wasm{Config: plugin}, nil
}

// outcomeInput names the header that a map of outcomes is searched by.
const outcomeInput = "outcome"

// outcomeMap finds a route by the header that the filter wrote, by one hash look-up. A missing or unknown id has no
// route: 404; see [refusedUpgrades] for the one exception. Outcomes that occur twice, because a VirtualService is reached
// through two servers, are one entry.
func outcomeMap(h *plan.VirtualHost, o *Options) *xdsmatcherv3.Matcher {
	routes := map[string]*xdsmatcherv3.Matcher_OnMatch{}
	for _, r := range h.Rules {
		for _, out := range r.Outcomes {
			if routes[out.ID] != nil {
				continue
			}
			routes[out.ID] = &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Action{
				Action: &xdscorev3.TypedExtensionConfig{Name: "route", TypedConfig: typed(outcomeRoute(r, out, o))},
			}}
		}
	}
	if len(routes) == 0 {
		return nil // an empty virtual host: Envoy refuses an empty map, and a host without routes answers 404
	}
	return &xdsmatcherv3.Matcher{
		MatcherType: &xdsmatcherv3.Matcher_MatcherTree_{MatcherTree: &xdsmatcherv3.Matcher_MatcherTree{
			Input: &xdscorev3.TypedExtensionConfig{Name: outcomeInput, TypedConfig: typed(&matcherv3.HttpRequestHeaderMatchInput{HeaderName: routing.RouteHeader})},
			TreeType: &xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap{
				ExactMatchMap: &xdsmatcherv3.Matcher_MatcherTree_MatchMap{Map: routes},
			},
		}},
		OnNoMatch: &xdsmatcherv3.Matcher_OnMatch{OnMatch: &xdsmatcherv3.Matcher_OnMatch_Matcher{Matcher: refusedUpgrades()}},
	}
}
