package validate

import (
	"slices"
	"strconv"
	"strings"

	istio "istio.io/api/networking/v1alpha3"

	"waymark.dev/waymark/istio/names"
)

// gateway covers VAL-G.
func (v *validator) gateway(s *istio.Gateway) {
	if !names.IsLabel(v.object.Name) {
		v.refuse("VAL-G-01", "metadata.name", "%q is not a DNS label", v.object.Name)
	}
	if len(s.Servers) == 0 {
		v.refuse("VAL-G-02", "spec.servers", "a Gateway has at least one server")
	}
	seen := map[string]bool{}
	for i, server := range s.Servers {
		field := "spec.servers[" + strconv.Itoa(i) + "]"
		v.server(field, server)
		if server.Port == nil {
			continue
		}
		if seen[server.Port.Name] {
			v.refuse("VAL-G-06", field+".port.name", "%q occurs twice", server.Port.Name)
		}
		seen[server.Port.Name] = true
		if server.GetTls().GetHttpsRedirect() && !names.SpeaksHTTP(server.Port.Protocol) {
			v.warn("VAL-G-11", field+".tls.httpsRedirect", "has no effect with protocol %q", server.Port.Protocol)
		}
	}
}

// server covers VAL-G-03 to VAL-G-18, by the functions below.
func (v *validator) server(field string, s *istio.Server) {
	if len(s.Hosts) == 0 {
		v.refuse("VAL-G-03", field+".hosts", "a server has at least one host")
	}
	for i, h := range s.Hosts {
		v.serverHost(field+".hosts["+strconv.Itoa(i)+"]", h)
	}
	path, isUnix := strings.CutPrefix(s.Bind, unixPrefix)
	valid := v.serverPort(field+".port", s.Port, isUnix)
	switch {
	case isUnix:
		if !isSocket(path) {
			v.refuse("VAL-G-07", field+".bind", "%q is not the absolute path of a socket", path)
		}
		if s.Port.GetNumber() != 0 {
			v.refuse("VAL-G-07", field+".port.number", "a socket has no port, so 0 is needed, not %d", s.Port.GetNumber())
		}
	case s.Bind != "" && !names.IsAddress(s.Bind):
		v.refuse("VAL-G-07", field+".bind", "%q is neither an IP address nor unix:// with the path of a socket", s.Bind)
	}
	if s.Tls != nil {
		v.serverTLS(field+".tls", s.Tls)
	}
	if valid {
		v.serverSecurity(field+".tls", s)
	}
}

// serverPort covers VAL-G-05, and reports whether the port is valid. Only then serverSecurity compares its protocol
// with tls.
func (v *validator) serverPort(field string, p *istio.Port, isUnix bool) bool {
	before := len(*v.findings)
	if p == nil {
		v.refuse("VAL-G-05", field, "is missing")
		return false
	}
	if p.Name == "" {
		v.refuse("VAL-G-05", field+".name", "is missing")
	}
	if !names.IsProtocol(p.Protocol, names.PortProtocols...) {
		v.refuse("VAL-G-05", field+".protocol", "%q is not a known protocol", p.Protocol)
	}
	if p.Number > 0 || !isUnix {
		v.port("VAL-G-05", field+".number", p.Number)
	}
	if p.TargetPort > 0 { //nolint:staticcheck // deprecated, and refused
		v.refuse("VAL-G-05", field+".targetPort", "has no effect on a Gateway")
	}
	return len(*v.findings) == before
}

// serverHost covers VAL-G-04: a host is HOST or NAMESPACE/HOST. An IPv6 address has no dot, so it is refused as a short
// name.
func (v *validator) serverHost(field, h string) {
	const code = "VAL-G-04"
	namespace, name, ok := strings.Cut(h, "/")
	if !ok {
		name = h
	} else if namespace != "*" && namespace != "." && !names.IsLabel(namespace) {
		v.refuse(code, field, "%q: %q is neither *, nor ., nor a namespace", h, namespace)
	}
	switch {
	case name == "*":
	case !strings.Contains(name, "."):
		v.refuse(code, field, "%q is a short name; a full one is needed", h)
	case !names.IsWildcardDomain(name) && !names.IsAddress(name):
		v.refuse(code, field, "%q is neither a full host name, nor a wildcard such as *.example.com, nor an IP address", h)
	case strings.Contains(name, "*") && !strings.HasPrefix(name, "*."):
		v.refuse(code, field, "%q: a star stands for whole labels, as in *.example.com", h)
	}
}

// serverSecurity covers VAL-G-08 to VAL-G-10: whether tls fits the protocol of the port.
func (v *validator) serverSecurity(field string, s *istio.Server) {
	protocol, tls := s.Port.Protocol, s.Tls
	switch {
	case names.SpeaksTLS(protocol):
		if tls == nil {
			v.refuse("VAL-G-08", field, "protocol %s needs tls", protocol)
		}
	case tls == nil:
	case !names.SpeaksHTTP(protocol):
		v.refuse("VAL-G-10", field, "protocol %s has no tls", protocol)
	case !names.IsPassthrough(tls) || tls.ServerCertificate != "" || tls.PrivateKey != "" || tls.CaCertificates != "":
		v.refuse("VAL-G-09", field, "protocol %s is plain text; only httpsRedirect is allowed", protocol)
	}
}

// serverTLS covers VAL-G-13 to VAL-G-18: a tls block, with any protocol. As in Istio, checking ends after ISTIO_MUTUAL,
// and after a credential name in a mode that terminates TLS.
func (v *validator) serverTLS(field string, tls *istio.ServerTLSSettings) {
	v.ciphers(field, tls)
	if tls.Mode == istio.ServerTLSSettings_ISTIO_MUTUAL {
		for name, set := range serverCertificates(tls) {
			if set {
				v.refuse("VAL-G-13", field+"."+name, "ISTIO_MUTUAL brings its own certificates")
			}
		}
		return
	}
	if names.IsPassthrough(tls) {
		ignored := tls.CaCrl != ""
		for _, set := range serverCertificates(tls) {
			ignored = ignored || set
		}
		if ignored {
			v.warn("VAL-G-14", field, "%s does not use certificates; they are ignored", tls.Mode)
		}
	}
	sources := 0
	for _, set := range []bool{tls.ServerCertificate != "" && tls.PrivateKey != "", tls.CredentialName != "", len(tls.CredentialNames) > 0, len(tls.TlsCertificates) > 0} {
		if set {
			sources++
		}
	}
	if sources > 1 {
		v.refuse("VAL-G-15", field, "only one of credentialName, credentialNames, tlsCertificates, and serverCertificate with privateKey can be used")
	}
	terminates := tls.Mode == istio.ServerTLSSettings_SIMPLE || tls.Mode == istio.ServerTLSSettings_MUTUAL || tls.Mode == istio.ServerTLSSettings_OPTIONAL_MUTUAL
	if terminates {
		if tls.CredentialName != "" || len(tls.CredentialNames) > 0 {
			return
		}
		v.serverCertificate(field, tls)
	}
	if tls.CaCrl != "" && tls.CredentialName != "" {
		v.refuse("VAL-G-18", field+".caCrl", "with credentialName the list of revoked certificates must be in the credential")
	}
	if tls.CaCrl != "" && tls.Mode == istio.ServerTLSSettings_SIMPLE {
		v.refuse("VAL-G-18", field+".caCrl", "mode SIMPLE verifies no client certificate that could be revoked")
	}
}

// serverCertificates reports for each field with a certificate, or the name of one, whether it is set.
func serverCertificates(tls *istio.ServerTLSSettings) map[string]bool {
	return map[string]bool{
		"serverCertificate": tls.ServerCertificate != "", "privateKey": tls.PrivateKey != "", "caCertificates": tls.CaCertificates != "",
		"tlsCertificates": len(tls.TlsCertificates) > 0, "credentialName": tls.CredentialName != "", "credentialNames": len(tls.CredentialNames) > 0,
	}
}

// serverCertificate covers VAL-G-16 and VAL-G-17: the files of a server that has no credential name.
func (v *validator) serverCertificate(field string, tls *istio.ServerTLSSettings) {
	need := func(field, value string) {
		if value == "" {
			v.refuse("VAL-G-16", field, "%s needs it where there is no credentialName", tls.Mode)
		}
	}
	if tls.Mode != istio.ServerTLSSettings_SIMPLE {
		need(field+".caCertificates", tls.CaCertificates)
	}
	if len(tls.TlsCertificates) == 0 {
		need(field+".serverCertificate", tls.ServerCertificate)
		need(field+".privateKey", tls.PrivateKey)
	}
	if len(tls.TlsCertificates) > 2 {
		v.warn("VAL-G-17", field+".tlsCertificates", "only 2 certificates are supported, not %d", len(tls.TlsCertificates))
	}
	for i, c := range tls.TlsCertificates {
		at := field + ".tlsCertificates[" + strconv.Itoa(i) + "]"
		need(at+".serverCertificate", c.ServerCertificate)
		need(at+".privateKey", c.PrivateKey)
	}
}

// ciphers covers VAL-G-12 and VAL-X-05.
func (v *validator) ciphers(field string, tls *istio.ServerTLSSettings) {
	old := tls.MinProtocolVersion == istio.ServerTLSSettings_TLSV1_0 || tls.MinProtocolVersion == istio.ServerTLSSettings_TLSV1_1
	if old && len(tls.CipherSuites) == 0 {
		v.warn("VAL-G-12", field+".minProtocolVersion", "%s needs cipherSuites that are as old", tls.MinProtocolVersion)
	}
	seen := map[string]bool{}
	for i, c := range tls.CipherSuites {
		at := field + ".cipherSuites[" + strconv.Itoa(i) + "]"
		switch {
		case !names.IsCipher(c):
			v.warn("VAL-G-12", at, "%q is not a known cipher; it is ignored", c)
		case seen[c]:
			v.warn("VAL-G-12", at, "%q occurs twice", c)
		case !names.IsCipherOfEnvoy(c):
			v.refuse("VAL-X-05", at, "%q is neither a cipher nor a group of ciphers that Envoy knows", c)
		}
		seen[c] = true
	}
	usable := names.UsableCiphers(tls.CipherSuites)
	if len(usable) > 0 && !slices.ContainsFunc(usable, func(c string) bool { return c == "" || c == "ALL" || slices.Contains(names.Ciphers, c) }) {
		v.refuse("VAL-X-05", field+".cipherSuites", "the list only takes ciphers away, which leaves none; begin it with ALL")
	}
}
