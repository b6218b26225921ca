package envoy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

// Profile says what a proxy is protected against.
type Profile string

// The profiles. Edge is Istio's EDGE profile of connection settings, for a proxy that strangers reach. Plain leaves limits
// to Envoy's own defaults, as Istio does without a profile. What both have in common: a client's x-envoy-* headers and
// certificate headers are dropped, and paths are normalised as --path-normalization says.
const (
	ProfileEdge  Profile = "edge"
	ProfilePlain Profile = "plain"
)

// DefaultMaxConnections is what Envoy's guide for edge proxies begins with.
const DefaultMaxConnections = 50_000

// The limits of the edge profile, Istio's (pilot/pkg/networking/core/connection_settings.go).
const (
	edgeBuffer           = 32 << 10
	edgeIdle             = time.Hour
	edgeStreamIdle       = 5 * time.Minute
	edgeRequest          = 5 * time.Minute
	edgeHeaders          = time.Minute
	edgeStreams          = 100
	edgeStreamWindow     = 64 << 10
	edgeConnectionWindow = 1 << 20
)

func (o *Options) edge() bool { return o.Profile != ProfilePlain }

// harden sets what protects a connection manager. A stream may be idle as long as the longest delay that a rule injects,
// and a minute more: else the delay would end in a timeout.
func harden(m *hcmv3.HttpConnectionManager, rc *plan.RouteConfig, o *Options) {
	m.XffNumTrustedHops = o.TrustedHops
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET // GW-HCM-02
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
		Subject: wrapperspb.Bool(true), Cert: true, Dns: true, Uri: true,
	}
	if !o.edge() {
		return
	}
	idle := edgeStreamIdle
	anyRule(rc, func(r *plan.Rule) bool {
		if r.Fault != nil && r.Fault.Delay != nil {
			idle = max(idle, r.Fault.Delay.Duration+time.Minute)
		}
		return false
	})
	m.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{
		IdleTimeout:                  durationpb.New(edgeIdle),
		HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_REJECT_REQUEST,
	}
	m.StreamIdleTimeout = durationpb.New(idle)
	m.RequestTimeout = durationpb.New(edgeRequest)
	m.RequestHeadersTimeout = durationpb.New(edgeHeaders)
	m.Http2ProtocolOptions = &corev3.Http2ProtocolOptions{
		MaxConcurrentStreams:        wrapperspb.UInt32(edgeStreams),
		InitialStreamWindowSize:     wrapperspb.UInt32(edgeStreamWindow),
		InitialConnectionWindowSize: wrapperspb.UInt32(edgeConnectionWindow),
	}
}

// overloadManager refuses connections beyond a number, before they cost memory. The admin interface is not counted.
func overloadManager(o *Options) *overloadv3.OverloadManager {
	if !o.edge() {
		return nil
	}
	most := o.MaxConnections
	if most == 0 {
		most = DefaultMaxConnections
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name: "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{
			TypedConfig: typed(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(most)}),
		},
	}}}
}
