package gateway_test

import "strings"

func gatewayOf(fields string) string { return document("Gateway", "{servers: [{"+fields+"}]}") }

// Ports and hosts of servers where they do not matter.
const (
	http  = "port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']"
	https = "port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*']"
)

var gatewayFindings = map[string]finding{
	"a Gateway's name has no dots":               found(strings.Replace(gatewayOf(http), "name: a}", "name: a.b}", 1), "VAL-G-01 error"),
	"a Gateway has servers":                      found(document("Gateway", "{servers: []}"), "VAL-G-02 error"),
	"a server has hosts":                         found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}"), "VAL-G-03 error"),
	"a server has no short names":                found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: [reviews]"), "VAL-G-04 error"),
	"a server has names":                         found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: ['a b.c']"), "VAL-G-04 error"),
	"a star stands for a label":                  found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: ['*foo.com']"), "VAL-G-04 error"),
	"a host of a server has a namespace":         found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: [a_b/foo.com, /foo.com, '~/foo.com']"), "VAL-G-04 error", "VAL-G-04 error", "VAL-G-04 error"),
	"a namespace of a server has hosts":          found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: [a/]"), "VAL-G-04 error"),
	"an address with colons has no dot":          found(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: ['::1']"), "VAL-G-04 error"),
	"hosts of all namespaces":                    near(gatewayOf("port: {number: 80, name: a, protocol: HTTP}, hosts: ['*/*', ./*.foo.com, ns/a.b, 10.0.0.1]")),
	"a server has a port":                        found(gatewayOf("hosts: ['*']"), "VAL-G-05 error"),
	"a port has a name":                          found(gatewayOf("port: {number: 80, protocol: HTTP}, hosts: ['*']"), "VAL-G-05 error"),
	"a port has a protocol":                      found(gatewayOf("port: {number: 80, name: a, protocol: HTTP3}, hosts: ['*']"), "VAL-G-05 error"),
	"a port has a number":                        found(gatewayOf("port: {number: 65536, name: a, protocol: HTTP}, hosts: ['*']"), "VAL-G-05 error"),
	"a port has no target":                       found(gatewayOf("port: {number: 80, targetPort: 8080, name: a, protocol: HTTP}, hosts: ['*']"), "VAL-G-05 error"),
	"protocols may be small":                     near(gatewayOf("port: {number: 80, name: a, protocol: grpc-Web}, hosts: ['*']")),
	"a bad port is not held against tls":         found(gatewayOf("port: {number: 0, name: a, protocol: HTTPS}, hosts: ['*']"), "VAL-G-05 error"),
	"ports have different names":                 found(document("Gateway", "{servers: [{"+http+"}, {port: {number: 81, name: a, protocol: HTTP}, hosts: ['*']}]}"), "VAL-G-06 error"),
	"an address is bound":                        found(gatewayOf(http+", bind: localhost"), "VAL-G-07 error"),
	"a socket has no number":                     found(gatewayOf(http+", bind: unix:///run/x"), "VAL-G-07 error"),
	"a socket is a path":                         found(gatewayOf("port: {number: 0, name: a, protocol: HTTP}, hosts: ['*'], bind: unix://x"), "VAL-G-07 error"),
	"a socket has the number 0":                  near(gatewayOf("port: {number: 0, name: a, protocol: HTTP}, hosts: ['*'], bind: unix:///run/x")),
	"HTTPS needs tls":                            found(gatewayOf(https), "VAL-G-08 error"),
	"HTTPS may be passed through":                near(gatewayOf(https + ", tls: {}")),
	"plain HTTP has no tls":                      found(gatewayOf(http+", tls: {mode: SIMPLE, credentialName: x}"), "VAL-G-09 error"),
	"plain HTTP has no certificates":             found(gatewayOf(http+", tls: {httpsRedirect: true, caCertificates: x}"), "VAL-G-09 error", "VAL-G-14 warning"),
	"plain HTTP may redirect":                    near(gatewayOf(http + ", tls: {httpsRedirect: true}")),
	"TCP has no tls":                             found(gatewayOf("port: {number: 80, name: a, protocol: TCP}, hosts: ['*'], tls: {}"), "VAL-G-10 error"),
	"HTTPS does not redirect":                    found(gatewayOf(https+", tls: {httpsRedirect: true}"), "VAL-G-11 warning"),
	"old TLS needs old ciphers":                  found(gatewayOf(https+", tls: {minProtocolVersion: TLSV1_1}"), "VAL-G-12 warning"),
	"old TLS with a cipher":                      near(gatewayOf(https + ", tls: {minProtocolVersion: TLSV1_1, cipherSuites: [AES128-SHA, -ALL]}")),
	"ciphers are known, and stand once":          found(gatewayOf(https+", tls: {cipherSuites: [AES, AES128-SHA, AES128-SHA]}"), "VAL-G-12 warning", "VAL-G-12 warning"),
	"ISTIO_MUTUAL has no certificates":           found(gatewayOf(https+", tls: {mode: ISTIO_MUTUAL, credentialName: x, privateKey: 'y'}"), "VAL-G-13 error", "VAL-G-13 error"),
	"ISTIO_MUTUAL stands alone":                  near(gatewayOf(https + ", tls: {mode: ISTIO_MUTUAL}")),
	"what is passed through has no certificates": found(gatewayOf(https+", tls: {mode: AUTO_PASSTHROUGH, credentialName: x}"), "VAL-G-14 warning"),
	"certificates come from one place":           found(gatewayOf(https+", tls: {mode: SIMPLE, credentialName: x, credentialNames: ['y']}"), "VAL-G-15 error"),
	"SIMPLE has a certificate and a key":         found(gatewayOf(https+", tls: {mode: SIMPLE}"), "VAL-G-16 error", "VAL-G-16 error"),
	"MUTUAL has a CA too":                        found(gatewayOf(https+", tls: {mode: MUTUAL, serverCertificate: x, privateKey: 'y'}"), "VAL-G-16 error"),
	"OPTIONAL_MUTUAL has a CA too":               found(gatewayOf(https+", tls: {mode: OPTIONAL_MUTUAL, tlsCertificates: [{serverCertificate: x}]}"), "VAL-G-16 error", "VAL-G-16 error"),
	"a credential has it all":                    near(gatewayOf(https + ", tls: {mode: MUTUAL, credentialName: x}")),
	"two certificates are enough":                found(gatewayOf(https+", tls: {mode: SIMPLE, tlsCertificates: [{serverCertificate: x, privateKey: 'y'}, {serverCertificate: x, privateKey: 'y'}, {serverCertificate: x, privateKey: 'y'}]}"), "VAL-G-17 warning", "VAL-ANY-05 error"),
	"SIMPLE revokes nothing":                     found(gatewayOf(https+", tls: {mode: SIMPLE, serverCertificate: x, privateKey: 'y', caCrl: z}"), "VAL-G-18 error"),
	"a credential has its own list":              found(gatewayOf(https+", tls: {credentialName: x, caCrl: z}"), "VAL-G-14 warning", "VAL-G-18 error"),
	"a credential that settles it ends the look": near(gatewayOf(https + ", tls: {mode: SIMPLE, credentialName: x, caCrl: z}")),
}
