package names

import (
	"slices"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"
)

// KnownProtocols are the protocols that a port can declare. A port with any other text counts as undeclared: Istio then
// detects the protocol by the first bytes of each connection.
var KnownProtocols = []string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLE_HBONE"}

// serverFirstPorts are ports of protocols in which the server sends first (SMTP, DNS, MySQL, MongoDB). An undeclared
// protocol on them is TCP, since a proxy that waited for the client's first bytes would wait for ever.
var serverFirstPorts = []int32{25, 53, 3306, 27017}

// GRPCWeb is the protocol of ports whose clients are browsers with gRPC-Web. As in Istio, the first server or service
// of a listener decides whether the whole listener speaks it.
const GRPCWeb = "GRPC-WEB"

// KubernetesProtocol returns the protocol that a port of a Service declares, or "": by its appProtocol, else by the
// part of its name before the first "-".
//
//	name: grpc-web-x              GRPC-WEB
//	name: http-api                HTTP
//	name: web                     ""
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

// PortProtocols are the protocols that Istio's validation accepts for a port of a Gateway or ServiceEntry; they are
// compared without regard to case.
var PortProtocols = []string{"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLEHBONE"}

// IsProtocol reports whether a protocol, in any case, is one of those given in upper case.
func IsProtocol(name string, of ...string) bool { return slices.Contains(of, strings.ToUpper(name)) }

// SpeaksHTTP reports whether a protocol is of the family [ProtocolHTTP].
func SpeaksHTTP(protocol string) bool { return ParseProtocol(protocol) == ProtocolHTTP }

// SpeaksTLS reports whether connections of a protocol begin with TLS.
func SpeaksTLS(protocol string) bool {
	p := ParseProtocol(protocol)
	return p == ProtocolHTTPS || p == ProtocolTLS
}

// Protocol is a family of port protocols (GW-PROTO-01).
type Protocol int

// The families. ProtocolHTTP is HTTP, HTTP2, HTTP_PROXY, GRPC and GRPC-Web.
const (
	ProtocolOther Protocol = iota
	ProtocolHTTP
	ProtocolHTTPS
	ProtocolTLS
	ProtocolTCP
)

// ParseProtocol returns the family of a protocol's name, in any case; ProtocolOther for a name that is not known.
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

// IsPassthrough reports whether a server forwards TLS without terminating it.
func IsPassthrough(tls *istio.ServerTLSSettings) bool {
	return tls.Mode == istio.ServerTLSSettings_PASSTHROUGH || tls.Mode == istio.ServerTLSSettings_AUTO_PASSTHROUGH
}
