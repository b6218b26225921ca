package gateway

import (
	"net/netip"
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
)

// validateGateway covers VAL-G.
func validateGateway(gw *Gateway, problems *Problems) {
	v := &validator{&gw.Object, problems}
	if !isLabel(gw.Name) {
		v.refuse("VAL-G-01", "metadata.name", "%q is no DNS label", gw.Name)
	}
	if len(gw.Spec.Servers) == 0 {
		v.refuse("VAL-G-02", "spec.servers", "a Gateway has at least one server")
	}
	names := map[string]bool{}
	for i, s := range gw.Spec.Servers {
		field := "spec.servers[" + itoa(i) + "]"
		if s == nil {
			v.refuse("VAL-G-02", field, "a server cannot be null")
			continue
		}
		v.server(field, s)
		if s.Port != nil {
			if names[s.Port.Name] {
				v.refuse("VAL-G-06", field+".port.name", "%q occurs twice", s.Port.Name)
			}
			names[s.Port.Name] = true
		}
	}
}

// protocols that Istio knows; they are compared without regard to case.
var protocols = []string{"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLEHBONE"}

func (v *validator) server(field string, s *istio.Server) {
	if len(s.Hosts) == 0 {
		v.refuse("VAL-G-03", field+".hosts", "a server has at least one host")
	}
	for i, h := range s.Hosts {
		v.serverHost(field+".hosts["+itoa(i)+"]", h)
	}
	unix := strings.HasPrefix(s.Bind, "/")
	if s.Bind != "" && !unix {
		if _, err := netip.ParseAddr(s.Bind); err != nil {
			v.refuse("VAL-G-07", field+".bind", "%q is neither an IP address nor the path of a socket", s.Bind)
		}
	}
	p := s.Port
	if p == nil {
		v.refuse("VAL-G-05", field+".port", "is missing")
		return
	}
	if p.Name == "" {
		v.refuse("VAL-G-05", field+".port.name", "is missing")
	}
	if !slices.Contains(protocols, strings.ToUpper(p.Protocol)) {
		v.refuse("VAL-G-05", field+".port.protocol", "%q is no protocol", p.Protocol)
	}
	switch {
	case unix && p.Number != 0:
		v.refuse("VAL-G-07", field+".port.number", "a socket has no port, so 0 is needed, not %d", p.Number)
	case !unix && (p.Number == 0 || p.Number > 65535):
		v.refuse("VAL-G-05", field+".port.number", "%d is no port", p.Number)
	}
	v.serverTLS(field, s)
}

// serverHost is host or namespace/host.
func (v *validator) serverHost(field, h string) {
	ns, name, ok := strings.Cut(h, "/")
	if !ok {
		name = h
	} else if ns != "*" && ns != "." && !isLabel(ns) || name == "" {
		v.refuse("VAL-G-04", field, "%q is not NAMESPACE/HOST", h)
		return
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "*" {
		return
	}
	partial := isWildcard(name) && !strings.HasPrefix(name, "*.")
	if !strings.Contains(name, ".") || partial || !isWildcardDomain(name) {
		v.refuse("VAL-G-04", field, "%q is neither a full host name, nor a wildcard such as *.example.com, nor an IP address", h)
	}
}

func (v *validator) serverTLS(field string, s *istio.Server) {
	tls := s.Tls
	switch parseProtocol(s.Port.Protocol) {
	case protocolHTTPS, protocolTLS:
		if tls == nil {
			v.refuse("VAL-G-08", field+".tls", "protocol %s needs tls", s.Port.Protocol)
		}
		if tls.GetHttpsRedirect() {
			v.warn("VAL-G-11", field+".tls.httpsRedirect", "has no effect with protocol %s", s.Port.Protocol)
		}
	case protocolHTTP:
		if tls != nil && (tls.Mode != istio.ServerTLSSettings_PASSTHROUGH || tls.CredentialName != "" || tls.ServerCertificate != "" || tls.PrivateKey != "" || tls.CaCertificates != "") {
			v.refuse("VAL-G-09", field+".tls", "protocol %s is plain text; only httpsRedirect is allowed", s.Port.Protocol)
		}
	default:
		if tls != nil {
			v.refuse("VAL-G-10", field+".tls", "protocol %s has no tls", s.Port.Protocol)
		}
	}
}
