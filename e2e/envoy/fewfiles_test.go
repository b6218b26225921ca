package envoy

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/resources"
)

// manyFiles are TLS servers with certificates of their own, and services with a warm-up.
func manyFiles(port uint32, issued []certs.Issued, services int, endpoint uint32) string {
	var b strings.Builder
	b.WriteString("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: default}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n")
	for i := range issued {
		fmt.Fprintf(&b, "  - {port: {number: %d, name: https-%d, protocol: HTTPS}, hosts: [h%d.test], tls: {mode: SIMPLE, credentialName: c%d}}\n", port, i, i, i)
	}
	b.WriteString("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: all, namespace: default}\nspec:\n  hosts: ['*']\n  gateways: [gw]\n  http:\n")
	for i := range services {
		fmt.Fprintf(&b, "  - {match: [{uri: {exact: /s%d}}], route: [{destination: {host: s%d.test}}]}\n", i, i)
	}
	b.WriteString("  - {directResponse: {status: 200}}\n")
	for i := range services {
		fmt.Fprintf(&b, `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: s%[1]d, namespace: default}
spec: {hosts: [s%[1]d.test], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: %[2]d, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s%[1]d, namespace: default}
spec: {host: s%[1]d.test, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 60s}}}}
`, i, endpoint)
	}
	for i, certificate := range issued {
		b.WriteString(certs.Secret(fmt.Sprintf("c%d", i), certificate, ""))
	}
	return b.String()
}

// TestFewFiles serves more certificates and services with a warm-up than a user has instances of inotify. Envoy gets few
// files, and takes a renewed certificate and another endpoint; what cannot be joined is refused before anything is written.
func TestFewFiles(t *testing.T) {
	const servers, services = 40, 110
	d := newDynamic(t, "--matching", "native")
	issuer := certs.NewIssuer(t, "authority")
	var issued []certs.Issued
	for i := range servers {
		issued = append(issued, issuer.Issue(t, fmt.Sprintf("first-%d", i), fmt.Sprintf("h%d.test", i)))
	}
	u, other := startUpstream(t, "one", nil), startUpstream(t, "two", nil)
	write := func(issued []certs.Issued, endpoint uint32) {
		resources.RenameInto(t, d.rules, manyFiles(d.port, issued, services, endpoint))
	}
	write(issued, u.port)
	stderr, status := d.translate(t)
	require.Zero(t, status, stderr)
	c := d.startEnvoy(t)
	shown := func(i int) string {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", fmt.Sprintf("127.0.0.1:%d", d.port),
			&tls.Config{ServerName: fmt.Sprintf("h%d.test", i), RootCAs: issuer.Pool()})
		if err != nil {
			return err.Error()
		}
		defer func() { _ = conn.Close() }() // the certificate was seen
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Eventually(t, func() bool { return shown(39) == "first-39" }, 20*time.Second, 20*time.Millisecond)
	assert.Equal(t, 2+servers, inotifyInstances(t, c.Process.Pid), "listeners, clusters and routes")

	issued[7] = issuer.Issue(t, "second-7", "h7.test")
	write(issued, other.port)
	stderr, status = d.translate(t)
	require.Zero(t, status, stderr)
	assert.Equal(t, "second-7", shown(7))
	assert.Equal(t, "first-8", shown(8))
	assert.Equal(t, 2+servers, inotifyInstances(t, c.Process.Pid))
	address := fmt.Sprintf("127.0.0.1:%d", d.port)
	got, err := getTLS(address, insecure("h3.test"), "h3.test", "/s109")
	require.NoError(t, err)
	assert.Equal(t, 200, got.status)

	before := contents(t, d.dir)
	for i := range 100 {
		issued = append(issued, issuer.Issue(t, "more", fmt.Sprintf("h%d.test", servers+i)))
	}
	write(issued, u.port)
	stderr, status = d.translate(t)
	assert.Equal(t, 65, status)
	assert.Contains(t, stderr, "envoy needs 100 more instances of inotify for the files of routes, filters and certificates")
	assert.Contains(t, stderr, "sysctl fs.inotify.max_user_instances")
	assert.Contains(t, stderr, "waymark serve")
	assert.Equal(t, before, contents(t, d.dir), "nothing is written")
}
