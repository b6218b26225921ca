package envoy

import (
	"encoding/json"
	"path/filepath"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Control is a control plane from which an Envoy gets everything that changes, over one ADS stream.
type Control struct {
	// SotW is ADS as it was before delta. It does not know virtual hosts that are resources of their own.
	SotW bool
	// Socket is the path of the control plane's Unix socket; else Host and Port are its address.
	Socket string
	Host   string
	Port   uint32
	// TLS are the files of the connection, as Envoy sees them; nil: without.
	TLS *ControlTLS
	// Node is who the Envoy is.
	Node Node
	// LoadReports makes Envoy report requests and errors by cluster to the control plane (LRS).
	LoadReports bool
}

// ControlTLS are the certificates of the connection to a control plane.
type ControlTLS struct {
	// Secrets is the folder of the files of [ControlSecrets], as Envoy sees it. With it, Envoy reads certificates again when
	// they are replaced by renaming; without, once at its start.
	Secrets string
	// Cert and Key are the files of Envoy's own certificate.
	Cert, Key string
	// CA is the file of the authorities that the control plane's certificate is verified with.
	CA string
	// Name is the DNS name that the control plane's certificate must have; "" is Host.
	Name string
}

// Node is an Envoy in the eyes of a control plane.
type Node struct {
	// ID is its name, different for each; Cluster is the name of the fleet that it belongs to.
	ID, Cluster string
	// Locality is region/zone/subzone; missing parts are unknown.
	Locality *corev3.Locality
}

// controlCluster is the name of the control plane among the clusters of an Envoy.
const controlCluster = "waymark-control-plane"

// controlPing is how often an Envoy makes sure that its control plane is there; one that does not answer in controlSilence
// has gone, and another replica is connected to.
const (
	controlPing    = 15 * time.Second
	controlSilence = 10 * time.Second
)

// overADS makes Envoy get a resource from its control plane. Without a limit of time: a listener that opened without its
// routes would answer 404.
func overADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		InitialFetchTimeout:   durationpb.New(0),
	}
}

// controlled adds the control plane to a bootstrap.
func controlled(b *bootstrapv3.Bootstrap, o *Options) {
	c := o.Control
	b.Node.Id, b.Node.Cluster, b.Node.Locality = c.Node.ID, c.Node.Cluster, c.Node.Locality
	service := &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: controlCluster}}}
	api := corev3.ApiConfigSource_DELTA_GRPC
	if c.SotW {
		api = corev3.ApiConfigSource_GRPC
	}
	b.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		AdsConfig: &corev3.ApiConfigSource{
			ApiType: api, TransportApiVersion: corev3.ApiVersion_V3, GrpcServices: []*corev3.GrpcService{service},
			SetNodeOnFirstMessageOnly: true,
		},
		LdsConfig: overADS(), CdsConfig: overADS(),
	}
	if c.LoadReports {
		b.ClusterManager = &bootstrapv3.ClusterManager{LoadStatsConfig: &corev3.ApiConfigSource{
			ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3, GrpcServices: []*corev3.GrpcService{service},
		}}
	}
	b.StaticResources = &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{c.cluster()}}
}

// cluster is where the control plane is. Its name is looked up again and again, since replicas come and go.
func (c *Control) cluster() *clusterv3.Cluster {
	options := &upstreamv3.HttpProtocolOptions{UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
				ConnectionKeepalive: &corev3.KeepaliveSettings{Interval: durationpb.New(controlPing), Timeout: durationpb.New(controlSilence)},
			}},
		},
	}}
	out := &clusterv3.Cluster{
		Name:                          controlCluster,
		ConnectTimeout:                durationpb.New(5 * time.Second),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(options)},
	}
	at := &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: c.Socket}}}
	if c.Socket == "" {
		at = address(c.Host, c.Port)
		out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		out.DnsLookupFamily = clusterv3.Cluster_ALL // whichever family the control plane answers on
	}
	out.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: controlCluster, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: at}}}},
	}}}
	if c.TLS != nil {
		out.TransportSocket = c.transport()
	}
	return out
}

func (c *Control) transport() *corev3.TransportSocket {
	name := c.TLS.Name
	if name == "" {
		name = c.Host
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
	}
	rules := &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
		SanType: tlsv3.SubjectAltNameMatcher_DNS,
		Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
	}}}
	if c.TLS.Secrets == "" {
		if c.TLS.Cert != "" {
			common.TlsCertificates = []*tlsv3.TlsCertificate{c.TLS.pair()}
		}
		rules.TrustedCa = dataSource(c.TLS.CA, nil)
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: rules}
		return transportSocket(tlsSocket, &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: name})
	}
	if c.TLS.Cert != "" {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{c.TLS.secret(controlCertificate)}
	}
	common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext: rules, ValidationContextSdsSecretConfig: c.TLS.secret(controlAuthority),
		},
	}
	return transportSocket(tlsSocket, &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: name})
}

// The names of the secrets of the connection, and of their files.
const (
	controlCertificate = "xds-certificate"
	controlAuthority   = "xds-authority"
)

func (t *ControlTLS) pair() *tlsv3.TlsCertificate {
	return &tlsv3.TlsCertificate{CertificateChain: dataSource(t.Cert, nil), PrivateKey: dataSource(t.Key, nil)}
}

func (t *ControlTLS) secret(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{Path: filepath.Join(t.Secrets, name+".json")}},
	}}
}

// ControlSecrets are the files of [ControlTLS.Secrets], by name: they name the certificates of the connection, and Envoy
// watches the folders of these.
func ControlSecrets(t *ControlTLS) (map[string][]byte, error) {
	all := []*tlsv3.Secret{{Name: controlAuthority, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: dataSource(t.CA, nil)}}}}
	if t.Cert != "" {
		all = append(all, &tlsv3.Secret{Name: controlCertificate, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: t.pair()}})
	}
	out := map[string][]byte{}
	for _, s := range all {
		if err := validate(s); err != nil {
			return nil, err
		}
		packed, err := anypb.New(s)
		if err != nil {
			return nil, err
		}
		text, err := JSON(packed)
		if err != nil {
			return nil, err
		}
		if out[s.Name+".json"], err = json.Marshal(map[string][]json.RawMessage{"resources": {text}}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ControlledBootstrap is what an Envoy starts with that gets everything else from [Options.Control].
func ControlledBootstrap(o Options) (_ *bootstrapv3.Bootstrap, err error) {
	defer catchRefusal(&err)
	b, err := begin(&o)
	if err != nil {
		return nil, err
	}
	controlled(b, &o)
	return b, validate(b)
}
