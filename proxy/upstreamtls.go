package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/routing"
)

// encryptor makes the encrypted connections to the endpoints of a cluster, as Envoy makes them for the same plan
// (DR-TLS-01 to DR-TLS-03).
//
// The hard case is a server name that comes from the request. Requests for two hosts that go to one endpoint must not
// share a connection, since the certificate was checked for the host of the first: in Envoy, the name is a part of the
// key of a pool of connections. net/http keeps connections by the host of the URL, so that host is not the endpoint, but
// the endpoint together with the server name; see [encryptor.target].
type encryptor struct {
	tls     *plan.UpstreamTLS
	client  *tls.Certificate // the proxy's certificate; nil for none
	roots   *x509.CertPool   // nil: no verification
	timeout time.Duration    // for a connection and its handshake
}

// newEncryptor reads the certificates of a cluster.
func newEncryptor(c *plan.Cluster) (*encryptor, error) {
	e := &encryptor{tls: c.TLS, timeout: cmp.Or(c.Pool.ConnectTimeout, connectTimeout)}
	var err error
	if c.TLS.Certificate != nil {
		if e.client, err = keyPair(c.TLS.Certificate); err != nil {
			return nil, err
		}
	}
	if c.TLS.Authority != nil {
		if revokes(c.TLS.Authority) {
			return nil, errors.New("it checks a list of revoked certificates: " + instead)
		}
		if e.roots, err = authorities(c.TLS.Authority); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// serverName returns the name that is sent as SNI for a request with an authority: that of the settings, else the host
// of the request. crypto/tls sends no address as SNI, and neither does Envoy (router.cc, auto_sni).
func (e *encryptor) serverName(authority string) string {
	if e.tls.SNI != "" {
		return e.tls.SNI
	}
	return strings.Trim(routing.Host(authority), "[]")
}

// target returns a host of a URL for the endpoint and the server name of a request. [encryptor.dial] connects to it.
func (e *encryptor) target(endpoint, authority string) string {
	return hex.EncodeToString([]byte(endpoint + "\x00" + e.serverName(authority)))
}

// transport makes what sends requests over encrypted connections. The protocol is that of the plan, whatever the server
// has chosen by ALPN, as in Envoy. Thus net/http must not see that the connection is encrypted, or it would choose.
func (e *encryptor) transport(http2 bool) *http.Transport {
	protocol := "http/1.1"
	if http2 {
		protocol = "h2"
	}
	t := newTransport(http2, func(ctx context.Context, _, target string) (net.Conn, error) { return e.dial(ctx, target, protocol) })
	t.MaxIdleConns, t.IdleConnTimeout = maxIdle, time.Hour // as Envoy's idle_timeout
	return t
}

// maxIdle bounds the idle connections to a cluster: clients choose server names, and each has connections of its own.
const maxIdle = 256

// dial connects to a target and completes the handshake. Every error is that of a connection that could not be made.
func (e *encryptor) dial(ctx context.Context, target, protocol string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	host, _, _ := strings.Cut(target, ":") // net/http adds a port
	text, err := hex.DecodeString(host)
	if err != nil {
		return nil, err
	}
	endpoint, name, _ := strings.Cut(string(text), "\x00")
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return nil, err
	}
	c := tls.Client(plain, e.config(name, protocol))
	if err := c.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // the handshake has failed
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: plain.RemoteAddr(), Err: fmt.Errorf("TLS handshake: %w", err)}
	}
	return c, nil
}

// config returns the settings of a connection. [encryptor.verify] checks the certificate in place of crypto/tls, which
// would require it to have the server name.
func (e *encryptor) config(name, protocol string) *tls.Config {
	out := &tls.Config{
		ServerName: name, NextProtos: []string{protocol},
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies
		VerifyConnection:   func(s tls.ConnectionState) error { return e.verify(s.PeerCertificates, name) },
	}
	if e.client != nil { // shown even if the server names other authorities, as by Envoy
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return e.client, nil }
	}
	return out
}

// verify checks a server's certificate: signed by the authority, and with the required names. Without an authority,
// nothing is checked, as in Envoy.
func (e *encryptor) verify(chain []*x509.Certificate, name string) error {
	if e.roots == nil {
		return nil
	}
	options := x509.VerifyOptions{Roots: e.roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return err
	}
	if e.tls.VerifyHost && !hasAnyName(chain[0], name) {
		return fmt.Errorf("the server's certificate does not have the name %q", name)
	}
	if names := e.tls.SubjectAltNames; len(names) > 0 && !hasOneOf(chain[0], names) {
		return fmt.Errorf("the server's certificate has none of the names %q", names)
	}
	return nil
}

// hasOneOf reports whether a certificate has one of the names, each compared with those of its own type. The types are
// found as for Envoy's match_typed_subject_alt_names.
func hasOneOf(c *x509.Certificate, names []string) bool {
	for _, name := range names {
		ip, err := netip.ParseAddr(name)
		found := false
		switch {
		case err == nil:
			found = hasAddress(c, ip.String())
		case strings.Contains(name, "://"):
			found = hasURI(c, name)
		case strings.Contains(name, "@"):
			found = hasEmail(c, name)
		default:
			found = hasDNSName(c, name)
		}
		if found {
			return true
		}
	}
	return false
}

// hasAnyName reports whether a certificate has a name, of whatever type (Envoy: auto_san_validation).
func hasAnyName(c *x509.Certificate, name string) bool {
	return hasDNSName(c, name) || hasAddress(c, name) || hasURI(c, name) || hasEmail(c, name)
}

func hasAddress(c *x509.Certificate, name string) bool {
	for _, ip := range c.IPAddresses {
		if ip.String() == name {
			return true
		}
	}
	return false
}

func hasURI(c *x509.Certificate, name string) bool {
	for _, u := range c.URIs {
		if u.String() == name {
			return true
		}
	}
	return false
}

func hasEmail(c *x509.Certificate, name string) bool {
	for _, address := range c.EmailAddresses {
		if address == name {
			return true
		}
	}
	return false
}

// hasDNSName reports whether a certificate is for a DNS name, by a wildcard as well.
func hasDNSName(c *x509.Certificate, name string) bool {
	for _, own := range c.DNSNames {
		if isNameFor(strings.ToLower(own), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// isNameFor reports whether a DNS name of a certificate, in lower case, is for a name: they are the same, or the first
// label has one "*", which stands for any part of the name's first label (Envoy: Utility::dnsNameMatch):
//
//	*.shop.test    a.shop.test, but neither a.b.shop.test nor shop.test
//	a*z.shop.test  abz.shop.test, az.shop.test
//	xn--*.test     nothing: the label is encoded
func isNameFor(own, name string) bool {
	if own == name {
		return true
	}
	label, rest, hasDot := strings.Cut(own, ".")
	first, others, more := strings.Cut(name, ".")
	before, after, isWildcard := strings.Cut(label, "*")
	return hasDot && more && isWildcard && rest == others && !strings.Contains(rest+after, "*") && !strings.HasPrefix(label, "xn--") &&
		len(label) <= len(first)+1 && strings.HasPrefix(first, before) && strings.HasSuffix(first, after)
}

// isConnectFailure reports whether an attempt failed because there was no connection, the handshake of TLS included.
func isConnectFailure(err error) bool {
	var e *net.OpError
	return errors.As(err, &e) && e.Op == "dial"
}
