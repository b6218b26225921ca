package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

// issuer is an authority of certificates.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newIssuer(t *testing.T) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return &issuer{c, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (i *issuer) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.certificate)
	return p
}

// issue makes a certificate for names: addresses, URIs, e-mail addresses or DNS names.
func (i *issuer) issue(t *testing.T, names ...string) *plan.Credential {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		switch ip := net.ParseIP(name); {
		case ip != nil:
			c.IPAddresses = append(c.IPAddresses, ip)
		case strings.Contains(name, "://"):
			u, err := url.Parse(name)
			require.NoError(t, err)
			c.URIs = append(c.URIs, u)
		case strings.Contains(name, "@"):
			c.EmailAddresses = append(c.EmailAddresses, name)
		default:
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, i.certificate, key.Public(), i.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return &plan.Credential{
		Name: "kubernetes://test", Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func (i *issuer) authority() *plan.Credential { return &plan.Credential{Name: "ca", CA: i.pem} }

// destination is a server with TLS that answers with the server name of the connection, and the protocol.
func destination(t *testing.T, c *tls.Config) (endpoint string) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.ServerName+" "+r.Proto+" "+r.TLS.NegotiatedProtocol)
	}))
	c.NextProtos = []string{"h2", "http/1.1"}
	s.TLS, s.EnableHTTP2 = c, true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// ask sends a request to a cluster.
func ask(t *testing.T, b *balancer, endpoint string, up effect.Request) (string, error) {
	up.Method, up.Path = http.MethodGet, "/"
	response, err := send(t.Context(), b, endpoint, up, strings.NewReader(""), 0, 1)
	if err != nil {
		return "", err
	}
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body), nil
}

func encryptedCluster(t *testing.T, c *plan.Cluster) *balancer {
	e, err := newEncryptor(c)
	require.NoError(t, err)
	b := newBalancer(c)
	b.clients = newEncryptedClients(e)
	t.Cleanup(b.clients.closeIdle)
	return b
}

// DR-TLS-01 to DR-TLS-04
func TestDestinationsWithTLS(t *testing.T) {
	own, other := newIssuer(t), newIssuer(t)
	pair, err := keyPair(own.issue(t, "server.test", "*.wild.test", "spiffe://mesh/server", "a@mail.test", "127.0.0.9"))
	require.NoError(t, err)
	simple := destination(t, &tls.Config{Certificates: []tls.Certificate{*pair}})
	mutual := destination(t, &tls.Config{Certificates: []tls.Certificate{*pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: other.pool()})
	ca := own.authority()
	for sentence, c := range map[string]struct {
		tls       plan.UpstreamTLS
		http2     bool
		mutual    bool
		host      string
		answer    string // "" means that the request fails
		connected bool   // the connection is made, and then closed by the server
	}{
		"the settings' server name is sent":            {tls: plan.UpstreamTLS{Authority: ca, SNI: "sni.test"}, host: "host.test", answer: "sni.test HTTP/1.1 http/1.1"},
		"the request's host is sent, without its port": {tls: plan.UpstreamTLS{Authority: ca}, host: "host.test:8443", answer: "host.test HTTP/1.1 http/1.1"},
		"an address is not sent":                       {tls: plan.UpstreamTLS{Authority: ca, VerifyHost: true}, host: "127.0.0.9:1", answer: " HTTP/1.1 http/1.1"},
		"the certificate has the host":                 {tls: plan.UpstreamTLS{Authority: ca, VerifyHost: true}, host: "Server.test", answer: "Server.test HTTP/1.1 http/1.1"},
		"the certificate has the host by a wildcard":   {tls: plan.UpstreamTLS{Authority: ca, VerifyHost: true}, host: "a.wild.test", answer: "a.wild.test HTTP/1.1 http/1.1"},
		"the certificate does not have the host":       {tls: plan.UpstreamTLS{Authority: ca, VerifyHost: true}, host: "other.test"},
		"a DNS name is one of the names":               {tls: plan.UpstreamTLS{Authority: ca, SubjectAltNames: []string{"no.test", "server.test"}}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"a URI is one of the names":                    {tls: plan.UpstreamTLS{Authority: ca, SubjectAltNames: []string{"spiffe://mesh/server"}}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"an e-mail address is one of the names":        {tls: plan.UpstreamTLS{Authority: ca, SubjectAltNames: []string{"a@mail.test"}}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"an address is one of the names":               {tls: plan.UpstreamTLS{Authority: ca, SubjectAltNames: []string{"127.0.0.9"}}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"none of the names":                            {tls: plan.UpstreamTLS{Authority: ca, SubjectAltNames: []string{"no.test", "spiffe://mesh/no"}}, host: "server.test"},
		"one of the names, and not the host":           {tls: plan.UpstreamTLS{Authority: ca, VerifyHost: true, SubjectAltNames: []string{"server.test"}}, host: "h.test"},
		"another authority":                            {tls: plan.UpstreamTLS{Authority: other.authority(), SNI: "server.test"}, host: "server.test"},
		"without an authority, nothing is verified":    {tls: plan.UpstreamTLS{SubjectAltNames: []string{"no.test"}}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"HTTP/2":                                           {tls: plan.UpstreamTLS{Authority: ca}, http2: true, host: "h.test", answer: "h.test HTTP/2.0 h2"},
		"the server wants a client certificate":            {tls: plan.UpstreamTLS{Authority: ca}, mutual: true, host: "h.test", connected: true},
		"the client certificate is shown":                  {tls: plan.UpstreamTLS{Authority: ca, Certificate: other.issue(t, "client.test")}, mutual: true, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"the client certificate is of another authority":   {tls: plan.UpstreamTLS{Authority: ca, Certificate: own.issue(t, "client.test")}, mutual: true, host: "h.test", connected: true},
		"the client certificate is not wanted":             {tls: plan.UpstreamTLS{Authority: ca, Certificate: own.issue(t, "client.test")}, host: "h.test", answer: "h.test HTTP/1.1 http/1.1"},
		"the client certificate is shown, and HTTP/2 used": {tls: plan.UpstreamTLS{Authority: ca, Certificate: other.issue(t, "client.test")}, http2: true, mutual: true, host: "h.test", answer: "h.test HTTP/2.0 h2"},
	} {
		t.Run(sentence, func(t *testing.T) {
			endpoint := simple
			if c.mutual {
				endpoint = mutual
			}
			got, err := ask(t, encryptedCluster(t, &plan.Cluster{TLS: &c.tls, HTTP2: c.http2}), endpoint, effect.Request{Authority: c.host})
			if c.answer != "" {
				require.NoError(t, err)
				assert.Equal(t, c.answer, got)
				return
			}
			require.Error(t, err)
			assert.Equal(t, !c.connected, isConnectFailure(err), "%v", err)
			assert.True(t, shouldRetry(&plan.RetryPolicy{On: "reset"}, nil, err))
			assert.Equal(t, !c.connected, shouldRetry(&plan.RetryPolicy{On: "connect-failure"}, nil, err))
		})
	}
}

// A connection that was made for one host is not used for another, whose name the certificate may not have.
func TestHostsShareNoConnection(t *testing.T) {
	own := newIssuer(t)
	pair, err := keyPair(own.issue(t, "a.test"))
	require.NoError(t, err)
	endpoint := destination(t, &tls.Config{Certificates: []tls.Certificate{*pair}})
	for _, http2 := range []bool{false, true} {
		b := encryptedCluster(t, &plan.Cluster{TLS: &plan.UpstreamTLS{Authority: own.authority(), VerifyHost: true}, HTTP2: http2})
		for range 2 {
			_, err := ask(t, b, endpoint, effect.Request{Authority: "a.test"})
			require.NoError(t, err)
			_, err = ask(t, b, endpoint, effect.Request{Authority: "b.test"})
			require.ErrorContains(t, err, `dial tcp `+endpoint+`: TLS handshake: the server's certificate does not have the name "b.test"`)
		}
	}
}

// DR-CP-04
func TestTheClientsProtocolIsUsed(t *testing.T) {
	own := newIssuer(t)
	pair, err := keyPair(own.issue(t, "a.test"))
	require.NoError(t, err)
	endpoint := destination(t, &tls.Config{Certificates: []tls.Certificate{*pair}})
	b := encryptedCluster(t, &plan.Cluster{TLS: &plan.UpstreamTLS{Authority: own.authority()}, ClientProtocol: true})
	for http2, want := range map[bool]string{false: "a.test HTTP/1.1 http/1.1", true: "a.test HTTP/2.0 h2"} {
		got, err := ask(t, b, endpoint, effect.Request{Authority: "a.test", HTTP2: http2})
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

// A server that accepts a connection and then does not answer is a connection that could not be made: 503, and not the
// 504 of a rule's timeout.
func TestHandshakesEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	b := encryptedCluster(t, &plan.Cluster{TLS: &plan.UpstreamTLS{}, Pool: plan.ConnectionPool{ConnectTimeout: 50 * time.Millisecond}})
	b.endpoints = []string{l.Addr().String()}
	w := httptest.NewRecorder()
	ex := &exchange{
		proxy: &Proxy{}, state: &state{clusters: map[string]*balancer{"c": b}}, w: w, r: httptest.NewRequest(http.MethodGet, "/", nil),
		in:   effect.Request{Method: http.MethodGet, Path: "/", Authority: "a.test", Headers: effect.Headers{}},
		rule: effect.Of(&plan.Rule{Route: &plan.RouteAction{Destinations: []plan.Destination{{Cluster: "c"}}, Timeout: time.Minute}}),
	}
	begun := time.Now()
	ex.forward(nil)
	assert.Less(t, time.Since(begun), connectTimeout/2, "connectTimeout is that of the cluster")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "upstream connect error or disconnect/reset before headers. reset reason: connection timeout", w.Body.String())
	assert.Regexp(t, `^upstream_reset_before_response_started\{connection_timeout\|\S+\}$`, ex.log.Detail)
}

// A client gets Envoy's words about a destination that does not answer; those of the connection are for the log.
func TestDestinationsThatDoNotAnswer(t *testing.T) {
	own, other := newIssuer(t), newIssuer(t)
	pair, err := keyPair(own.issue(t, "a.test"))
	require.NoError(t, err)
	encrypted := destination(t, &tls.Config{Certificates: []tls.Certificate{*pair}})
	says := func(answer string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}()
		return l.Addr().String()
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	plain := newBalancer(&plan.Cluster{})
	plain.clients = newPlainClients()
	t.Cleanup(plain.clients.closeIdle)
	const text = "upstream connect error or disconnect/reset before headers. reset reason: "
	for what, c := range map[string]struct {
		b        *balancer
		endpoint string
		status   int
		body     string
		detail   string
	}{
		"nobody":                        {plain, nobody.Addr().String(), 503, text + "remote connection failure", "upstream_reset_before_response_started{remote_connection_failure|"},
		"one that closes":               {plain, says(""), 503, text + "connection termination", "upstream_reset_before_response_started{connection_termination|"},
		"one that does not speak HTTP":  {plain, says("hello\r\n\r\n"), 502, text + "protocol error", "upstream_reset_before_response_started{protocol_error|"},
		"one of another authority":      {encryptedCluster(t, &plan.Cluster{TLS: &plan.UpstreamTLS{Authority: other.authority()}}), encrypted, 503, text + "remote connection failure", "upstream_reset_before_response_started{remote_connection_failure|"},
		"a cluster without an endpoint": {plain, "", 503, "no healthy upstream", "no_healthy_upstream"},
	} {
		t.Run(what, func(t *testing.T) {
			c.b.endpoints = nil
			if c.endpoint != "" {
				c.b.endpoints = []string{c.endpoint}
			}
			w := httptest.NewRecorder()
			ex := &exchange{
				proxy: &Proxy{}, state: &state{clusters: map[string]*balancer{"c": c.b}}, w: w, r: httptest.NewRequest(http.MethodGet, "/", nil),
				in:   effect.Request{Method: http.MethodGet, Path: "/", Authority: "a.test", Headers: effect.Headers{}},
				rule: effect.Of(&plan.Rule{Route: &plan.RouteAction{Destinations: []plan.Destination{{Cluster: "c"}}}}),
			}
			ex.forward(nil)
			assert.Equal(t, c.status, w.Code)
			assert.Equal(t, c.body, w.Body.String())
			assert.True(t, strings.HasPrefix(ex.log.Detail, c.detail), ex.log.Detail)
			assert.NotContains(t, ex.log.Detail, " ")
		})
	}
}

// The connections that only a plan uses are closed with it.
func TestConnectionsEndWithTheirPlan(t *testing.T) {
	own := newIssuer(t)
	pair, err := keyPair(own.issue(t, "a.test"))
	require.NoError(t, err)
	closed := make(chan struct{}, 1)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*pair}}
	s.Config.ConnState = func(_ net.Conn, to http.ConnState) {
		if to == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.StartTLS()
	defer s.Close()
	b := encryptedCluster(t, &plan.Cluster{TLS: &plan.UpstreamTLS{Authority: own.authority()}})
	_, err = ask(t, b, s.Listener.Addr().String(), effect.Request{Authority: "a.test"})
	require.NoError(t, err)
	(&Proxy{}).retire(&state{clusters: map[string]*balancer{"c": b}})
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		assert.Fail(t, "the connection is still open")
	}
}

func TestNamesOfCertificates(t *testing.T) {
	for _, c := range []struct {
		own, name string
		want      bool
	}{
		{"a.test", "a.test", true}, {"a.test", "b.test", false}, {"a", "a", true}, {"*", "a", false},
		{"*.a.test", "x.a.test", true}, {"*.a.test", "a.test", false}, {"*.a.test", "x.y.a.test", false}, {"*.a.test", ".a.test", true},
		{"x*z.a.test", "xyz.a.test", true}, {"x*z.a.test", "xz.a.test", true}, {"xy*yz.a.test", "xyz.a.test", false}, {"x*.a.test", "yx.a.test", false},
		{"x**.a.test", "xy.a.test", false}, {"a.*.test", "a.b.test", false}, {"*.*.test", "a.b.test", false}, {"xn--*.test", "xn--a.test", false},
	} {
		assert.Equal(t, c.want, isNameFor(c.own, c.name), "%s for %s", c.own, c.name)
	}
}

// A cluster whose certificates cannot be used, or whose authority has a list that is not checked, is left out.
func TestClustersThatCannotBeReached(t *testing.T) {
	own := newIssuer(t)
	revoking := own.authority()
	revoking.CRL = []byte("a list")
	listener := &plan.Listener{Name: "l", Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{}, TLS: &plan.ServerTLS{Authority: own.authority()}}}}
	assert.Empty(t, notServed(listener))
	listener.Chains[0].TLS.Authority = revoking
	assert.Equal(t, "it checks a list of revoked client certificates", notServed(listener))
	missing := filepath.Join(t.TempDir(), "missing.pem")
	served, left := Servable(&plan.Plan{Clusters: []*plan.Cluster{
		{Name: "good", TLS: &plan.UpstreamTLS{Certificate: own.issue(t, "a.test"), Authority: own.authority()}},
		{Name: "unreadable", TLS: &plan.UpstreamTLS{Authority: &plan.Credential{Name: "file-root:" + missing, CAFile: missing}}},
		{Name: "keyless", TLS: &plan.UpstreamTLS{Certificate: &plan.Credential{Name: "kubernetes://c", Cert: own.pem}}},
		{Name: "revoking", TLS: &plan.UpstreamTLS{Authority: revoking}},
	}}, version.Of(version.Default))
	require.Len(t, served.Clusters, 1)
	require.EqualError(t, left.Err(), `warning: cluster unreadable: is left out, and its requests get 503: authority file-root:`+missing+`: open `+missing+`: no such file or directory
warning: cluster keyless: is left out, and its requests get 503: certificate c: the key is not in PEM
warning: cluster revoking: is left out, and its requests get 503: it checks a list of revoked certificates: the embedded data plane does not execute it; use --engine envoy`)
	require.NoError(t, os.WriteFile(missing, own.pem, 0o600))
	served, _ = Servable(&plan.Plan{Clusters: []*plan.Cluster{{Name: "read", TLS: &plan.UpstreamTLS{Authority: &plan.Credential{CAFile: missing}}}}}, version.Of(version.Default))
	require.Len(t, served.Clusters, 1)
}
