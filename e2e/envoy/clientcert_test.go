package envoy

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/proxy"
)

const clientCertRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $TLS, name: mutual, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [a.test]
    tls: {mode: OPTIONAL_MUTUAL, credentialName: c}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [a.test]
  gateways: [web]
  http: [{route: [{destination: {host: web.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
`

// GW-HCM-02: the embedded data plane tells a destination about a client's certificate what Envoy tells.
func TestClientCertificatesAreForwarded(t *testing.T) {
	own := certs.NewIssuer(t, "own")
	attribute := func(value any, oid ...int) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: oid, Value: value}
	}
	subject := func(sets ...pkix.RelativeDistinguishedNameSET) []byte {
		der, err := asn1.Marshal(pkix.RDNSequence(sets))
		require.NoError(t, err)
		return der
	}
	type set = pkix.RelativeDistinguishedNameSET
	for sentence, client := range map[string]certs.Issued{
		"a usual subject": own.IssueTo(t, subject(set{attribute("DE", 2, 5, 4, 6)}, set{attribute("Org", 2, 5, 4, 10)}, set{attribute("shop", 2, 5, 4, 3)}), "a.test", "*.b.test"),
		"URIs":            own.IssueTo(t, subject(set{attribute("shop", 2, 5, 4, 3)}), "spiffe://mesh/ns/a", "spiffe://mesh/ns/b"),
		"no subject":      own.IssueTo(t, subject(), "spiffe://mesh/ns/a"),
		"characters that are escaped": own.IssueTo(t, subject(set{attribute(` a,b+c"d\e<f>g;h=i `, 2, 5, 4, 3)}, set{attribute("#x", 2, 5, 4, 10)}, set{attribute("é\x01", 2, 5, 4, 11)},
			set{attribute("  ", 2, 5, 4, 7)}), "a.test"),
		"attributes of all kinds": own.IssueTo(t, subject(set{attribute("a@b.test", 1, 2, 840, 113549, 1, 9, 1), attribute("u", 0, 9, 2342, 19200300, 100, 1, 1)}, set{attribute("test", 0, 9, 2342, 19200300, 100, 1, 25)},
			set{attribute("1", 2, 5, 4, 5)}, set{attribute("s", 2, 5, 4, 4)}, set{attribute("street", 2, 5, 4, 9)}, set{attribute("p", 2, 5, 4, 17)}, set{attribute("t", 2, 5, 4, 12)}, set{attribute("own", 1, 3, 6, 1, 4, 1, 99999, 1)}), "a.test"),
	} {
		t.Run(sentence, func(t *testing.T) {
			onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
				server := own.Issue(t, "a.test", "spiffe://mesh/server")
				web := startUpstream(t, "web", nil)
				n := names{"WEB": web.port}.ports(t, "TLS")
				p, _ := translateYAML(t, n.expand(t, clientCertRules)+certs.Secret("c", server, own.PEM), translate.Options{})
				openDoor(t, b, p, envoy.Options{})
				pair := client.Pair(t)
				_, err := getTLS(n.address("TLS"), &tls.Config{ServerName: "a.test", RootCAs: own.Pool(), Certificates: []tls.Certificate{pair}}, "a.test", "/")
				require.NoError(t, err)
				certificate, err := x509.ParseCertificate(pair.Certificate[0])
				require.NoError(t, err)
				assert.Equal(t, []string{proxy.ForwardedClientCert(certificate, server.Pair(t).Leaf.URIs)}, web.observed.Load().Header["X-Forwarded-Client-Cert"])
			})
		})
	}
}
