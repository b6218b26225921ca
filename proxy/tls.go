package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"waymark.dev/waymark/plan"
)

// chainFor returns the index of the chain that Envoy gives a connection with a server name to: that with the most specific
// name, else the one without names; -1 if there is none.
func chainFor(l *plan.Listener, serverName string) int {
	serverName = strings.ToLower(serverName)
	best, length := -1, -1
	for i, c := range l.Chains {
		if len(c.ServerNames) == 0 && length < 0 {
			best, length = i, 0
		}
		for _, name := range c.ServerNames {
			n := -1
			switch {
			case name == serverName:
				n = 1 << 16 // exact
			case strings.HasPrefix(name, "*.") && strings.HasSuffix(serverName, name[1:]):
				n = len(name)
			}
			if n > length {
				best, length = i, n
			}
		}
	}
	return best
}

// serverTLS makes the settings with which a chain terminates TLS.
func serverTLS(t *plan.ServerTLS) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tlsVersion(t.MinVersion, tls.VersionTLS12), MaxVersion: tlsVersion(t.MaxVersion, 0), NextProtos: []string{"http/1.1"}}
	for _, c := range t.Certificates {
		cert, key, err := content(c.Cert, c.CertFile), content(c.Key, c.KeyFile), error(nil)
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %s", strings.TrimPrefix(c.Name, "kubernetes://"), strings.TrimPrefix(err.Error(), "tls: "))
		}
		out.Certificates = append(out.Certificates, pair)
	}
	if t.Authority == nil {
		return out, nil
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(content(t.Authority.CA, t.Authority.CAFile)) {
		return nil, fmt.Errorf("authority %s: it has no certificate in PEM", strings.TrimPrefix(t.Authority.Name, "kubernetes://"))
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if t.RequireClient {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}

// content is a text, or else that of a file; nil where it cannot be read.
func content(text []byte, file string) []byte {
	if text == nil && file != "" {
		text, _ = os.ReadFile(file) // the caller finds that nothing is there
	}
	return text
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
	if s.tls[e.name] == nil {
		return c, nil
	}
	return tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS10, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if config := s.tls[e.name](hello.ServerName); config != nil {
			return config, nil
		}
		return nil, errNoChain
	}}), nil
}
