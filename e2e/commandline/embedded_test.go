package commandline

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/envoy/process"
)

// The embedded data plane serves what it can of a set: it terminates TLS where a certificate is there, refuses a server
// name whose certificate is not, speaks HTTP/2 with TLS and without, and names what it leaves out. Stand-ins answer for services
// that no file has.
func TestEmbeddedServesWhatItCan(t *testing.T) {
	ports, err := process.FreePorts(3)
	require.NoError(t, err)
	own := certs.NewIssuer(t, "own")
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: %[1]d, name: https, protocol: HTTPS}, hosts: [a.test], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: %[1]d, name: other, protocol: HTTPS}, hosts: [b.test], tls: {mode: SIMPLE, credentialName: none}}
  - {port: {number: %[2]d, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: %[3]d, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec:
  hosts: [a.test, b.test]
  gateways: [gw]
  http: [{route: [{destination: {host: shop}}]}]
  tcp: [{match: [{port: %[3]d}], route: [{destination: {host: db}}]}]
---
%[4]s`, ports[0], ports[1], ports[2], certs.Secret("c", own.Issue(t, "a.test"), "")), 0o600))
	r := program.Serve(t, file, "--listen", "127.0.0.1", "--backends", "demo", "--settle", "0s")
	encrypted, plain := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	r.WaitFor(t, "listening on "+plain)
	assert.Contains(t, r.Output(), fmt.Sprintf("listener 0.0.0.0_%d is left out: it forwards connections", ports[2]))

	get := func(client *http.Client, url, host string) *http.Response {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		q.Host = host
		response, err := client.Do(q)
		require.NoError(t, err, r.Output())
		require.NoError(t, response.Body.Close())
		return response
	}
	withTLS := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.Pool(), ServerName: "a.test"}}}
	assert.Equal(t, http.StatusOK, get(withTLS, "https://"+encrypted+"/", "a.test").StatusCode)
	both := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: own.Pool(), ServerName: "a.test"}}}
	assert.Equal(t, "HTTP/2.0", get(both, "https://"+encrypted+"/", "a.test").Proto)
	_, err = tls.Dial("tcp", encrypted, &tls.Config{InsecureSkipVerify: true, ServerName: "b.test"})
	var alert tls.AlertError
	var refused *net.OpError
	assert.True(t, assert.ErrorAs(t, err, &refused) || assert.ErrorAs(t, err, &alert), "%v", err)

	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	response := get(&http.Client{Transport: &http.Transport{Protocols: protocols}}, "http://"+plain+"/", "a.test")
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Equal(t, 2, response.ProtoMajor)
	assert.Equal(t, "shop", response.Header.Get("X-Service"))
}

// The embedded data plane begins TLS to destinations as their DestinationRules say, and reads an authority again that has
// changed.
func TestEmbeddedSpeaksTLSToDestinations(t *testing.T) {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	servers, strangers := certs.NewIssuer(t, "servers"), certs.NewIssuer(t, "strangers")
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	resources.RenameInto(t, ca, strangers.PEM)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{servers.Issue(t, "shop.test").Pair(t)}})
	require.NoError(t, err)
	shop := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Name", r.TLS.ServerName) }), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = shop.Serve(l) }() // ends when it is closed
	t.Cleanup(func() { require.NoError(t, shop.Close()) })
	rules := fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: %[1]d, name: http, protocol: HTTP}, hosts: ["*"]}]}
`, ports[0])
	for name, sans := range map[string]string{"right": "shop.test", "wrong": "other.test"} {
		rules += fmt.Sprintf(`---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %[1]s}
spec: {hosts: [%[1]s.test], gateways: [gw], http: [{route: [{destination: {host: %[1]s.svc}}], retries: {attempts: 0}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s}
spec: {hosts: [%[1]s.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: %[2]d, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %[1]s}
spec: {host: %[1]s.svc, trafficPolicy: {tls: {mode: SIMPLE, sni: shop.test, caCertificates: %[3]s, subjectAltNames: [%[4]s]}}}
`, name, l.Addr().(*net.TCPAddr).Port, ca, sans)
	}
	file := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
	r := program.Serve(t, file, "--listen", "127.0.0.1", "--settle", "0s")
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	r.WaitFor(t, "listening on "+address)
	ask := func(host string) *http.Response {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
		require.NoError(t, err)
		q.Host = host
		response, err := http.DefaultClient.Do(q)
		require.NoError(t, err, r.Output())
		require.NoError(t, response.Body.Close())
		return response
	}
	assert.Equal(t, http.StatusServiceUnavailable, ask("right.test").StatusCode, "the authority is another one")
	resources.RenameInto(t, ca, servers.PEM)
	assert.Eventually(t, func() bool { return ask("right.test").StatusCode == http.StatusOK }, 10*time.Second, 50*time.Millisecond, r.Output())
	assert.Equal(t, "shop.test", ask("right.test").Header.Get("X-Name"))
	assert.Equal(t, http.StatusServiceUnavailable, ask("wrong.test").StatusCode)
	assert.NotContains(t, r.Output(), "is left out")
}
