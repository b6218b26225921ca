package translate

import (
	"strconv"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
	"waymark.dev/waymark/plan"
)

// serverTLS translates the settings of a server that terminates TLS (GW-TLS-01 to GW-TLS-03). A certificate that cannot
// be used is left out, and reported; without any, or without the authority that clients need, no connection is served.
func (g *gatewayProxy) serverTLS(s *server) *plan.ServerTLS {
	in := s.Tls
	out := &plan.ServerTLS{
		Mode:            in.Mode.String(),
		SubjectAltNames: in.SubjectAltNames, SPKI: in.VerifyCertificateSpki, Hashes: in.VerifyCertificateHash,
		Ciphers:    names.UsableCiphers(in.CipherSuites),
		MinVersion: tlsVersion(in.MinProtocolVersion),
		MaxVersion: tlsVersion(in.MaxProtocolVersion),
		HTTP:       s.routes != "",
		Server:     s.gateway.Place(s.field(".tls")),
	}
	if !holdsContent(in.CredentialName) {
		out.CredentialName = in.CredentialName
	}
	at := func(field string) credentialUse { return credentialUse{s.gateway.Object, s.field(".tls." + field)} }
	verifies := in.Mode == istio.ServerTLSSettings_MUTUAL || in.Mode == istio.ServerTLSSettings_OPTIONAL_MUTUAL
	out.RequireClient = in.Mode == istio.ServerTLSSettings_MUTUAL
	add := func(c *plan.Credential) {
		if c != nil {
			out.Certificates = append(out.Certificates, c)
		}
	}
	names := in.CredentialNames
	if in.CredentialName != "" {
		names = []string{in.CredentialName}
	}
	switch {
	case in.Mode == istio.ServerTLSSettings_ISTIO_MUTUAL:
		add(g.secrets.pair(meshCredential, at("mode")))
		out.Authority, out.RequireClient = g.secrets.authority(meshCredential, at("mode")), true
	case len(names) > 0:
		for _, name := range names {
			add(g.secrets.pair(name, at("credentialName")))
		}
		if verifies {
			if ca := in.CaCertCredentialName; ca != "" {
				out.Authority = g.secrets.authority(ca, at("caCertCredentialName"))
			} else {
				out.Authority = g.secrets.authority(names[0], at("credentialName"))
			}
		}
	default:
		if len(in.TlsCertificates) > 0 {
			for i, c := range in.TlsCertificates {
				add(g.secrets.pairFiles(c.GetServerCertificate(), c.GetPrivateKey(), at("tlsCertificates["+strconv.Itoa(i)+"]")))
			}
		} else {
			add(g.secrets.pairFiles(in.ServerCertificate, in.PrivateKey, at("serverCertificate")))
		}
		if verifies {
			out.Authority = g.secrets.authorityFile(in.CaCertificates, in.CaCrl, at("caCertificates"))
		}
	}
	out.Unusable = len(out.Certificates) == 0 || (verifies || in.Mode == istio.ServerTLSSettings_ISTIO_MUTUAL) && out.Authority == nil
	return out
}

// tlsVersion is Envoy's name of a TLS version; "" is Envoy's default.
func tlsVersion(v istio.ServerTLSSettings_TLSProtocol) string {
	if v == istio.ServerTLSSettings_TLS_AUTO {
		return ""
	}
	return v.String()
}
