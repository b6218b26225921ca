package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/internal/keypair"
)

// tlsFiles are the certificates of a server. They are read again when they change: certificates are renewed while the
// server runs.
type tlsFiles struct {
	cert, key, clientCA string

	mu     sync.Mutex
	loaded *tls.Config
	stamp  [3]time.Time
	looked time.Time
}

// lookAgain is how often files are looked at.
const lookAgain = time.Second

// config is the server's side of the connections.
func (f *tlsFiles) config() (*tls.Config, error) {
	if _, err := f.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current() },
	}, nil
}

// current is the configuration of the files as they are. Where what they have now cannot be used, it is that of before.
func (f *tlsFiles) current() (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded != nil && time.Since(f.looked) < lookAgain {
		return f.loaded, nil
	}
	f.looked = time.Now()
	var stamp [3]time.Time
	for i, name := range []string{f.cert, f.key, f.clientCA} {
		if info, err := os.Stat(name); err == nil {
			stamp[i] = info.ModTime()
		}
	}
	if f.loaded != nil && stamp == f.stamp {
		return f.loaded, nil
	}
	c, err := f.read()
	if err != nil {
		if f.loaded != nil {
			return f.loaded, nil
		}
		return nil, err
	}
	f.loaded, f.stamp = c, stamp
	return c, nil
}

func (f *tlsFiles) read() (*tls.Config, error) {
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, err
	}
	pair, err := keypair.Parse(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.cert, f.key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{pair}}
	if f.clientCA == "" {
		return c, nil
	}
	ca, err := os.ReadFile(f.clientCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate of an authority", f.clientCA)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c, nil
}

// isLocal: only programs of this machine can connect.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// mayBe allows a client to be the node that its certificate names. A node gets the keys of the certificates in its
// namespace, so this is what must be proved:
//
//	spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT   a workload of the namespace, as in Istio
//	CLUSTER.NAMESPACE, or CLUSTER.NAMESPACE.svc and so on   the nodes of a cluster of Envoys in the namespace
func mayBe(c *x509.Certificate, n *corev3.Node) error {
	if c == nil {
		return errors.New("the connection has no certificate of a client")
	}
	namespace := n.GetMetadata().GetFields()[envoy.NamespaceMetadata].GetStringValue()
	if namespace == "" {
		return fmt.Errorf("node %q names no %s in its metadata", n.GetId(), envoy.NamespaceMetadata)
	}
	for _, u := range c.URIs {
		parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
		if u.Scheme == "spiffe" && len(parts) == 4 && parts[0] == "ns" && parts[2] == "sa" && parts[1] == namespace {
			return nil
		}
	}
	want := n.GetCluster() + "." + namespace
	if slices.ContainsFunc(c.DNSNames, func(name string) bool { return name == want || strings.HasPrefix(name, want+".") }) {
		return nil
	}
	return fmt.Errorf("the certificate of %s is for neither spiffe://…/ns/%s/sa/… nor %s, which node %q is", certificateNames(c), namespace, want, n.GetId())
}

func certificateNames(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 {
		return c.Subject.String()
	}
	return strings.Join(names, ", ")
}
