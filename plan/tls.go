package plan

import (
	"time"

	"waymark.dev/waymark/diag"
)

// Credential is a certificate with its key, or an authority's certificates, as files or as content. Content comes from
// a Kubernetes Secret. It is never printed, and is written only to files that Envoy watches, with restricted
// permissions.
type Credential struct {
	// Name is the name of the secret in SDS: kubernetes://NAME for a credentialName, else composed of the paths.
	Name string
	// Paths on Envoy's machine; "" where there is none. CRLFile is a list of revoked certificates.
	CertFile, KeyFile, CAFile, CRLFile string
	// Content in PEM, where there are no paths.
	Cert, Key, CA, CRL []byte     `json:"-"`
	Source             diag.Place `json:"-"`
}

// HasContent reports whether the credential must be written to files before Envoy can read it.
func (c *Credential) HasContent() bool { return c.Cert != nil || c.CA != nil }

// ServerTLS are the settings of a server that terminates TLS (GW-TLS-01 to GW-TLS-03).
type ServerTLS struct {
	// Mode is Istio's name of the mode: SIMPLE, MUTUAL, OPTIONAL_MUTUAL or ISTIO_MUTUAL.
	Mode string
	// Certificates are the server's certificates, of different key types where there are several.
	Certificates []*Credential
	// Authority verifies client certificates; nil where clients are not asked for one. With RequireClient, clients
	// without a certificate are refused.
	Authority     *Credential `json:",omitempty"`
	RequireClient bool
	// SubjectAltNames, SPKI and Hashes restrict which client certificates are accepted; without any, all that the
	// authority signed are.
	SubjectAltNames, SPKI, Hashes []string `json:",omitempty"`
	// MinVersion and MaxVersion are TLSV1_0 to TLSV1_3; "" is Envoy's default, 1.2 and 1.3.
	MinVersion, MaxVersion string   `json:",omitempty"`
	Ciphers                []string `json:",omitempty"`
	// Unusable means that a certificate or the authority cannot be used, so that every connection is closed.
	Unusable bool `json:",omitempty"`
	// HTTP means that the server offers h2 and http/1.1 by ALPN.
	HTTP bool
	// Server is the place of these settings in a Gateway, for messages.
	Server diag.Place `json:"-"`
	// CredentialName is that of the Gateway's server, for messages.
	CredentialName string `json:",omitempty"`
}

// TCPProxy forwards connections (TCP-01 to TCP-05, TLS-02).
type TCPProxy struct {
	// Origin is the rule, in tcp[] or tls[] of a VirtualService, and Source its place in a file.
	Origin Origin
	Source diag.Place `json:"-"`
	// Destinations are at least one; each connection goes to one of them, chosen by weight.
	Destinations []Destination
	// IdleTimeout closes connections without traffic; nil is Envoy's default of one hour, 0 is never.
	IdleTimeout *time.Duration `json:",omitempty"`
}
