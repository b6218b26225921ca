package envoy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
)

// tlsRules are servers of every mode on one port, told apart by SNI.
const tlsRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $TLS, name: simple, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [simple.test]
    tls: {mode: SIMPLE, credentialName: simple}
  - port: {number: $TLS, name: mutual, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [mutual.test]
    tls: {mode: MUTUAL, credentialName: mutual}
  - port: {number: $TLS, name: named, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [named.test]
    tls: {mode: MUTUAL, credentialName: mutual, subjectAltNames: [friend.test, "spiffe://mesh/friend"]}
  - port: {number: $TLS, name: optional, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [optional.test]
    tls: {mode: OPTIONAL_MUTUAL, credentialName: mutual}
  - port: {number: $TLS, name: mesh, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [mesh.test]
    tls: {mode: ISTIO_MUTUAL}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: more, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: $TLS, name: wild, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: ["*.wild.test"]
    tls: {mode: SIMPLE, serverCertificate: $CERT, privateKey: $KEY, minProtocolVersion: TLSV1_3}
  - port: {number: $TLS, name: exact, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [exact.wild.test]
    tls: {mode: SIMPLE, credentialName: simple, maxProtocolVersion: TLSV1_2, cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]}
  - port: {number: $TLS, name: pass, protocol: TLS}
    bind: 127.0.0.1
    hosts: [pass.test, "*.pass.test"]
    tls: {mode: PASSTHROUGH}
  - port: {number: $TLS, name: passhttps, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: [web.test]
    tls: {mode: PASSTHROUGH}
  - port: {number: $TLS, name: tcp, protocol: TLS}
    bind: 127.0.0.1
    hosts: [tcp.test]
    tls: {mode: MUTUAL, credentialName: mutual}
  - port: {number: $ANY, name: any, protocol: HTTPS}
    bind: 127.0.0.1
    hosts: ["*"]
    tls: {mode: SIMPLE, credentialName: any}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [simple.test, mutual.test, named.test, optional.test, mesh.test, "*.wild.test"]
  gateways: [web, more]
  http: [{route: [{destination: {host: web.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: opaque, namespace: default}
spec:
  hosts: [pass.test, "*.pass.test", tcp.test, web.test]
  gateways: [more]
  tls:
  - {match: [{sniHosts: [pass.test], port: $TLS}], route: [{destination: {host: exact.svc}}]}
  - {match: [{sniHosts: ["*.pass.test"], gateways: [default/more]}], route: [{destination: {host: wild.svc}}]}
  - {match: [{sniHosts: [web.test], port: 1}, {sniHosts: [web.test]}], route: [{destination: {host: https.svc}}]}
  tcp: [{match: [{port: $TLS}], route: [{destination: {host: plain.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: exact, namespace: default}
spec: {hosts: [exact.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $EXACT, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default}
spec: {hosts: [wild.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WILD, name: tls, protocol: TLS}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: https, namespace: default}
spec: {hosts: [https.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $HTTPS, name: https, protocol: HTTPS}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: plain, namespace: default}
spec: {hosts: [plain.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $PLAIN, name: tcp, protocol: TCP}]}
`

// GW-TLS-01 to GW-TLS-03, GW-MERGE-03, GW-MERGE-06, GW-404-01 to GW-404-03, TLS-01 to TLS-05, and rotation: everything that
// servers with TLS promise, on one port of one Envoy that is never started again.
func TestServersWithTLS(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		dir := t.TempDir()
		own, clients, strangers := certs.NewIssuer(t, "own"), certs.NewIssuer(t, "clients"), certs.NewIssuer(t, "strangers")
		opaque := certs.NewIssuer(t, "opaque")
		behind := opaque.Issue(t, "pass.test", "*.pass.test", "web.test")
		behindTLS := &tls.Config{Certificates: []tls.Certificate{behind.Pair(t)}}
		simple, mutual, mesh := own.Issue(t, "simple.test"), own.Issue(t, "mutual.test"), own.Issue(t, "mesh.test")
		cert, key := own.Issue(t, "files.test").Files(t, dir, "files")
		meshCert, meshKey := mesh.Files(t, dir, "mesh")
		resources.RenameInto(t, filepath.Join(dir, "ca.crt"), clients.PEM)
		n := names{
			"CERT": cert, "KEY": key, "WEB": startUpstream(t, "web", nil).port, "HTTPS": startUpstream(t, "https", behindTLS).port,
			"EXACT": tcpUpstream(t, "exact", behindTLS), "WILD": tcpUpstream(t, "wild", behindTLS), "PLAIN": tcpUpstream(t, "plain", nil),
		}.ports(t, "TLS", "ANY")
		o := translate.Options{Secrets: map[string]translate.SecretFiles{"default": {Cert: meshCert, Key: meshKey, CA: filepath.Join(dir, "ca.crt")}}}
		rules := n.expand(t, tlsRules) + certs.Secret("mutual", mutual, clients.PEM) + certs.Secret("any", own.Issue(t, "any.test"), "")
		p, _ := translateYAML(t, rules+certs.Secret("simple", simple, ""), o)
		d := openDoor(t, b, p, envoy.Options{})

		friend, other, stranger := clients.Issue(t, "friend.test"), clients.Issue(t, "other.test"), strangers.Issue(t, "friend.test")
		spiffe := clients.Issue(t, "nobody.test", "spiffe://mesh/friend")
		config := func(sni string, client *certs.Issued) *tls.Config {
			c := &tls.Config{ServerName: sni, InsecureSkipVerify: true} //nolint:gosec // which certificate is shown is what the test looks at
			if client != nil {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					pair := client.Pair(t)
					return &pair, nil
				}
			}
			return c
		}
		for sentence, q := range map[string]struct {
			sni, host string
			client    *certs.Issued
			shown     string // the certificate's name; "": the connection fails
			status    int
			upstream  string
		}{
			"SIMPLE shows the certificate of its credentialName":        {sni: "simple.test", shown: "simple.test", status: 200, upstream: "web"},
			"SNI knows no capitals":                                     {sni: "SIMPLE.test", host: "simple.test", shown: "simple.test", status: 200, upstream: "web"},
			"SIMPLE asks for no certificate":                            {sni: "simple.test", client: &stranger, shown: "simple.test", status: 200, upstream: "web"},
			"a Host that the server does not have gets 404":             {sni: "simple.test", host: "mutual.test", shown: "simple.test", status: 404},
			"an unknown Host gets 404":                                  {sni: "simple.test", host: "unknown.test", shown: "simple.test", status: 404},
			"an unknown SNI is closed in the handshake":                 {sni: "unknown.test"},
			"no SNI is closed in the handshake where no server has *":   {host: "simple.test"},
			"MUTUAL takes a client of its authority":                    {sni: "mutual.test", client: &other, shown: "mutual.test", status: 200, upstream: "web"},
			"MUTUAL refuses a client without certificate":               {sni: "mutual.test"},
			"MUTUAL refuses a client of another authority":              {sni: "mutual.test", client: &stranger},
			"subjectAltNames take a DNS name":                           {sni: "named.test", client: &friend, shown: "mutual.test", status: 200, upstream: "web"},
			"subjectAltNames take a URI":                                {sni: "named.test", client: &spiffe, shown: "mutual.test", status: 200, upstream: "web"},
			"subjectAltNames refuse another name of the same authority": {sni: "named.test", client: &other},
			"OPTIONAL_MUTUAL takes a client without certificate":        {sni: "optional.test", shown: "mutual.test", status: 200, upstream: "web"},
			"OPTIONAL_MUTUAL takes a client of its authority":           {sni: "optional.test", client: &other, shown: "mutual.test", status: 200, upstream: "web"},
			"OPTIONAL_MUTUAL refuses a client of another authority":     {sni: "optional.test", client: &stranger},
			"ISTIO_MUTUAL shows the mesh's certificate":                 {sni: "mesh.test", client: &other, shown: "mesh.test", status: 200, upstream: "web"},
			"ISTIO_MUTUAL refuses a client without certificate":         {sni: "mesh.test"},
			"a wildcard takes any depth":                                {sni: "a.b.wild.test", shown: "files.test", status: 200, upstream: "web"},
			"a wildcard does not take its suffix alone":                 {sni: "wild.test"},
			"the exact name wins over the wildcard":                     {sni: "exact.wild.test", shown: "simple.test", status: 200, upstream: "web"},
			"HTTPS with PASSTHROUGH is forwarded by tls[]":              {sni: "web.test", shown: "pass.test", status: 200, upstream: "https"},
		} {
			t.Run(sentence, func(t *testing.T) {
				host := q.host
				if host == "" {
					host = q.sni
				}
				got, err := getTLS(n.address("TLS"), config(q.sni, q.client), host, "/")
				if q.shown == "" {
					require.Error(t, err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, q.shown, got.server())
				assert.Equal(t, q.status, got.status)
				assert.Equal(t, q.upstream, got.headers.Get("X-Upstream"))
			})
		}

		t.Run("versions and ciphers", func(t *testing.T) {
			old, err := getTLS(n.address("TLS"), &tls.Config{ServerName: "exact.wild.test", InsecureSkipVerify: true}, "exact.wild.test", "/") //nolint:gosec // as above
			require.NoError(t, err)
			assert.EqualValues(t, tls.VersionTLS12, old.Version, "maxProtocolVersion")
			assert.Equal(t, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, old.CipherSuite)
			_, err = getTLS(n.address("TLS"), &tls.Config{ServerName: "exact.wild.test", InsecureSkipVerify: true, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, "exact.wild.test", "/") //nolint:gosec // as above
			require.Error(t, err, "a cipher that the server does not have")
			_, err = getTLS(n.address("TLS"), &tls.Config{ServerName: "a.wild.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, "a.wild.test", "/") //nolint:gosec // as above
			require.Error(t, err, "minProtocolVersion")
			_, err = getTLS(n.address("TLS"), &tls.Config{ServerName: "simple.test", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "simple.test", "/") //nolint:gosec // as above
			require.Error(t, err, "nothing below 1.2 where nothing is said")
		})

		t.Run("HTTP/2 by ALPN", func(t *testing.T) {
			conn, err := tls.Dial("tcp", n.address("TLS"), &tls.Config{ServerName: "simple.test", RootCAs: own.Pool(), NextProtos: []string{"h2", "http/1.1"}})
			require.NoError(t, err)
			assert.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol)
			require.NoError(t, conn.Close())
		})

		t.Run("a server for * takes any name, and none", func(t *testing.T) {
			for _, sni := range []string{"", "unknown.test"} {
				got, err := getTLS(n.address("ANY"), config(sni, nil), "a.test", "/")
				require.NoError(t, err)
				assert.Equal(t, "any.test", got.server())
				assert.Equal(t, http.StatusNotFound, got.status)
			}
		})

		t.Run("TLS for opaque destinations", func(t *testing.T) {
			for sni, want := range map[string]string{"pass.test": "exact", "a.b.pass.test": "wild"} {
				got, err := greet(n.address("TLS"), config(sni, nil))
				require.NoError(t, err, sni)
				assert.Equal(t, want, got)
			}
			got, err := greet(n.address("TLS"), config("tcp.test", &other))
			require.NoError(t, err)
			assert.Equal(t, "plain", got, "terminated, and forwarded by tcp[]")
			_, err = greet(n.address("TLS"), config("tcp.test", nil))
			require.Error(t, err)
		})

		t.Run("certificates change without a restart", func(t *testing.T) {
			kept, err := tls.Dial("tcp", n.address("TLS"), config("simple.test", nil))
			require.NoError(t, err)
			defer func() { _ = kept.Close() }()

			own.Issue(t, "new-files.test").Files(t, dir, "files")
			assert.Eventually(t, func() bool {
				got, err := getTLS(n.address("TLS"), config("a.wild.test", nil), "a.wild.test", "/")
				return err == nil && got.server() == "new-files.test" && got.status == http.StatusOK
			}, 10*time.Second, 50*time.Millisecond, "files that are replaced by renaming")

			p, _ := translateYAML(t, rules+certs.Secret("simple", own.Issue(t, "new-simple.test"), ""), o)
			d.apply(t, p)
			assert.Eventually(t, func() bool {
				got, err := getTLS(n.address("TLS"), config("simple.test", nil), "simple.test", "/")
				return err == nil && got.server() == "new-simple.test"
			}, 10*time.Second, 50*time.Millisecond, "a Secret document that changed")

			resources.RenameInto(t, filepath.Join(dir, "ca.crt"), strangers.PEM)
			assert.Eventually(t, func() bool {
				got, err := getTLS(n.address("TLS"), config("mesh.test", &stranger), "mesh.test", "/")
				return err == nil && got.status == http.StatusOK
			}, 10*time.Second, 50*time.Millisecond, "an authority")
			_, err = getTLS(n.address("TLS"), config("mesh.test", &other), "mesh.test", "/")
			require.Error(t, err, "the old authority is trusted no more")

			assert.EqualValues(t, 2, d.stat(t, "listener_manager.listener_create_success"), "no listener was made anew")
			assert.Zero(t, d.stat(t, "listener_manager.listener_modified"))
		})
	})
}

// GW-TLS-02. Envoys and the embedded data plane serve HTTP/1.1 and HTTP/2 at a server with TLS, and refuse the same.
func TestHTTP2WithTLS(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		http2WithTLSOn(t, func(p *plan.Plan) { openDoor(t, b, p, envoy.Options{}) })
	})
	t.Run("embedded", func(t *testing.T) {
		_, wasm := program.ReadModule(t)
		http2WithTLSOn(t, func(p *plan.Plan) {
			plane, err := proxy.New(t.Context(), wasm, proxy.Options{Intake: (&envoy.Options{}).Intake()})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, plane.Close(context.Background())) })
			require.NoError(t, plane.Apply(t.Context(), p))
		})
	})
}

func http2WithTLSOn(t *testing.T, serve func(*plan.Plan)) {
	own := certs.NewIssuer(t, "own")
	n := names{"WEB": startUpstream(t, "web", nil).port}.ports(t, "TLS")
	p, _ := translateYAML(t, n.expand(t, `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: $TLS, name: https, protocol: HTTPS}, bind: 127.0.0.1, hosts: [a.test], tls: {mode: SIMPLE, credentialName: a}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [a.test]
  gateways: [web]
  http:
  - match: [{scheme: {exact: https}, uri: {prefix: /web}}]
    route: [{destination: {host: web.svc}}]
  - match: [{uri: {prefix: /direct}}]
    directResponse: {status: 418}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
`)+certs.Secret("a", own.Issue(t, "a.test"), ""), translate.Options{})
	serve(p)
	for _, version := range []int{1, 2} {
		protocols := &http.Protocols{}
		protocols.SetHTTP1(version == 1)
		protocols.SetHTTP2(version == 2)
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{ServerName: "a.test", RootCAs: own.Pool()}}
		defer transport.CloseIdleConnections()
		for sentence, q := range map[string]struct {
			method, host, path string
			header             [2]string
			body               string
			status             int // 0: the stream is closed without an answer
		}{
			"a rule forwards":              {path: "/web", status: http.StatusOK},
			"a body":                       {method: http.MethodPost, path: "/web", body: strings.Repeat("b", 1<<20), status: http.StatusOK},
			"a rule answers":               {path: "/direct", status: 418},
			"no rule":                      {path: "/none", status: http.StatusNotFound},
			"another host":                 {host: "b.test", path: "/web", status: http.StatusNotFound},
			"a path that cannot be":        {path: "/web%00", status: http.StatusBadRequest},
			"a method that Envoy has not":  {method: "FETCH", path: "/web", status: map[int]int{1: http.StatusBadRequest, 2: http.StatusOK}[version]},
			"a header with an underscore":  {path: "/web", header: [2]string{"a_b", "1"}, status: map[int]int{1: http.StatusBadRequest}[version]},
			"a client's own decision":      {path: "/none", header: [2]string{"x-waymark-route", p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules[0].Outcomes[0].ID}, status: http.StatusNotFound},
			"a client's own internal name": {path: "/web", header: [2]string{"x-envoy-upstream-rq-timeout-ms", "1"}, status: http.StatusOK},
		} {
			t.Run(fmt.Sprintf("HTTP/%d, %s", version, sentence), func(t *testing.T) {
				r, err := http.NewRequestWithContext(t.Context(), cmp.Or(q.method, http.MethodGet), "https://"+n.address("TLS")+q.path, strings.NewReader(q.body))
				require.NoError(t, err)
				r.Host = cmp.Or(q.host, "a.test")
				if q.header[0] != "" {
					r.Header.Set(q.header[0], q.header[1])
				}
				response, err := transport.RoundTrip(r)
				if q.status == 0 {
					require.ErrorContains(t, err, "stream error")
					return
				}
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				assert.Equal(t, q.status, response.StatusCode)
				assert.Equal(t, version, response.ProtoMajor)
			})
		}
	}
}
