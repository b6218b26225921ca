// Package certs issues certificates, and puts them where Waymark reads them: into files, and into Secrets.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/resources"
)

// Issuer is an authority of certificates.
type Issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	PEM         string
}

// Issued is a certificate and its key.
type Issued struct{ Cert, Key string }

// NewIssuer makes an authority of a name.
func NewIssuer(t testing.TB, name string) *Issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: Serial(), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &Issuer{certificate, key, PEM("CERTIFICATE", der)}
}

// Issue makes a certificate of some names: DNS names, or spiffe:// ones. It is valid for ten days.
func (i *Issuer) Issue(t testing.TB, list ...string) Issued {
	return i.IssueUntil(t, time.Now().Add(240*time.Hour), list...)
}

// IssueUntil makes one that is valid for 300 hours before a time.
func (i *Issuer) IssueUntil(t testing.TB, end time.Time, list ...string) Issued {
	return i.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: list[0]}, NotBefore: end.Add(-300 * time.Hour), NotAfter: end}, list)
}

// IssueTo makes one of a subject in DER. It is valid for an hour.
func (i *Issuer) IssueTo(t testing.TB, subject []byte, list ...string) Issued {
	return i.issue(t, &x509.Certificate{RawSubject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}, list)
}

func (i *Issuer) issue(t testing.TB, template *x509.Certificate, list []string) Issued {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, template.KeyUsage = Serial(), x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range list {
		if strings.Contains(name, "://") {
			u, err := url.Parse(name)
			require.NoError(t, err)
			template.URIs = append(template.URIs, u)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.certificate, key.Public(), i.key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return Issued{Cert: PEM("CERTIFICATE", der), Key: PEM("PRIVATE KEY", private)}
}

// Pool trusts the authority.
func (i *Issuer) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(i.certificate)
	return p
}

// Pair is the certificate with its key, as Go uses them.
func (c Issued) Pair(t testing.TB) tls.Certificate {
	pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
	require.NoError(t, err)
	return pair
}

// Files writes certificate and key into a folder, as Kubernetes and others do: by renaming.
func (c Issued) Files(t testing.TB, dir, name string) (cert, key string) {
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	resources.RenameInto(t, key, c.Key)
	resources.RenameInto(t, cert, c.Cert)
	return cert, key
}

// Secret is a Secret document in the namespace of the gateway.
func Secret(name string, c Issued, ca string) string {
	indent := func(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") }
	out := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: istio-system}\nstringData:\n"
	out += "  tls.crt: |\n    " + indent(c.Cert) + "\n  tls.key: |\n    " + indent(c.Key) + "\n"
	if ca != "" {
		out += "  ca.crt: |\n    " + indent(ca) + "\n"
	}
	return out
}

var serials atomic.Int64

// Serial is a number that no certificate has yet.
func Serial() *big.Int { return big.NewInt(serials.Add(1)) }

// PEM is the text form of a block.
func PEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
