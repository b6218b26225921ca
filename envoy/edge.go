package envoy

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// Profile is what a proxy is protected against.
type Profile string

// The profiles. Edge is Istio's EDGE profile of connection settings, for a proxy that strangers reach. Plain leaves limits
// to Envoy's own defaults, as Istio does without a profile. What both have in common: a client's x-envoy-* headers and
// certificate headers are dropped, and paths are normalised by the level of --path-normalization.
const (
	ProfileEdge  Profile = "edge"
	ProfilePlain Profile = "plain"
)

// Limits bound what one client costs. Zero is Envoy's own default, which is no limit unless a field says otherwise.
type Limits struct {
	// Buffer is how much of a body, or of what a slow reader does not take, one connection keeps, in bytes. A request with a
	// longer body is not tried again. 0: Envoy's 1 MiB.
	Buffer uint32
	// Idle ends connections without a request. 0: Envoy's hour.
	Idle time.Duration
	// StreamIdle ends requests on which nothing has moved, websockets among them. 0: never, as in Istio (GW-HCM-07).
	StreamIdle time.Duration
	// Request is how long a client may take to send a whole request.
	Request time.Duration
	// RequestHeaders is how long a client may take to send the headers of one.
	RequestHeaders time.Duration
	// Streams are requests at the same time on one connection of HTTP/2. 0: Envoy's number, which depends on its version.
	Streams uint32
	// StreamWindow and ConnectionWindow are what a client of HTTP/2 may send unasked, in bytes. 0: Envoy's sizes.
	StreamWindow, ConnectionWindow uint32
	// Connections of all clients together. A further one is closed at once.
	Connections uint64
}

// edgeLimits are those of Istio's EDGE profile (pilot/pkg/networking/core/connection_settings.go), and one that Istio does
// not have: the connections, with which Envoy's guide for edge proxies begins.
var edgeLimits = Limits{
	Buffer: 32 << 10, Idle: time.Hour, StreamIdle: 5 * time.Minute, Request: 5 * time.Minute, RequestHeaders: time.Minute,
	Streams: 100, StreamWindow: 64 << 10, ConnectionWindow: 1 << 20, Connections: 50_000,
}

// Limits are those of a profile.
func (p Profile) Limits() Limits {
	if p == ProfilePlain {
		return Limits{}
	}
	return edgeLimits
}

// Intake is what this Envoy does with a request before any rule: what paths and underscores leave open is the profile's.
// Istio's EDGE merges slashes and redirects escaped ones at any level of path normalisation, and refuses underscores.
func (o *Options) Intake() effect.Intake {
	in := effect.Intake{Minor: o.Minor, Paths: o.Paths, Underscores: o.Underscores, TrustedHops: o.TrustedHops}
	if o.Profile != ProfilePlain {
		in.Paths.EscapedSlashes = cmp.Or(in.Paths.EscapedSlashes, effect.RedirectEscapedSlashes)
		in.Underscores = cmp.Or(in.Underscores, effect.RejectUnderscores)
		if in.Paths.MergeSlashes == nil {
			merge := true
			in.Paths.MergeSlashes = &merge
		}
	}
	return in
}

func (o *Options) limits() Limits {
	if o.Limits != nil {
		return *o.Limits
	}
	return o.Profile.Limits()
}

// underscoreActions are Envoy's words for underscores in names of headers.
var underscoreActions = map[effect.Underscores]corev3.HttpProtocolOptions_HeadersWithUnderscoresAction{
	effect.RejectUnderscores: corev3.HttpProtocolOptions_REJECT_REQUEST,
	effect.DropUnderscores:   corev3.HttpProtocolOptions_DROP_HEADER,
}

// slashActions are Envoy's words for escaped slashes.
var slashActions = map[effect.EscapedSlashes]hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction{
	effect.KeepEscapedSlashes:     hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
	effect.RejectEscapedSlashes:   hcmv3.HttpConnectionManager_REJECT_REQUEST,
	effect.RedirectEscapedSlashes: hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
	effect.ForwardEscapedSlashes:  hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD,
}

// harden sets what protects a connection manager.
func harden(m *hcmv3.HttpConnectionManager, rc *plan.RouteConfig, o *Options) {
	m.XffNumTrustedHops = o.TrustedHops
	m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET // GW-HCM-02
	m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
		Subject: wrapperspb.Bool(true), Cert: true, Dns: true, Uri: true,
	}
	in, limits := o.Intake(), o.limits()
	m.NormalizePath = wrapperspb.Bool(in.Paths.Normalizes())
	m.MergeSlashes = in.Paths.Merges()
	m.PathWithEscapedSlashesAction = slashActions[in.Paths.Escaped()]
	common := &corev3.HttpProtocolOptions{
		IdleTimeout:                  optionalSeconds(limits.Idle),
		HeadersWithUnderscoresAction: underscoreActions[in.Underscores],
	}
	if !proto.Equal(common, &corev3.HttpProtocolOptions{}) {
		m.CommonHttpProtocolOptions = common
	}
	m.StreamIdleTimeout = durationpb.New(streamIdle(limits.StreamIdle, rc))
	m.RequestTimeout = optionalSeconds(limits.Request)
	m.RequestHeadersTimeout = optionalSeconds(limits.RequestHeaders)
	h2 := &corev3.Http2ProtocolOptions{
		MaxConcurrentStreams:        optionalNumber(limits.Streams),
		InitialStreamWindowSize:     optionalNumber(limits.StreamWindow),
		InitialConnectionWindowSize: optionalNumber(limits.ConnectionWindow),
	}
	if !proto.Equal(h2, &corev3.Http2ProtocolOptions{}) {
		m.Http2ProtocolOptions = h2
	}
}

// streamIdle is at least the longest delay that a rule injects, and a minute more: else the delay would end in a time-out.
// 0 is no limit, and stays none.
func streamIdle(limit time.Duration, rc *plan.RouteConfig) time.Duration {
	if limit == 0 {
		return 0
	}
	anyRule(rc, func(r *plan.Rule) bool {
		if r.Fault != nil && r.Fault.Delay != nil {
			limit = max(limit, r.Fault.Delay.Duration+time.Minute)
		}
		return false
	})
	return limit
}

func optionalSeconds(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func optionalNumber(n uint32) *wrapperspb.UInt32Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt32(n)
}

// overloadManager refuses connections beyond a number, before they cost memory. The admin interface is not counted.
func overloadManager(o *Options) *overloadv3.OverloadManager {
	most := o.limits().Connections
	if most == 0 {
		return nil
	}
	return &overloadv3.OverloadManager{ResourceMonitors: []*overloadv3.ResourceMonitor{{
		Name: "envoy.resource_monitors.global_downstream_max_connections",
		ConfigType: &overloadv3.ResourceMonitor_TypedConfig{
			TypedConfig: typed(&connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(most)}),
		},
	}}}
}
