package plan

import (
	"time"

	"waymark.dev/waymark/diag"
)

// Credential is a certificate with its key, an authority's certificate, or both, as files or as content. Content is never
// printed: it comes from a Kubernetes Secret, and goes into files that Envoy watches and nobody else may read.
type Credential struct {
	// Name is what SDS calls it: kubernetes://NAME for a credentialName, else made of the files.
	Name string
	// Paths, as Envoy sees them; "" where there is none. CRLFile is a list of revoked certificates.
	CertFile, KeyFile, CAFile, CRLFile string
	// Content in PEM, where there are no paths.
	Cert, Key, CA, CRL []byte     `json:"-"`
	Source             diag.Place `json:"-"`
}

// HasContent says that the credential must be written into files before Envoy can read it.
func (c *Credential) HasContent() bool { return c.Cert != nil || c.CA != nil }

// ServerTLS are the settings of a server that terminates TLS (GW-TLS-01 to GW-TLS-03).
type ServerTLS struct {
	// Mode is Istio's: SIMPLE, MUTUAL, OPTIONAL_MUTUAL or ISTIO_MUTUAL.
	Mode string
	// Certificates are the server's own, of different key types where there are several.
	Certificates []*Credential
	// Authority verifies clients; nil: clients show no certificate. Required: those without one are refused.
	Authority     *Credential `json:",omitempty"`
	RequireClient bool
	// SubjectAltNames, SPKI and Hashes restrict which client certificates are taken; none: all that the authority signed.
	SubjectAltNames, SPKI, Hashes []string `json:",omitempty"`
	// MinVersion and MaxVersion are TLSV1_0 to TLSV1_3; "" is Envoy's default, 1.2 and 1.3.
	MinVersion, MaxVersion string   `json:",omitempty"`
	Ciphers                []string `json:",omitempty"`
	// HTTP offers h2 and http/1.1 by ALPN.
	HTTP bool
	// Server is the Gateway server these settings come from, for messages.
	Server diag.Place `json:"-"`
	// CredentialName is what the Gateway says, for messages.
	CredentialName string `json:",omitempty"`
}

// TCPProxy forwards connections (TCP-01 to TCP-05, TLS-02).
type TCPProxy struct {
	// Origin is the rule, in tcp[] or tls[] of a VirtualService.
	Origin Origin
	Source diag.Place `json:"-"`
	// Destinations by weight, at least one; each connection is given to one of them.
	Destinations []Destination
	// IdleTimeout closes connections on which nothing moves; nil is Envoy's hour, 0 never.
	IdleTimeout *time.Duration `json:",omitempty"`
}
