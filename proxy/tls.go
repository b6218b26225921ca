package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/internal/keypair"
	"waymark.dev/waymark/plan"
)

// terminator is a listener that terminates TLS.
type terminator struct {
	listener *plan.Listener
	configs  []*tls.Config // by chain; nil where the certificate cannot be used
}

// newTerminator makes the settings of all chains of a listener.
func newTerminator(l *plan.Listener) (*terminator, error) {
	t := &terminator{l, make([]*tls.Config, len(l.Chains))}
	for i, c := range l.Chains {
		if c.TLS.Unusable {
			continue
		}
		var err error
		if t.configs[i], err = serverTLS(c.TLS); err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
	}
	return t, nil
}

// config chooses the settings for a client by its server name.
func (t *terminator) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if i := effect.ChainFor(t.listener, hello.ServerName); i >= 0 && t.configs[i] != nil {
		return t.configs[i], nil
	}
	return nil, errNoChain
}

// serverTLS makes the settings with which a chain terminates TLS.
func serverTLS(t *plan.ServerTLS) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tlsVersion(t.MinVersion, tls.VersionTLS12), MaxVersion: tlsVersion(t.MaxVersion, 0)}
	if t.HTTP {
		out.NextProtos = []string{"h2", "http/1.1"}
	}
	for _, c := range t.Certificates {
		pair, err := keyPair(c)
		if err != nil {
			return nil, err
		}
		out.Certificates = append(out.Certificates, *pair)
	}
	if t.Authority == nil {
		return out, nil
	}
	var err error
	if out.ClientCAs, err = authorities(t.Authority); err != nil {
		return nil, err
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if t.RequireClient {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}

// keyPair reads a certificate and its key.
func keyPair(c *plan.Credential) (*tls.Certificate, error) {
	cert, err := content(c.Cert, c.CertFile)
	key, more := content(c.Key, c.KeyFile)
	if err = errors.Join(err, more); err == nil {
		var pair tls.Certificate
		if pair, err = keypair.Parse(cert, key); err == nil {
			return &pair, nil
		}
	}
	return nil, fmt.Errorf("certificate %s: %w", strings.TrimPrefix(c.Name, "kubernetes://"), err)
}

// authorities reads the certificates of an authority.
func authorities(c *plan.Credential) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	text, err := content(c.CA, c.CAFile)
	if err == nil && !pool.AppendCertsFromPEM(text) {
		err = errors.New("it has no certificate in PEM")
	}
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", strings.TrimPrefix(c.Name, "kubernetes://"), err)
	}
	return pool, nil
}

// revokes reports whether an authority has a list of revoked certificates, which the embedded data plane does not check.
func revokes(c *plan.Credential) bool { return len(c.CRL) > 0 || c.CRLFile != "" }

// content is a text, or else that of a file.
func content(text []byte, file string) ([]byte, error) {
	if text != nil || file == "" {
		return text, nil
	}
	return os.ReadFile(file)
}

func tlsVersion(name string, otherwise uint16) uint16 {
	if v, ok := map[string]uint16{"TLSV1_0": tls.VersionTLS10, "TLSV1_1": tls.VersionTLS11, "TLSV1_2": tls.VersionTLS12, "TLSV1_3": tls.VersionTLS13}[name]; ok {
		return v
	}
	return otherwise
}

var errNoChain = errors.New("no server has the name, or its certificate cannot be used")

// encrypted terminates TLS on the connections of a listener that does so in the plan in force.
type encrypted struct {
	net.Listener
	proxy *Proxy
	name  string
}

// Accept waits for the next connection.
func (e encrypted) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := e.proxy.acquire()
	defer s.requests.Done()
	t := s.tls[e.name]
	if t == nil {
		return c, nil
	}
	return tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS10, GetConfigForClient: t.config}), nil
}
