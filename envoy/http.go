package envoy

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// connectionManager speaks HTTP with clients.
func (b *builder) connectionManager(rc *plan.RouteConfig) (*hcmv3.HttpConnectionManager, error) {
	filters, err := b.httpFilters(rc)
	if err != nil {
		return nil, err
	}
	m := &hcmv3.HttpConnectionManager{
		StatPrefix:       StatName(rc.Name),
		CodecType:        hcmv3.HttpConnectionManager_AUTO,
		HttpFilters:      filters,
		AccessLog:        httpAccessLog(&b.Options),
		UseRemoteAddress: wrapperspb.Bool(true), // every client is external: its x-envoy-* headers are dropped
		UpgradeConfigs:   []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: allowedUpgrade}},
	}
	if source := b.source(Key{RouteType, rc.Name}); source != nil {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: rc.Name, ConfigSource: source}}
	} else {
		m.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: b.routeConfiguration(rc)}
	}
	harden(m, rc, &b.Options)
	return m, nil
}

// httpFilters in Istio's order: ours, then gRPC-Web, then faults, then CORS, then the router (VS-FAULT-01). Those for faults
// and CORS are there whether or not a rule needs them, as in Istio: else the first rule that does would change the filter
// chain, and Envoy closes the connections of a chain that changes. They cost a request 2 µs (docs/performance.md).
//
// With --matching auto the next change of rules may need our filter, or no longer need it. So where rules change, its place
// is always there, with a filter that does nothing while ours is not needed: a connection that is open has the chain with
// which it began for minutes, and without our filter there would be no route for its requests.
func (b *builder) httpFilters(rc *plan.RouteConfig) ([]*hcmv3.HttpFilter, error) {
	s := b.strategies[rc]
	var out []*hcmv3.HttpFilter
	add := func(name string, config proto.Message) {
		out = append(out, &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed(config)}})
	}
	if s.placed {
		name := pluginName(rc)
		if source := b.source(Key{ExtensionType, name}); source != nil {
			out = append(out, discoveredFilter(name, source))
		} else {
			config, err := b.wasmFilter(rc)
			if err != nil {
				return nil, err
			}
			add(name, config)
		}
	}
	if rc.GRPCWeb {
		add("envoy.filters.http.grpc_web", &grpcwebv3.GrpcWeb{})
	}
	fault := &faultv3.HTTPFault{}
	if s.placed {
		fault = headerFault()
	}
	add(faultFilter, fault)
	add(corsFilter, &corsv3.Cors{})
	add(routerFilter, &routerv3.Router{})
	return out, nil
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
