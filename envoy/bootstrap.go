package envoy

import (
	"net/netip"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
)

// Matching is who chooses a rule.
type Matching string

// The kinds of matching.
const (
	// MatchingFilter lets the Wasm filter choose; the routes stand in a map.
	MatchingFilter Matching = "filter"
	// MatchingNative lets Envoy try the routes one by one, as Istio does; there is no filter.
	MatchingNative Matching = "native"
	// MatchingAuto takes for each virtual host what costs least: a list, Envoy's own tree, or the filter.
	MatchingAuto Matching = "auto"
)

// Options describe the Envoy that is written for.
type Options struct {
	Matching Matching
	// Minor is the minor version of Envoy 1.
	Minor int
	// Module is the path of the filter's module, as Envoy sees it.
	Module string
	// AdminPort of the admin interface on the loopback address; 0 leaves it out.
	AdminPort uint32
	// AdminSocket is the path of a Unix socket for the admin interface, which only its owner can open, instead of a port.
	AdminSocket string
	// Paths say how paths are normalised, before the profile fills in what they leave open; see [Options.Intake].
	Paths effect.Paths
	// Labels and Namespace of the proxy, written into the node's metadata.
	Labels    map[string]string
	Namespace string
	// Proxy is gateway or sidecar, written there, too; "" is not written.
	Proxy string
	// Dir is the folder of the files that Envoy watches, as Envoy sees it; see [Path].
	Dir string
	// Control is the control plane that delivers what changes, by ADS; Dir is empty then. Without Dir and Control,
	// everything is in the bootstrap, and certificates are read from their own paths at the start.
	Control *Control
	// Profile is what the proxy is protected against; the zero value is ProfileEdge.
	Profile Profile
	// Underscores in names of headers; "" is the profile's answer.
	Underscores effect.Underscores
	// Limits on clients; nil are the profile's.
	Limits *Limits
	// TrustedHops are the proxies in front of this one whose x-forwarded-for is believed (GW-HCM-01).
	TrustedHops uint32
	// Costs decide with MatchingAuto; nil are those that were measured.
	Costs *Costs
	// AccessLog is the form of the access log; the zero value is JSON.
	AccessLog AccessLogFormat
	// NoRouteStats leaves out the statistics of each rule and destination.
	NoRouteStats bool
}

// Behaviour of this Envoy, where versions differ.
func (o *Options) Behaviour() version.Behaviour { return version.Of(o.Minor) }

// The keys of a node's metadata, those of Istio's proxies where they have one.
const (
	LabelsMetadata    = "LABELS"
	NamespaceMetadata = "NAMESPACE"
	ProxyMetadata     = "PROXY" // gateway or sidecar
)

// begin is the part of a bootstrap that is the same for all plans: who the proxy is, where it is administered, and what
// protects it.
func begin(o *Options) (*bootstrapv3.Bootstrap, error) {
	labels := map[string]any{}
	for k, v := range o.Labels {
		labels[k] = v
	}
	fields := map[string]any{LabelsMetadata: labels, NamespaceMetadata: o.Namespace}
	if o.Proxy != "" {
		fields[ProxyMetadata] = o.Proxy
	}
	metadata, err := structpb.NewStruct(fields)
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "waymark", Cluster: "waymark", Metadata: metadata},

		TypedDnsResolverConfig: &corev3.TypedExtensionConfig{Name: "envoy.network.dns_resolver.cares", TypedConfig: typed(resolver())},

		LayeredRuntime:  runtime(),
		OverloadManager: overloadManager(o),
		StatsConfig:     statsConfig(),
	}
	switch {
	case o.AdminSocket != "":
		b.Admin = &bootstrapv3.Admin{IgnoreGlobalConnLimit: true, Address: &corev3.Address{Address: &corev3.Address_Pipe{
			Pipe: &corev3.Pipe{Path: o.AdminSocket, Mode: 0o600},
		}}}
	case o.AdminPort != 0:
		b.Admin = &bootstrapv3.Admin{Address: address("127.0.0.1", o.AdminPort), IgnoreGlobalConnLimit: true}
	}
	return b, nil
}

// resolver gives up a name server that does not answer after about two seconds and a half. With Envoy's own five seconds
// and four tries, an Envoy opens its listeners 56 seconds late where the name of one cluster cannot be resolved.
func resolver() *caresv3.CaresDnsResolverConfig {
	return &caresv3.CaresDnsResolverConfig{QueryTimeoutSeconds: wrapperspb.UInt64(1), QueryTries: wrapperspb.UInt32(2)}
}

// runtime sets what Istio's own bootstrap sets: a fragment in a path is cut off instead of answered with 400, and
// regular expressions may be as large as RE2 allows.
func runtime() *bootstrapv3.LayeredRuntime {
	layer, err := structpb.NewStruct(map[string]any{
		"envoy.reloadable_features.http_reject_path_with_fragment": false,
		"re2.max_program_size.error_level":                         32768,
	})
	if err != nil {
		panic("envoy: " + err.Error()) // constants
	}
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "waymark", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: layer},
	}}}
}

func address(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// listenAddress is an address to bind. All addresses of IPv6 are those of IPv4, too, as other programs have it.
func listenAddress(ip string, port uint32) *corev3.Address {
	out := address(ip, port)
	if parsed, err := netip.ParseAddr(ip); err == nil && parsed == netip.IPv6Unspecified() {
		out.GetSocketAddress().Ipv4Compat = true
	}
	return out
}

// JSON is a message as text that is the same for the same message.
func JSON(m proto.Message) ([]byte, error) {
	text := make([]byte, 0, 4*proto.Size(m)) // as long as it will be, about
	return protojson.MarshalOptions{Multiline: true, Indent: " ", UseProtoNames: true}.MarshalAppend(text, m)
}
