package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// field is a field of Istio's API, set in a resource and then left out of it.
type field struct {
	// resources with the field written in double angle brackets, which are what is left out.
	resources string
	// effect is a part of the plan, as JSON without spaces, that is there only with the field; "same" says that the plan
	// does not depend on it, "error: …" that translating or reading it fails so, "refused: …" that what holds the field
	// is refused so, with the field and without.
	effect string
}

// policy is a DestinationRule of a.test, which is served.
func policy(trafficPolicy string) string {
	return served(object("DestinationRule", "a", "host: a.test\ntrafficPolicy: {"+trafficPolicy+"}"))
}

// served adds a Gateway, a rule for everything that goes to a.test, and the ServiceEntry of a.test with endpoints in four
// localities.
func served(more string) string {
	return everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") +
		destination("resolution: STATIC\nendpoints:\n- {address: 10.0.0.1, locality: r1/z1, labels: {version: v1}}\n- {address: 10.0.0.2, locality: r1/z2}\n- {address: 10.0.0.3, locality: r2/z1}\n- {address: 10.0.0.4, locality: r3/z1}") + more
}

// destination is the ServiceEntry of a.test.
func destination(spec string) string {
	if !strings.Contains(spec, "ports:\n") {
		spec += "\nports:\n- {number: 80, name: http, protocol: HTTP}"
	}
	if !strings.Contains(spec, "hosts:") {
		spec += "\nhosts: [a.test]"
	}
	return object("ServiceEntry", "a", spec)
}

// tlsServer is an HTTPS server with the given settings.
func tlsServer(settings string) string {
	return server("gw", "443/HTTPS", "a.test", settings) + routed("a", "a.test", "")
}

// forwarded is a server that forwards TLS, and one of TCP, with rules for both.
func forwarded(tls, tcp string) string {
	return server("gw", "443/TLS", "a.test", "mode: PASSTHROUGH") + server("tcp", "90/TCP", "'*'", "") +
		object("VirtualService", "v", "gateways: [gw, tcp]\nhosts: [a.test]\ntls:\n- match: [{sniHosts: [a.test]"+tls+"}]\n  route: [{destination: {host: a.test, port: {number: 80}}}]\n"+
			"tcp:\n- route: [{destination: {host: a.test, port: {number: 80}}}]\n"+tcp) + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]")
}

const outlier = "outlierDetection: {}, "

// fields are those that the conformance vectors do not have, by Message.field.
var fields = map[string]field{
	"Server.bind":            {object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*'], <<bind: 127.0.0.1>>}]"), `"Bind":"127.0.0.1"`},
	"Server.defaultEndpoint": {object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*'], <<defaultEndpoint: '127.0.0.1:80'>>}]"), "same"},
	"Server.name":            {object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: p, protocol: HTTP}, hosts: ['*'], <<name: one>>}]"), "same"},
	"Port.targetPort":        {object("Gateway", "gw", "selector: {istio: ingressgateway}\nservers: [{port: {number: 80, name: p, protocol: HTTP, <<targetPort: 8080>>}, hosts: ['*']}]"), "error: VAL-G-05"},

	"ServerTLSSettings.serverCertificate":                {tlsServer("mode: SIMPLE, privateKey: /k, <<serverCertificate: /c>>"), `"CertFile":"/c","KeyFile":"/k"`},
	"ServerTLSSettings.privateKey":                       {tlsServer("mode: SIMPLE, serverCertificate: /c, <<privateKey: /k>>"), `"CertFile":"/c","KeyFile":"/k"`},
	"ServerTLSSettings.caCertificates":                   {tlsServer("mode: MUTUAL, serverCertificate: /c, privateKey: /k, <<caCertificates: /ca>>"), `"CAFile":"/ca"`},
	"ServerTLSSettings.caCrl":                            {tlsServer("mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /ca, <<caCrl: /crl>>"), `"CRLFile":"/crl"`},
	"ServerTLSSettings.credentialNames":                  {tlsServer("mode: SIMPLE, <<credentialNames: [rsa, ecdsa]>>"), `"CertFile":"/rsa.crt","KeyFile":"/rsa.key","CAFile":"","CRLFile":""},{"Name":"kubernetes://ecdsa"`},
	"ServerTLSSettings.caCertCredentialName":             {tlsServer("mode: MUTUAL, credentialName: rsa, <<caCertCredentialName: ecdsa>>"), `"CAFile":"/ecdsa.ca"`},
	"ServerTLSSettings.tlsCertificates":                  {tlsServer("mode: SIMPLE, <<tlsCertificates: [{serverCertificate: /c1, privateKey: /k1}, {serverCertificate: /c2, privateKey: /k2}]>>"), `"CertFile":"/c2"`},
	"ServerTLSSettings.subjectAltNames":                  {tlsServer("mode: MUTUAL, credentialName: rsa, <<subjectAltNames: [client.test]>>"), `"SubjectAltNames":["client.test"]`},
	"ServerTLSSettings.verifyCertificateSpki":            {tlsServer("mode: MUTUAL, credentialName: rsa, <<verifyCertificateSpki: [abc]>>"), `"SPKI":["abc"]`},
	"ServerTLSSettings.verifyCertificateHash":            {tlsServer("mode: MUTUAL, credentialName: rsa, <<verifyCertificateHash: [def]>>"), `"Hashes":["def"]`},
	"ServerTLSSettings.minProtocolVersion":               {tlsServer("mode: SIMPLE, credentialName: rsa, <<minProtocolVersion: TLSV1_3>>"), `"MinVersion":"TLSV1_3"`},
	"ServerTLSSettings.maxProtocolVersion":               {tlsServer("mode: SIMPLE, credentialName: rsa, <<maxProtocolVersion: TLSV1_2>>"), `"MaxVersion":"TLSV1_2"`},
	"ServerTLSSettings.cipherSuites":                     {tlsServer("mode: SIMPLE, credentialName: rsa, <<cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]>>"), `"Ciphers":["ECDHE-RSA-AES128-GCM-SHA256"]`},
	"ServerTLSSettings.insecureSkipVerify":               {tlsServer("mode: SIMPLE, credentialName: rsa, <<insecureSkipVerify: true>>"), "same"},
	"ServerTLSSettings.TLSCertificate.serverCertificate": {tlsServer("mode: SIMPLE, tlsCertificates: [{serverCertificate: /c1, privateKey: /k1}, {privateKey: /k2, <<serverCertificate: /c2>>}]"), `"CertFile":"/c2"`},
	"ServerTLSSettings.TLSCertificate.privateKey":        {tlsServer("mode: SIMPLE, tlsCertificates: [{serverCertificate: /c1, privateKey: /k1}, {serverCertificate: /c2, <<privateKey: /k2>>}]"), `"KeyFile":"/k2"`},
	"ServerTLSSettings.TLSCertificate.caCertificates":    {tlsServer("mode: SIMPLE, tlsCertificates: [{serverCertificate: /c1, privateKey: /k1, <<caCertificates: /ca>>}]"), "same"},

	"VirtualService.tls": {server("gw", "443/TLS", "a.test", "mode: PASSTHROUGH") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\nhttp: [{route: [{destination: {host: a.test}}]}]\n<<tls: [{match: [{sniHosts: [a.test]}], route: [{destination: {host: a.test}}]}]>>"), `"Path":"tls[0]"},"Destinations"`},
	"VirtualService.tcp": {server("gw", "90/TCP", "'*'", "") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\nhttp: [{route: [{destination: {host: a.test}}]}]\n<<tcp: [{route: [{destination: {host: a.test}}]}]>>"), `"Path":"tcp[0]"},"Destinations"`},

	"HTTPRoute.mirrorPercent":                   {everything + ruled("a", "- {route: [{destination: {host: a.test}}], mirror: {host: b.test}, <<mirrorPercent: 5>>}\n"), `"Numerator":5,"Denominator":100`},
	"HTTPMatchRequest.sourceLabels":             {everything + ruled("a", "- {match: [{uri: {exact: /x}, <<sourceLabels: {app: other}>>}], directResponse: {status: 200}}\n"), `"Name":"blackhole:80"`},
	"HTTPMatchRequest.sourceNamespace":          {everything + ruled("a", "- {match: [{uri: {exact: /x}, <<sourceNamespace: other>>}], directResponse: {status: 200}}\n"), `"Name":"blackhole:80"`},
	"HTTPFaultInjection.Delay.percent":          {everything + ruled("a", "- {route: [{destination: {host: a.test}}], fault: {delay: {fixedDelay: 1s, <<percent: 7>>}}}\n"), `"Delay":{"Percentage":{"Numerator":7,"Denominator":100}`},
	"HTTPFaultInjection.Delay.exponentialDelay": {everything + ruled("a", "- {route: [{destination: {host: a.test}}], fault: {delay: {<<exponentialDelay: 1s>>}, abort: {httpStatus: 500}}}\n"), "error: VAL-H-24"},
	"HTTPFaultInjection.Abort.http2Error":       {everything + ruled("a", "- {route: [{destination: {host: a.test}}], fault: {abort: {<<http2Error: PROTOCOL_ERROR>>}}}\n"), "error: VAL-H-21"},
	"CorsPolicy.allowOrigin":                    {everything + ruled("a", "- {route: [{destination: {host: a.test}}], corsPolicy: {maxAge: 1s, <<allowOrigin: ['http://o.test']>>}}\n"), `"AllowOrigins":[{"Kind":"exact","Value":"http://o.test"}]`},

	"TLSRoute.match":                        {server("gw", "443/TLS", "a.test", "mode: PASSTHROUGH") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntls:\n- route: [{destination: {host: a.test}}]\n  <<match: [{sniHosts: [a.test]}]>>"), `"ServerNames":["a.test"]`},
	"TLSRoute.route":                        {server("gw", "443/TLS", "a.test", "mode: PASSTHROUGH") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntls:\n- match: [{sniHosts: [a.test]}]\n  <<route: [{destination: {host: a.test}}]>>"), `"Cluster":"outbound|443||a.test"`},
	"TLSMatchAttributes.sniHosts":           {server("gw", "443/TLS", "a.test", "mode: PASSTHROUGH") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntls:\n- route: [{destination: {host: a.test}}]\n  match: [{port: 443, <<sniHosts: [a.test]>>}]"), `"ServerNames":["a.test"]`},
	"TLSMatchAttributes.destinationSubnets": {forwarded(", <<destinationSubnets: [10.0.0.0/8]>>", ""), "same"},
	"TLSMatchAttributes.port":               {forwarded(", <<port: 443>>", ""), "same"}, // and with another port: TestOpaqueServers
	"TLSMatchAttributes.sourceLabels":       {forwarded(", <<sourceLabels: {app: other}>>", ""), "same"},
	"TLSMatchAttributes.gateways":           {forwarded("}, {sniHosts: [a.test], <<gateways: [default/gw]>>", ""), "same"},
	"TLSMatchAttributes.sourceNamespace":    {forwarded(", <<sourceNamespace: other>>", ""), "same"},
	"RouteDestination.destination":          {server("gw", "90/TCP", "'*'", "") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntcp: [{route: [{<<destination: {host: a.test}>>}]}]"), `"Cluster":"outbound|90||a.test"`},
	"RouteDestination.weight":               {server("gw", "90/TCP", "'*'", "") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntcp: [{route: [{destination: {host: a.test}, weight: 1}, {destination: {host: b.test}, <<weight: 3>>}]}]"), `"Cluster":"outbound|90||b.test","Weight":3`},
	"TCPRoute.match":                        {server("gw", "90/TCP", "'*'", "") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntcp:\n- route: [{destination: {host: other.test}}]\n  <<match: [{port: 7}]>>\n- route: [{destination: {host: a.test}}]"), `"Path":"tcp[1]"},"Destinations"`},
	"TCPRoute.route":                        {server("gw", "90/TCP", "'*'", "") + object("VirtualService", "v", "gateways: [gw]\nhosts: [a.test]\ntcp: [{<<route: [{destination: {host: a.test}}]>>}]"), `"Path":"tcp[0]"},"Destinations"`},
	"L4MatchAttributes.destinationSubnets":  {forwarded("", "  match: [{port: 90, <<destinationSubnets: [10.0.0.0/8]>>}]\n"), "same"},
	"L4MatchAttributes.port":                {forwarded("", "  match: [{<<port: 90>>}]\n"), "same"},
	"L4MatchAttributes.sourceSubnet":        {forwarded("", "  match: [{port: 90, <<sourceSubnet: 10.0.0.0/8>>}]\n"), "same"},
	"L4MatchAttributes.sourceLabels":        {forwarded("", "  match: [{port: 90, <<sourceLabels: {app: other}>>}]\n"), "same"},
	"L4MatchAttributes.gateways":            {forwarded("", "  match: [{port: 90, <<gateways: [default/tcp]>>}]\n"), "same"},
	"L4MatchAttributes.sourceNamespace":     {forwarded("", "  match: [{port: 90, <<sourceNamespace: other>>}]\n"), "same"},

	"DestinationRule.exportTo":                                         {served(object("DestinationRule", "other/a", "host: a.test\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}")) + object("DestinationRule", "default/b", "host: a.test\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}\n<<exportTo: [istio-system]>>"), "same"},
	"DestinationRule.workloadSelector":                                 {served(object("DestinationRule", "istio-system/a", "host: a.test\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}\nworkloadSelector: {matchLabels: {<<istio: other>>}}")), ``},
	"WorkloadSelector (DestinationRule).matchLabels":                   {served(object("DestinationRule", "istio-system/a", "host: a.test\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}\nworkloadSelector: {<<matchLabels: {istio: ingressgateway}>>}")), "same"},
	"TrafficPolicy.connectionPool":                                     {policy("loadBalancer: {simple: RANDOM}, <<connectionPool: {tcp: {maxConnections: 7}}>>"), `"MaxConnections":7`},
	"TrafficPolicy.outlierDetection":                                   {policy("loadBalancer: {simple: RANDOM}, <<outlierDetection: {consecutive5xxErrors: 3}>>"), `"Consecutive5xx":3`},
	"TrafficPolicy.tls":                                                {policy("loadBalancer: {simple: RANDOM}, <<tls: {mode: SIMPLE}>>"), `"TLS":{"Authority":{"Name":"file-root:system~"`},
	"TrafficPolicy.portLevelSettings":                                  {policy("loadBalancer: {simple: RANDOM}, <<portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 7}}}]>>"), `"LoadBalancing":"least-request"`},
	"TrafficPolicy.tunnel":                                             {policy("loadBalancer: {simple: RANDOM}, <<tunnel: {targetHost: t.test, targetPort: 443}>>"), "error: spec.trafficPolicy.tunnel: tunnels are not executed"},
	"TrafficPolicy.proxyProtocol":                                      {policy("loadBalancer: {simple: RANDOM}, <<proxyProtocol: {version: V2}>>"), `"ProxyProtocol":2`},
	"TrafficPolicy.retryBudget":                                        {policy("loadBalancer: {simple: RANDOM}, <<retryBudget: {percent: 12}>>"), `"RetryBudget":{"Percent":12,"MinConcurrency":3}`},
	"LoadBalancerSettings.simple":                                      {policy("loadBalancer: {warmup: {duration: 1s}, <<simple: ROUND_ROBIN>>}"), `"LoadBalancing":"round-robin"`},
	"LoadBalancerSettings.localityLbSetting":                           {policy("loadBalancer: {simple: RANDOM, <<localityLbSetting: {distribute: [{from: r1/*, to: {r1/z2: 30, r2/*: 70}}]}>>}"), `"LocalityWeighted":true`},
	"LoadBalancerSettings.zoneAwareLbSetting":                          {policy("loadBalancer: {simple: RANDOM, <<zoneAwareLbSetting: {enabled: true}>>}"), "error: zoneAwareLbSetting: zone-aware load balancing is not executed"},
	"LoadBalancerSettings.warmupDurationSecs":                          {policy("loadBalancer: {simple: ROUND_ROBIN, <<warmupDurationSecs: 30s>>}"), `"Warmup":{"Duration":30000000000`},
	"LoadBalancerSettings.warmup":                                      {policy("loadBalancer: {simple: ROUND_ROBIN, <<warmup: {duration: 30s}>>}"), `"Warmup":{"Duration":30000000000`},
	"LoadBalancerSettings.ConsistentHashLB.ringHash":                   {policy("loadBalancer: {consistentHash: {useSourceIp: true, <<ringHash: {minimumRingSize: 77}>>}}"), `"RingSize":77`},
	"LoadBalancerSettings.ConsistentHashLB.maglev":                     {policy("loadBalancer: {consistentHash: {useSourceIp: true, <<maglev: {tableSize: 71}>>}}"), `"TableSize":71`},
	"LoadBalancerSettings.ConsistentHashLB.minimumRingSize":            {policy("loadBalancer: {consistentHash: {useSourceIp: true, <<minimumRingSize: 88>>}}"), `"RingSize":88`},
	"LoadBalancerSettings.ConsistentHashLB.HTTPCookie.attributes":      {policy("loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 1s, <<attributes: [{name: SameSite, value: Lax}]>>}}}"), `"Attributes":[{"Name":"SameSite","Value":"Lax"}]`},
	"LoadBalancerSettings.ConsistentHashLB.HTTPCookie.Attribute.name":  {policy("loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 1s, attributes: [{value: Lax, <<name: SameSite>>}]}}}"), `"Name":"SameSite"`},
	"LoadBalancerSettings.ConsistentHashLB.HTTPCookie.Attribute.value": {policy("loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 1s, attributes: [{name: SameSite, <<value: Lax>>}]}}}"), `"Value":"Lax"`},
	"LoadBalancerSettings.ConsistentHashLB.RingHash.minimumRingSize":   {policy("loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {<<minimumRingSize: 77>>}}}"), `"RingSize":77`},
	"LoadBalancerSettings.ConsistentHashLB.MagLev.tableSize":           {policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {<<tableSize: 71>>}}}"), `"TableSize":71`},
	"LocalityLoadBalancerSetting.distribute":                           {policy("loadBalancer: {localityLbSetting: {enabled: true, <<distribute: [{from: r1/*, to: {r1/z2: 30, r2/*: 70}}]>>}}"), `"Weight":70`},
	"LocalityLoadBalancerSetting.failover":                             {policy(outlier + "loadBalancer: {localityLbSetting: {enabled: true, <<failover: [{from: r1, to: r3}]>>}}"), `"LocalityWeighted":true`},
	"LocalityLoadBalancerSetting.failoverPriority":                     {policy(outlier + "loadBalancer: {localityLbSetting: {enabled: true, <<failoverPriority: [version=v1]>>}}"), `"Zone":"z1","Priority":1`},
	"LocalityLoadBalancerSetting.enabled":                              {policy(outlier + "loadBalancer: {simple: RANDOM, localityLbSetting: {<<enabled: false>>}}"), ``},
	"LocalityLoadBalancerSetting.Distribute.from":                      {policy("loadBalancer: {localityLbSetting: {distribute: [{to: {r1/z2: 30, r2/*: 70}, <<from: r1/*>>}]}}"), `"Weight":70`},
	"LocalityLoadBalancerSetting.Distribute.to":                        {policy("loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {<<r1/z2: 100>>}}]}}"), `"Weight":100`},
	"LocalityLoadBalancerSetting.Failover.from":                        {policy(outlier + "loadBalancer: {localityLbSetting: {failover: [{to: r3, <<from: r1>>}]}}"), `"Region":"r2","Zone":"z1","Priority":3`},
	"LocalityLoadBalancerSetting.Failover.to":                          {policy(outlier + "loadBalancer: {localityLbSetting: {failover: [{from: r1, <<to: r3>>}]}}"), `"Region":"r2","Zone":"z1","Priority":3`},
	"ZoneAwareLoadBalancerSetting.enabled":                             {policy("loadBalancer: {zoneAwareLbSetting: {<<enabled: true>>}}"), "refused: zone-aware load balancing is not executed"},
	"ZoneAwareLoadBalancerSetting.failover":                            {policy("loadBalancer: {zoneAwareLbSetting: {<<failover: [{from: a, to: b}]>>}}"), "refused: zone-aware load balancing is not executed"},
	"ZoneAwareLoadBalancerSetting.failoverPriority":                    {policy("loadBalancer: {zoneAwareLbSetting: {<<failoverPriority: [a]>>}}"), "refused: zone-aware load balancing is not executed"},
	"ZoneAwareLoadBalancerSetting.minClusterSize":                      {policy("loadBalancer: {zoneAwareLbSetting: {<<minClusterSize: 3>>}}"), "refused: zone-aware load balancing is not executed"},
	"ZoneAwareLoadBalancerSetting.Failover.from":                       {policy("loadBalancer: {zoneAwareLbSetting: {failover: [{to: b, <<from: a>>}]}}"), "refused: zone-aware load balancing is not executed"},
	"ZoneAwareLoadBalancerSetting.Failover.to":                         {policy("loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, <<to: b>>}]}}"), "refused: zone-aware load balancing is not executed"},
	"WarmupConfiguration.duration":                                     {policy("loadBalancer: {simple: ROUND_ROBIN, warmup: {<<duration: 30s>>}}"), `"Duration":30000000000`},
	"WarmupConfiguration.minimumPercent":                               {policy("loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, <<minimumPercent: 15>>}}"), `"MinimumPercent":15`},
	"WarmupConfiguration.aggression":                                   {policy("loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, <<aggression: 1.5>>}}"), `"Aggression":1.5`},
	"ConnectionPoolSettings.tcp":                                       {policy("connectionPool: {http: {}, <<tcp: {maxConnections: 7}>>}"), `"MaxConnections":7`},
	"ConnectionPoolSettings.http":                                      {policy("connectionPool: {tcp: {}, <<http: {maxRetries: 7}>>}"), `"MaxRetries":7`},
	"ConnectionPoolSettings.TCPSettings.maxConnections":                {policy("connectionPool: {tcp: {<<maxConnections: 7>>}}"), `"MaxConnections":7`},
	"ConnectionPoolSettings.TCPSettings.connectTimeout":                {policy("connectionPool: {tcp: {<<connectTimeout: 3s>>}}"), `"ConnectTimeout":3000000000`},
	"ConnectionPoolSettings.TCPSettings.tcpKeepalive":                  {policy("connectionPool: {tcp: {<<tcpKeepalive: {probes: 3}>>}}"), `"Keepalive":{"Probes":3,"Time":0,"Interval":0}`},
	"ConnectionPoolSettings.TCPSettings.maxConnectionDuration":         {policy("connectionPool: {tcp: {<<maxConnectionDuration: 9s>>}}"), `"MaxConnectionDuration":9000000000`},
	"ConnectionPoolSettings.TCPSettings.idleTimeout":                   {policy("connectionPool: {tcp: {<<idleTimeout: 8s>>}}"), `"IdleTimeout":8000000000`},
	"ConnectionPoolSettings.TCPSettings.TcpKeepalive.probes":           {policy("connectionPool: {tcp: {tcpKeepalive: {<<probes: 3>>}}}"), `"Probes":3`},
	"ConnectionPoolSettings.TCPSettings.TcpKeepalive.time":             {policy("connectionPool: {tcp: {tcpKeepalive: {<<time: 3s>>}}}"), `"Time":3000000000`},
	"ConnectionPoolSettings.TCPSettings.TcpKeepalive.interval":         {policy("connectionPool: {tcp: {tcpKeepalive: {<<interval: 3s>>}}}"), `"Interval":3000000000`},
	"ConnectionPoolSettings.HTTPSettings.http1MaxPendingRequests":      {policy("connectionPool: {http: {<<http1MaxPendingRequests: 7>>}}"), `"MaxPendingRequests":7`},
	"ConnectionPoolSettings.HTTPSettings.http2MaxRequests":             {policy("connectionPool: {http: {<<http2MaxRequests: 7>>}}"), `"MaxRequests":7`},
	"ConnectionPoolSettings.HTTPSettings.maxRequestsPerConnection":     {policy("connectionPool: {http: {<<maxRequestsPerConnection: 7>>}}"), `"MaxRequestsPerConnection":7`},
	"ConnectionPoolSettings.HTTPSettings.maxRetries":                   {policy("connectionPool: {http: {<<maxRetries: 7>>}}"), `"MaxRetries":7`},
	"ConnectionPoolSettings.HTTPSettings.idleTimeout":                  {policy("connectionPool: {http: {<<idleTimeout: 8s>>}}"), `"IdleTimeout":8000000000`},
	"ConnectionPoolSettings.HTTPSettings.h2UpgradePolicy":              {policy("connectionPool: {http: {<<h2UpgradePolicy: UPGRADE>>}}"), `"HTTP2":true`},
	"ConnectionPoolSettings.HTTPSettings.useClientProtocol":            {policy("connectionPool: {http: {<<useClientProtocol: true>>}}"), `"ClientProtocol":true`},
	"ConnectionPoolSettings.HTTPSettings.maxConcurrentStreams":         {grpc("connectionPool: {http: {<<maxConcurrentStreams: 7>>}}"), `"MaxConcurrentStreams":7`},
	"ConnectionPoolSettings.HTTPSettings.http2KeepAlive":               {grpc("connectionPool: {http: {<<http2KeepAlive: {interval: 5s, timeout: 1s}>>}}"), `"HTTP2Keepalive":{"Interval":5000000000,"Timeout":1000000000}`},
	"ConnectionPoolSettings.HTTPSettings.ConnectionKeepalive.interval": {grpc("connectionPool: {http: {http2KeepAlive: {timeout: 1s, <<interval: 5s>>}}}"), `"Interval":5000000000`},
	"ConnectionPoolSettings.HTTPSettings.ConnectionKeepalive.timeout":  {grpc("connectionPool: {http: {http2KeepAlive: {interval: 5s, <<timeout: 1s>>}}}"), `"Timeout":1000000000`},
	"OutlierDetection.consecutiveErrors":                               {policy("outlierDetection: {<<consecutiveErrors: 7>>}"), "same"},
	"OutlierDetection.splitExternalLocalOriginErrors":                  {policy("outlierDetection: {<<splitExternalLocalOriginErrors: true>>}"), `"SplitLocalOrigin":true`},
	"OutlierDetection.consecutiveLocalOriginFailures":                  {policy("outlierDetection: {splitExternalLocalOriginErrors: true, <<consecutiveLocalOriginFailures: 7>>}"), `"ConsecutiveLocalOrigin":7`},
	"OutlierDetection.consecutiveGatewayErrors":                        {policy("outlierDetection: {<<consecutiveGatewayErrors: 7>>}"), `"ConsecutiveGateway":7`},
	"OutlierDetection.consecutive5xxErrors":                            {policy("outlierDetection: {<<consecutive5xxErrors: 7>>}"), `"Consecutive5xx":7`},
	"OutlierDetection.interval":                                        {policy("outlierDetection: {<<interval: 7s>>}"), `"Interval":7000000000`},
	"OutlierDetection.baseEjectionTime":                                {policy("outlierDetection: {<<baseEjectionTime: 7s>>}"), `"BaseEjectionTime":7000000000`},
	"OutlierDetection.maxEjectionPercent":                              {policy("outlierDetection: {<<maxEjectionPercent: 70>>}"), `"MaxEjectionPercent":70`},
	"OutlierDetection.minHealthPercent":                                {policy("outlierDetection: {<<minHealthPercent: 70>>}"), `"MinHealthPercent":70`},
	"OutlierDetection.outlierDetectionHttpErrorCodes":                  {policy("outlierDetection: {<<outlierDetectionHttpErrorCodes: [429]>>}"), `"StatusCodes":[429]`},
	"ClientTLSSettings.mode":                                           {policy("tls: {sni: s.test, <<mode: SIMPLE>>}"), `"SNI":"s.test"`},
	"ClientTLSSettings.clientCertificate":                              {policy("tls: {mode: MUTUAL, privateKey: /k, <<clientCertificate: /c>>}"), `"CertFile":"/c"`},
	"ClientTLSSettings.privateKey":                                     {policy("tls: {mode: MUTUAL, clientCertificate: /c, <<privateKey: /k>>}"), `"KeyFile":"/k"`},
	"ClientTLSSettings.caCertificates":                                 {policy("tls: {mode: SIMPLE, <<caCertificates: /ca>>}"), `"CAFile":"/ca"`},
	"ClientTLSSettings.credentialName":                                 {policy("tls: {mode: SIMPLE, <<credentialName: rsa>>}"), `"CAFile":"/rsa.ca"`},
	"ClientTLSSettings.subjectAltNames":                                {policy("tls: {mode: SIMPLE, <<subjectAltNames: [s.test]>>}"), `"SubjectAltNames":["s.test"]`},
	"ClientTLSSettings.sni":                                            {policy("tls: {mode: SIMPLE, <<sni: s.test>>}"), `"SNI":"s.test"`},
	"ClientTLSSettings.insecureSkipVerify":                             {policy("tls: {mode: SIMPLE, <<insecureSkipVerify: true>>}"), `"TLS":{"SNI":"","VerifyHost":false}`},
	"ClientTLSSettings.caCrl":                                          {policy("tls: {mode: SIMPLE, caCertificates: /ca, <<caCrl: /crl>>}"), `"CRLFile":"/crl"`},
	"TrafficPolicy.PortTrafficPolicy.port":                             {policy("portLevelSettings: [{connectionPool: {tcp: {maxConnections: 7}}, <<port: {number: 80}>>}]"), `"MaxConnections":7`},
	"TrafficPolicy.PortTrafficPolicy.loadBalancer":                     {policy("portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {}}, <<loadBalancer: {simple: RANDOM}>>}]"), `"LoadBalancing":"random"`},
	"TrafficPolicy.PortTrafficPolicy.connectionPool":                   {policy("portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}, <<connectionPool: {tcp: {maxConnections: 7}}>>}]"), `"MaxConnections":7`},
	"TrafficPolicy.PortTrafficPolicy.outlierDetection":                 {policy("portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}, <<outlierDetection: {consecutive5xxErrors: 7}>>}]"), `"Consecutive5xx":7`},
	"TrafficPolicy.PortTrafficPolicy.tls":                              {policy("portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}, <<tls: {mode: SIMPLE, sni: s.test}>>}]"), `"SNI":"s.test"`},
	"TrafficPolicy.TunnelSettings.protocol":                            {policy("tunnel: {targetHost: t.test, targetPort: 443, <<protocol: POST>>}"), "refused: tunnels are not executed"},
	"TrafficPolicy.TunnelSettings.targetHost":                          {policy("tunnel: {targetPort: 443, <<targetHost: t.test>>}"), "error: tunnels are not executed"},
	"TrafficPolicy.TunnelSettings.targetPort":                          {policy("tunnel: {targetHost: t.test, <<targetPort: 443>>}"), "error: tunnels are not executed"},
	"TrafficPolicy.ProxyProtocol.version":                              {policy("proxyProtocol: {<<version: V2>>}"), `"ProxyProtocol":2`},
	"TrafficPolicy.RetryBudget.percent":                                {policy("retryBudget: {<<percent: 12>>}"), `"Percent":12`},
	"TrafficPolicy.RetryBudget.minRetryConcurrency":                    {policy("retryBudget: {<<minRetryConcurrency: 9>>}"), `"MinConcurrency":9`},
	"TrafficPolicy.RetryBudget.budgetInterval":                         {policy("retryBudget: {<<budgetInterval: 5s>>}"), `"Interval":5000000000`},

	"ServiceEntry.addresses":                 {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]\n<<addresses: [10.9.9.9]>>"), "same"},
	"ServiceEntry.workloadSelector":          {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + entryOf("10.0.0.9", "app: a") + destination("resolution: STATIC\n<<workloadSelector: {labels: {app: a}}>>"), `"Address":"10.0.0.9"`},
	"WorkloadSelector (ServiceEntry).labels": {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + entryOf("10.0.0.9", "app: a") + destination("resolution: STATIC\nworkloadSelector: {<<labels: {app: a}>>}"), `"Address":"10.0.0.9"`},
	"ServiceEntry.exportTo":                  {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]\n<<exportTo: ['.']>>"), "error: ServiceEntry default/a is not exported to namespace istio-system (exportTo: .)"},
	"ServiceEntry.subjectAltNames":           {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]\n<<subjectAltNames: [s.test]>>") + object("DestinationRule", "a", "host: a.test\ntrafficPolicy: {tls: {mode: SIMPLE}}"), `"SubjectAltNames":["s.test"]`},
	"ServicePort.targetPort":                 {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]\nports:\n- {number: 80, name: http, protocol: HTTP, <<targetPort: 8080>>}"), `"Port":8080`},
	"WorkloadEntry.ports":                    {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<ports: {http: 8080}>>}]"), `"Port":8080`},
	"WorkloadEntry.labels":                   {everything + ruled("a", "- route: [{destination: {host: a.test, subset: v1}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<labels: {version: v1}>>}]") + object("DestinationRule", "a", "host: a.test\nsubsets: [{name: v1, labels: {version: v1}}]"), `"Address":"10.0.0.1"`},
	"WorkloadEntry.network":                  {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<network: n1>>}]"), "same"},
	"WorkloadEntry.locality":                 {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<locality: r9/z9>>}]"), `"Region":"r9","Zone":"z9"`},
	"WorkloadEntry.weight":                   {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<weight: 7>>}]"), `"Weight":7`},
	"WorkloadEntry.serviceAccount":           {everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") + destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1, <<serviceAccount: sa>>}]"), "same"},
}

// grpc is a policy of a destination that speaks HTTP/2.
func grpc(trafficPolicy string) string {
	return everything + ruled("a", "- route: [{destination: {host: a.test}}]\n") +
		destination("resolution: STATIC\nendpoints: [{address: 10.0.0.1}]\nports:\n- {number: 80, name: grpc, protocol: GRPC}") +
		object("DestinationRule", "a", "host: a.test\ntrafficPolicy: {"+trafficPolicy+"}")
}

func entryOf(address, labels string) string {
	return object("WorkloadEntry", "w", "address: "+address+"\nlabels: {"+labels+"}")
}

// errorsOf are the errors among findings, but for destinations that are not there.
func errorsOf(findings string) (out []string) {
	for _, f := range strings.Split(findings, "\n") {
		if strings.Contains(f, " error: ") && !strings.Contains(f, "there is no cluster") {
			out = append(out, f)
		}
	}
	return out
}

// TestFields leaves each field out of a resource that has it, and wants the difference that it makes.
func TestFields(t *testing.T) {
	o := translate.Options{
		Locality: "r1/z1", Strict: true,
		Secrets: map[string]translate.SecretFiles{"rsa": {Cert: "/rsa.crt", Key: "/rsa.key", CA: "/rsa.ca"}, "ecdsa": {Cert: "/ecdsa.crt", Key: "/ecdsa.key", CA: "/ecdsa.ca"}},
	}
	planOf := func(resources string) (plan, problems string) {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(resources)}, version.All)
		p, more := translate.Plan(in.Set, o)
		for _, problem := range diag.Merge(in.Findings, more) {
			problems += problem.Code + " " + problem.String() + "\n"
		}
		text, err := json.Marshal(p)
		require.NoError(t, err)
		return string(text), problems
	}
	for name, f := range fields {
		t.Run(name, func(t *testing.T) {
			before, rest, ok := strings.Cut(f.resources, "<<")
			inner, after, closed := strings.Cut(rest, ">>")
			require.True(t, ok && closed)
			with, problems := planOf(before + inner + after)
			without, fewer := planOf(before + after)
			switch want, isError := strings.CutPrefix(f.effect, "error: "); {
			case isError:
				assert.Contains(t, problems, want)
				assert.NotContains(t, fewer, want)
			case strings.HasPrefix(f.effect, "refused: "): // what holds the field is refused, with it and without
				want = strings.TrimPrefix(f.effect, "refused: ")
				assert.Contains(t, problems, want)
				assert.Contains(t, fewer, want)
			case f.effect == "same":
				assert.Equal(t, without, with)
				assert.Equal(t, errorsOf(fewer), errorsOf(problems))
			case f.effect == "":
				assert.NotEqual(t, without, with)
				assert.Empty(t, errorsOf(problems))
			default:
				assert.Empty(t, errorsOf(problems))
				assert.Contains(t, with, f.effect, problems)
				assert.NotContains(t, without, f.effect)
			}
		})
	}
}
