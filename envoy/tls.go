package envoy

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"waymark.dev/waymark/plan"
)

const tlsSocket = "envoy.transport_sockets.tls"

func transportSocket(name string, m proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: typed(m)}}
}

// downstreamTLS terminates a server's TLS (GW-TLS-02).
func (b *builder) downstreamTLS(t *plan.ServerTLS) *corev3.TransportSocket {
	common := &tlsv3.CommonTlsContext{TlsParams: &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsVersion(t.MinVersion, tlsv3.TlsParameters_TLSv1_2),
		TlsMaximumProtocolVersion: tlsVersion(t.MaxVersion, tlsv3.TlsParameters_TLS_AUTO),
		CipherSuites:              t.Ciphers,
	}}
	if t.HTTP {
		common.AlpnProtocols = []string{"h2", "http/1.1"}
	}
	for _, c := range t.Certificates {
		b.certificate(common, c)
	}
	out := &tlsv3.DownstreamTlsContext{CommonTlsContext: common}
	if t.Authority != nil {
		out.RequireClientCertificate = wrapperspb.Bool(t.RequireClient)
		b.authority(common, t.Authority, &tlsv3.CertificateValidationContext{
			MatchTypedSubjectAltNames: subjectAltNames(t.SubjectAltNames),
			VerifyCertificateSpki:     t.SPKI,
			VerifyCertificateHash:     t.Hashes,
		})
	}
	return transportSocket(tlsSocket, out)
}

var tlsVersions = map[string]tlsv3.TlsParameters_TlsProtocol{
	"TLSV1_0": tlsv3.TlsParameters_TLSv1_0, "TLSV1_1": tlsv3.TlsParameters_TLSv1_1,
	"TLSV1_2": tlsv3.TlsParameters_TLSv1_2, "TLSV1_3": tlsv3.TlsParameters_TLSv1_3,
}

func tlsVersion(name string, otherwise tlsv3.TlsParameters_TlsProtocol) tlsv3.TlsParameters_TlsProtocol {
	if v, ok := tlsVersions[name]; ok {
		return v
	}
	return otherwise
}

// upstreamTLS encrypts a cluster's connections. Names taken from requests are set among the HTTP options (DR-TLS-02).
func (b *builder) upstreamTLS(c *plan.Cluster, options *upstreamv3.HttpProtocolOptions) *corev3.TransportSocket {
	t := c.TLS
	common := &tlsv3.CommonTlsContext{TlsParams: &tlsv3.TlsParameters{
		// as Istio has it; Envoy's own maximum for clients is 1.2
		TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
	}}
	if t.SNI == "" {
		options.UpstreamHttpProtocolOptions = &corev3.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: t.VerifyHost}
	}
	if c.HTTP2 {
		common.AlpnProtocols = []string{"h2"}
	}
	if t.Certificate != nil {
		b.certificate(common, t.Certificate)
	}
	if t.Authority != nil {
		b.authority(common, t.Authority, &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: subjectAltNames(t.SubjectAltNames)})
	}
	return transportSocket(tlsSocket, &tlsv3.UpstreamTlsContext{CommonTlsContext: common, Sni: t.SNI})
}

// certificate adds a certificate: the name of a secret, or the certificate itself.
func (b *builder) certificate(common *tlsv3.CommonTlsContext, c *plan.Credential) {
	if source := b.source(Key{SecretType, c.Name}); source != nil {
		common.TlsCertificateSdsSecretConfigs = append(common.TlsCertificateSdsSecretConfigs, &tlsv3.SdsSecretConfig{Name: c.Name, SdsConfig: source})
		return
	}
	common.TlsCertificates = append(common.TlsCertificates, tlsCertificate(c))
}

// authority adds what peers are verified with.
func (b *builder) authority(common *tlsv3.CommonTlsContext, c *plan.Credential, rules *tlsv3.CertificateValidationContext) {
	if source := b.source(Key{SecretType, c.Name}); source != nil {
		common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext: rules, ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: c.Name, SdsConfig: source},
			},
		}
		return
	}
	trust := trusted(c)
	rules.TrustedCa, rules.Crl = trust.TrustedCa, trust.Crl
	common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: rules}
}

func tlsCertificate(c *plan.Credential) *tlsv3.TlsCertificate {
	return &tlsv3.TlsCertificate{CertificateChain: dataSource(c.CertFile, c.Cert), PrivateKey: dataSource(c.KeyFile, c.Key)}
}

func trusted(c *plan.Credential) *tlsv3.CertificateValidationContext {
	return &tlsv3.CertificateValidationContext{TrustedCa: dataSource(c.CAFile, c.CA), Crl: dataSource(c.CRLFile, c.CRL)}
}

func dataSource(path string, content []byte) *corev3.DataSource {
	switch {
	case path != "":
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
	case len(content) > 0:
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: content}}
	default:
		return nil
	}
}

// subjectAltNames are names of which a certificate must have one, each compared with those of its own type.
func subjectAltNames(names []string) []*tlsv3.SubjectAltNameMatcher {
	var out []*tlsv3.SubjectAltNameMatcher
	for _, name := range names {
		m := &tlsv3.SubjectAltNameMatcher{
			SanType: tlsv3.SubjectAltNameMatcher_DNS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
		}
		if _, err := netip.ParseAddr(name); err == nil {
			m.SanType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
		} else if strings.Contains(name, "://") {
			m.SanType = tlsv3.SubjectAltNameMatcher_URI
		} else if strings.Contains(name, "@") {
			m.SanType = tlsv3.SubjectAltNameMatcher_EMAIL
		}
		out = append(out, m)
	}
	return out
}
