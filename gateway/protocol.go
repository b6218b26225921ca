package gateway

import (
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
)

// knownProtocols are those that a port can declare. Anything else declares nothing: Istio then looks at the first bytes
// of each connection.
var knownProtocols = []string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "HTTPS", "TLS", "TCP", "UDP", "MONGO", "REDIS", "MYSQL", "HBONE", "DOUBLE_HBONE"}

// serverFirstPorts are those on which a server speaks first (SMTP, DNS, MySQL, MongoDB): there an undeclared protocol is
// TCP, since a proxy that waits for the client's first bytes would wait for ever.
var serverFirstPorts = []int32{25, 53, 3306, 27017}

// grpcWeb is the protocol whose clients are browsers. The first server or service of a listener decides for all of it, as
// in Istio.
const grpcWeb = "GRPC-WEB"

// kubernetesProtocol is the protocol that a port of a Service declares, or "": by its appProtocol, else by the part of
// its name before the first "-".
//
//	name: grpc-web-x              GRPC-WEB
//	name: http-api                HTTP
//	name: web                     -
//	appProtocol: kubernetes.io/ws HTTP
//	name: http, protocol: UDP     UDP
func kubernetesProtocol(p core.ServicePort) string {
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
	case slices.Contains(knownProtocols, name):
		return name
	case slices.Contains(serverFirstPorts, p.Port):
		return "TCP"
	default:
		return ""
	}
}

// speaksHTTP says that a port declares HTTP or one of its kin.
func (p servicePort) speaksHTTP() bool { return speaksHTTP(p.protocol) }

// isUndeclared says that a port declares no protocol.
func (p servicePort) isUndeclared() bool {
	return !slices.Contains(knownProtocols, strings.ToUpper(p.protocol))
}
