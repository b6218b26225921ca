package names

import (
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
)

// KnownProtocols are those that a port can declare. Anything else declares nothing: Istio then looks at the first bytes
// of each connection.
var KnownProtocols = []string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLE_HBONE"}

// serverFirstPorts are those on which a server speaks first (SMTP, DNS, MySQL, MongoDB): there an undeclared protocol is
// TCP, since a proxy that waits for the client's first bytes would wait for ever.
var serverFirstPorts = []int32{25, 53, 3306, 27017}

// GRPCWeb is the protocol whose clients are browsers. The first server or service of a listener decides for all of it, as
// in Istio.
const GRPCWeb = "GRPC-WEB"

// KubernetesProtocol is the protocol that a port of a Service declares, or "": by its appProtocol, else by the part of
// its name before the first "-".
//
//	name: grpc-web-x              GRPC-WEB
//	name: http-api                HTTP
//	name: web                     -
//	appProtocol: kubernetes.io/ws HTTP
//	name: http, protocol: UDP     UDP
func KubernetesProtocol(p core.ServicePort) string {
	if p.Protocol == core.ProtocolUDP {
		return "UDP"
	}
	name := p.Name
	if p.AppProtocol != nil {
		switch name = *p.AppProtocol; name {
		case "kubernetes.io/h2c":
			return "HTTP2"
		case "kubernetes.io/ws":
			return "HTTP"
		case "kubernetes.io/wss":
			return "HTTPS"
		}
	}
	name = strings.ToUpper(name)
	if strings.HasPrefix(name, "GRPC-WEB") {
		return "GRPC-WEB"
	}
	name, _, _ = strings.Cut(name, "-")
	switch {
	case slices.Contains(KnownProtocols, name):
		return name
	case slices.Contains(serverFirstPorts, p.Port):
		return "TCP"
	default:
		return ""
	}
}

// PortProtocols are the protocols of ports that Istio knows; they are compared without regard to case.
var PortProtocols = []string{"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLEHBONE"}

// IsProtocol says whether a protocol is one of some, which are in upper case.
func IsProtocol(name string, of ...string) bool { return slices.Contains(of, strings.ToUpper(name)) }

// SpeaksHTTP says whether a protocol is HTTP or one of its kin.
func SpeaksHTTP(protocol string) bool { return ParseProtocol(protocol) == ProtocolHTTP }

// SpeaksTLS says whether connections of a protocol begin with TLS.
func SpeaksTLS(protocol string) bool {
	p := ParseProtocol(protocol)
	return p == ProtocolHTTPS || p == ProtocolTLS
}

// Protocol is the family that a port's protocol belongs to (GW-PROTO-01).
type Protocol int

// The families. ProtocolHTTP is HTTP, HTTP2, HTTP_PROXY, GRPC and GRPC-Web.
const (
	ProtocolOther Protocol = iota
	ProtocolHTTP
	ProtocolHTTPS
	ProtocolTLS
	ProtocolTCP
)

// ParseProtocol finds the family of a protocol's name, in any case.
func ParseProtocol(name string) Protocol {
	switch strings.ToUpper(name) {
	case "HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB":
		return ProtocolHTTP
	case "HTTPS":
		return ProtocolHTTPS
	case "TLS":
		return ProtocolTLS
	case "TCP":
		return ProtocolTCP
	default:
		return ProtocolOther
	}
}

// IsPassthrough says whether TLS is forwarded as it is.
func IsPassthrough(tls *istio.ServerTLSSettings) bool {
	return tls.Mode == istio.ServerTLSSettings_PASSTHROUGH || tls.Mode == istio.ServerTLSSettings_AUTO_PASSTHROUGH
}
