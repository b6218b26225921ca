package translate

import (
	"strconv"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/plan"
)

// meshCredential is the credential name of a workload's own certificate for mTLS in the mesh, and of its authority.
const meshCredential = "default"

// upstreamTLS translates the TLS settings for connections to a cluster; nil for plain text (DR-TLS-01 to DR-TLS-05). usable
// is false where a certificate or an authority cannot be used: without it, connections would be less safe than the
// settings say.
//
// The hard case is SNI. Without sni in the DestinationRule, the host of the request is sent as SNI, and without
// subjectAltNames as well, the server's certificate must have that name. It is the client's Host unless a rule rewrites
// the authority.
func (ds *destinations) upstreamTLS(ref clusterRef, rules *destinationPolicy, in *istio.ClientTLSSettings, s *service) (tls *plan.UpstreamTLS, usable bool) {
	if in == nil || in.Mode == istio.ClientTLSSettings_DISABLE {
		return nil, true
	}
	object := rules.object()
	at := func(field string) credentialUse { return credentialUse{object, "spec.trafficPolicy.tls." + field} }
	out := &plan.UpstreamTLS{SNI: in.Sni, SubjectAltNames: in.SubjectAltNames}
	insecure := in.InsecureSkipVerify.GetValue()
	if in.Mode == istio.ClientTLSSettings_ISTIO_MUTUAL {
		out.Certificate, out.Authority = ds.secrets.pair(meshCredential, at("mode")), ds.secrets.authority(meshCredential, at("mode"))
		if out.SNI == "" {
			out.SNI = ref.serverName()
		}
		return out, out.Certificate != nil && out.Authority != nil
	}
	out.VerifyHost = in.Sni == "" && len(in.SubjectAltNames) == 0 && !insecure
	if len(out.SubjectAltNames) == 0 && s != nil && s.entry != nil {
		out.SubjectAltNames = s.entry.Spec.SubjectAltNames // DR-TLS-03
	}
	mutual := in.Mode == istio.ClientTLSSettings_MUTUAL
	switch {
	case in.CredentialName != "":
		if mutual {
			out.Certificate = ds.secrets.pair(in.CredentialName, at("credentialName"))
		}
		if !insecure {
			out.Authority = ds.secrets.authority(in.CredentialName, at("credentialName"))
		}
	default:
		if mutual {
			out.Certificate = ds.secrets.pairFiles(in.ClientCertificate, in.PrivateKey, at("clientCertificate"))
		}
		if !insecure {
			ca := in.CaCertificates
			if ca == "" {
				ca = "system"
			}
			out.Authority = ds.secrets.authorityFile(ca, in.CaCrl, at("caCertificates"))
		}
	}
	return out, (out.Certificate != nil || !mutual) && (out.Authority != nil || insecure)
}

// serverName is the SNI form of a cluster's name: outbound_.80_.v1_.host (VS-SPLIT-01).
func (c clusterRef) serverName() string {
	subset := c.subset
	if subset == "" {
		subset = "_"
	}
	return "outbound_." + strconv.Itoa(int(c.port)) + "_." + subset + "_." + c.host
}
