package envoy

import (
	"fmt"
	"strings"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// listener serves one address. A chain that would terminate or forward TLS is refused: served as plain HTTP it would
// be a hole, and left out its rules would be lost in silence.
func listener(l *plan.Listener, o *Options) (*listenerv3.Listener, error) {
	out := &listenerv3.Listener{Name: l.Name, Address: address(l.Bind, l.Port)}
	for _, c := range l.Chains {
		switch {
		case c.TLS != nil:
			return nil, fmt.Errorf("%s: listener %s: TLS mode %s is not executed; only the offline commands know it", c.TLS.Server, l.Name, c.TLS.Mode)
		case c.Routes == nil:
			return nil, fmt.Errorf("listener %s: a server that does not speak HTTP is not executed; only the offline commands know it", l.Name)
		}
		chain, err := httpChain(c.Routes, o)
		if err != nil {
			return nil, err
		}
		out.FilterChains = append(out.FilterChains, chain)
	}
	return out, nil
}

func httpChain(rc *plan.RouteConfig, o *Options) (*listenerv3.FilterChain, error) {
	filters, err := httpFilters(rc, o)
	if err != nil {
		return nil, err
	}
	m := &hcmv3.HttpConnectionManager{
		StatPrefix:                   rc.Name,
		CodecType:                    hcmv3.HttpConnectionManager_AUTO,
		RouteSpecifier:               &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routeConfiguration(rc, o)},
		HttpFilters:                  filters,
		AccessLog:                    []*accesslogv3.AccessLog{accessLog()},
		UseRemoteAddress:             wrapperspb.Bool(true), // every client is external: its x-envoy-* headers are dropped
		StreamIdleTimeout:            durationpb.New(0),     // off as in Istio (GW-HCM-07); Envoy's five minutes could cut a delay
		UpgradeConfigs:               []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		NormalizePath:                wrapperspb.Bool(o.Normalization != plan.NormalizeNone),
		MergeSlashes:                 o.Normalization == plan.NormalizeMergeSlashes || o.Normalization == plan.NormalizeDecodeAndMergeSlashes,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
	}
	if o.Normalization == plan.NormalizeDecodeAndMergeSlashes {
		m.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD
	}
	return &listenerv3.FilterChain{
		Name: rc.Name,
		Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: typed(m)},
		}},
	}, nil
}

// httpFilters in Istio's order: ours, then faults, then CORS, then the router (VS-FAULT-01).
func httpFilters(rc *plan.RouteConfig, o *Options) ([]*hcmv3.HttpFilter, error) {
	var out []*hcmv3.HttpFilter
	add := func(name string, config proto.Message) {
		out = append(out, &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed(config)}})
	}
	if o.Matching == MatchingFilter {
		config, err := rc.PluginConfig(o.Era())
		if err != nil {
			return nil, err
		}
		add(filterName, wasmFilter(config, o))
	}
	if hasFault(rc) {
		config := &faultv3.HTTPFault{}
		if o.Matching == MatchingFilter {
			config = headerFault()
		}
		add(faultFilter, config)
	}
	if hasCORS(rc) {
		add(corsFilter, &corsv3.Cors{})
	}
	add(routerFilter, &routerv3.Router{})
	return out, nil
}

func hasFault(rc *plan.RouteConfig) bool {
	return anyRule(rc, func(r *plan.Rule) bool { return r.Fault != nil })
}

func hasCORS(rc *plan.RouteConfig) bool {
	return anyRule(rc, func(r *plan.Rule) bool { return r.CORS != nil })
}

func anyRule(rc *plan.RouteConfig, fits func(*plan.Rule) bool) bool {
	for _, h := range rc.VirtualHosts {
		for _, r := range h.Rules {
			if fits(r) {
				return true
			}
		}
	}
	return false
}

// routeConfiguration holds the virtual hosts. The headers by which the filter speaks to Envoy are dropped from every
// external request before any filter runs, so that a client cannot choose a route even where the filter is gone.
func routeConfiguration(rc *plan.RouteConfig, o *Options) *routev3.RouteConfiguration {
	out := &routev3.RouteConfiguration{
		Name:                           rc.Name,
		ValidateClusters:               wrapperspb.Bool(false), // an unknown cluster answers 503, as in Istio (VS-SPLIT-03)
		IgnorePortInHostMatching:       true,                   // VS-GW-04
		MaxDirectResponseBodySizeBytes: wrapperspb.UInt32(1 << 20),
		InternalOnlyHeaders:            routing.DecisionHeaders[:],
	}
	for _, h := range rc.VirtualHosts {
		out.VirtualHosts = append(out.VirtualHosts, virtualHost(h, o))
	}
	return out
}

func virtualHost(h *plan.VirtualHost, o *Options) *routev3.VirtualHost {
	out := &routev3.VirtualHost{Name: h.Name, Domains: h.Domains, IncludeRequestAttemptCount: true, RequestHeadersToRemove: routing.DecisionHeaders[:]}
	if h.RequireTLS {
		out.RequireTls = routev3.VirtualHost_ALL
	}
	if o.Matching == MatchingNative {
		for _, r := range h.Rules {
			out.Routes = append(out.Routes, nativeRoute(r))
		}
		return out
	}
	out.Matcher = outcomeMap(h)
	return out
}

// accessLog names rule and destination of every request.
func accessLog() *accesslogv3.AccessLog {
	fields := map[string]any{}
	for _, f := range []string{
		"time=%START_TIME%", "method=%REQ(:METHOD)%", "authority=%REQ(:AUTHORITY)%", "path=%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
		"protocol=%PROTOCOL%", "status=%RESPONSE_CODE%", "flags=%RESPONSE_FLAGS%", "details=%RESPONSE_CODE_DETAILS%", "rule=%ROUTE_NAME%",
		"cluster=%UPSTREAM_CLUSTER_RAW%", "upstream=%UPSTREAM_HOST%", "duration_ms=%DURATION%", "request_id=%REQ(X-REQUEST-ID)%",
	} {
		name, value, _ := strings.Cut(f, "=")
		fields[name] = value
	}
	format, err := structpb.NewStruct(fields)
	if err != nil {
		panic("envoy: " + err.Error()) // constants
	}
	return &accesslogv3.AccessLog{
		Name: "envoy.access_loggers.stdout",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: typed(&streamv3.StdoutAccessLog{
			AccessLogFormat: &streamv3.StdoutAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
				Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: format},
			}},
		})},
	}
}
