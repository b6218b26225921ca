package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/plan"
)

// listenWithTLS serves with a server of a proxy, for the server name a.test. change prepares the server.
func listenWithTLS(t *testing.T, change func(*Proxy, *http.Server)) (address string, ca *issuer) {
	ca = newIssuer(t)
	settings := &plan.ServerTLS{HTTP: true, Certificates: []*plan.Credential{ca.issue(t, "a.test", "spiffe://mesh/server")}, Authority: ca.authority()}
	terminates, err := newTerminator(&plan.Listener{Name: "l", Chains: []*plan.FilterChain{{ServerNames: []string{"a.test"}, TLS: settings}}})
	require.NoError(t, err)
	p := &Proxy{options: Options{Access: func(Access) {}}, state: &state{tls: map[string]*terminator{"l": terminates}}}
	s := p.httpServer("l")
	change(p, s)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(watchedListener{encrypted{socket, p, "l"}}) }() // ends when the server is closed
	t.Cleanup(func() { _ = s.Close() })
	return socket.Addr().String(), ca
}

// GW-TLS-02
func TestClientsChooseTheProtocolByALPN(t *testing.T) {
	address, ca := listenWithTLS(t, func(_ *Proxy, s *http.Server) {
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := encryption(r)
			if assert.NotNil(t, c, "the connection's state is known") {
				_, _ = io.WriteString(w, c.ServerName+" "+r.Proto)
			}
		})
	})
	for what, c := range map[string]struct {
		offers []string
		chosen string
		http2  bool
		answer string
	}{
		"both":                   {[]string{"h2", "http/1.1"}, "h2", true, "a.test HTTP/2.0"},
		"HTTP/1.1":               {[]string{"http/1.1"}, "http/1.1", false, "a.test HTTP/1.1"},
		"nothing":                {nil, "", false, "a.test HTTP/1.1"},
		"nothing, and is HTTP/2": {nil, "", true, "a.test HTTP/2.0"}, // Envoy finds the preface as well
	} {
		t.Run(what, func(t *testing.T) {
			var chosen string
			settings := &tls.Config{ServerName: "a.test", RootCAs: ca.pool(), NextProtos: c.offers}
			client := newTransport(c.http2, func(_ context.Context, network, address string) (net.Conn, error) {
				conn, err := tls.Dial(network, address, settings)
				if err == nil {
					chosen = conn.ConnectionState().NegotiatedProtocol
				}
				return conn, err
			})
			defer client.CloseIdleConnections()
			response, err := (&http.Client{Transport: client}).Get("http://" + address)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, c.answer, string(body))
			assert.Equal(t, c.chosen, chosen)
		})
	}
	_, err := tls.Dial("tcp", address, &tls.Config{ServerName: "a.test", RootCAs: ca.pool(), NextProtos: []string{"h3"}})
	require.ErrorContains(t, err, "no application protocol")
}

// GW-HCM-02: a destination gets the certificate of the client; what the client sent is removed.
func TestClientCertificatesAreForwarded(t *testing.T) {
	address, ca := listenWithTLS(t, func(p *Proxy, s *http.Server) {
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ex := &exchange{proxy: p, state: p.state, listener: "l", r: r}
			in, refusal := ex.received()
			assert.Nil(t, refusal)
			_, _ = io.WriteString(w, strings.Join(in.Headers[clientCertHeader], "|"))
		})
	})
	pair, err := keyPair(ca.issue(t, "client.test"))
	require.NoError(t, err)
	for what, c := range map[string]struct {
		certificates []tls.Certificate
		want         string
	}{
		"none": {},
		"one":  {[]tls.Certificate{*pair}, ForwardedClientCert(pair.Leaf, []*url.URL{{Scheme: "spiffe", Host: "mesh", Path: "/server"}})},
	} {
		t.Run(what, func(t *testing.T) {
			client := newTransport(false, func(_ context.Context, network, address string) (net.Conn, error) {
				return tls.Dial(network, address, &tls.Config{ServerName: "a.test", RootCAs: ca.pool(), Certificates: c.certificates})
			})
			defer client.CloseIdleConnections()
			q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
			require.NoError(t, err)
			q.Header.Set("X-Forwarded-Client-Cert", "Hash=0")
			response, err := client.RoundTrip(q)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, c.want, string(body))
			if c.want != "" {
				assert.Regexp(t, `^By=spiffe://mesh/server;Hash=[0-9a-f]{64};Cert="-----BEGIN%20CERTIFICATE-----%0A[^";]*";Subject="";URI=;DNS=client\.test$`, string(body))
			}
		})
	}
}

// Clients with TLS are limited as those without, in HTTP/2 as in HTTP/1.1.
func TestClientsWithTLSAreLimited(t *testing.T) {
	address, ca := listenWithTLS(t, func(_ *Proxy, s *http.Server) { s.ReadHeaderTimeout = 200 * time.Millisecond })
	settings := &tls.Config{ServerName: "a.test", RootCAs: ca.pool()}
	for _, http2 := range []bool{false, true} {
		client := newTransport(http2, func(_ context.Context, network, address string) (net.Conn, error) {
			return tls.Dial(network, address, settings)
		})
		defer client.CloseIdleConnections()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
		require.NoError(t, err)
		response, err := client.RoundTrip(q)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusNotFound, response.StatusCode)
		q.Header.Set("x-large", strings.Repeat("a", 70<<10))
		response, err = client.RoundTrip(q)
		if http2 { // the server has told its limit, which the client obeys
			require.ErrorContains(t, err, "header list larger than peer's advertised limit")
			continue
		}
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	}

	closes := func(c net.Conn) {
		t.Helper()
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err := c.Read(make([]byte, 100))
		require.Error(t, err)
		assert.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the server closes the connection: %v", err)
		_ = c.Close()
	}
	silent, err := net.Dial("tcp", address)
	require.NoError(t, err)
	closes(silent) // no handshake
	for _, sent := range []string{"", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\n"} {
		c, err := tls.Dial("tcp", address, settings)
		require.NoError(t, err)
		_, err = io.WriteString(c, sent)
		require.NoError(t, err)
		closes(c)
	}
}
