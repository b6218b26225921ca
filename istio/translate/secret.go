package translate

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/internal/keypair"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// SecretFiles are the paths of a certificate, its key and, or "", the authority's certificate, all in PEM, on Envoy's
// machine.
type SecretFiles struct{ Cert, Key, CA string }

// secretStore finds certificates by the names that Gateways and DestinationRules use, each once, and checks them, so
// that one that Envoy would refuse is reported before Envoy gets it.
type secretStore struct {
	options   *Options
	documents []*resource.Secret
	refused   []resource.Refused
	findings  *diag.Findings
	found     map[string]*plan.Credential // by the name in SDS; nil for one that cannot be used
}

func newSecretStore(r *resource.Set, o *Options, findings *diag.Findings) *secretStore {
	return &secretStore{o, r.Secrets, r.Refused, findings, map[string]*plan.Credential{}}
}

// credentialUse is a place in a resource that uses a certificate. Findings about the certificate are reported there.
type credentialUse struct {
	object *resource.Object
	field  string
}

// isContent reports whether one of the texts, which must be names or paths, is the content of a certificate or key, and
// adds a finding then. Such a text may be a private key, so it must not be printed as a name.
func (s *secretStore) isContent(use credentialUse, texts ...string) bool {
	for _, text := range texts {
		if holdsContent(text) {
			s.findings.Add(s.options.leftOut(), "", use.object, use.field, "this must be a name or the path of a file, and it is the content of one")
			return true
		}
	}
	return false
}

func holdsContent(text string) bool {
	return strings.Contains(text, "-----BEGIN") || strings.ContainsAny(text, "\r\n")
}

// pair returns the certificate and key of a credentialName: files that the user named, else a Secret in the proxy's
// namespace (GW-TLS-03). It is nil where they cannot be used, which is reported.
func (s *secretStore) pair(name string, use credentialUse) *plan.Credential {
	if s.isContent(use, name) {
		return nil
	}
	return s.once("kubernetes://"+name, func(c *plan.Credential) bool {
		if files, ok := s.options.Secrets[name]; ok {
			c.CertFile, c.KeyFile = files.Cert, files.Key
			return s.checkPair(c, use)
		}
		d := s.document(name)
		if d == nil {
			s.missing(name, use)
			return false
		}
		c.Cert, c.Key, c.Source = first(d, "tls.crt", "cert"), first(d, "tls.key", "key"), d.Place("")
		if c.Cert == nil || c.Key == nil {
			s.findings.Add(s.options.leftOut(), "", use.object, use.field, "Secret %s has no certificate with a key; it needs tls.crt and tls.key", d.Key())
			return false
		}
		return s.checkPair(c, use)
	})
}

// authority returns the authority that verifies clients or servers for a credentialName: that of the files that the
// user named, else of the Secret NAME-cacert, else of the Secret NAME. It is nil where there is none or it cannot be
// used, which is reported.
func (s *secretStore) authority(name string, use credentialUse) *plan.Credential {
	if s.isContent(use, name) {
		return nil
	}
	return s.once("kubernetes://"+name+"-cacert", func(c *plan.Credential) bool {
		if files, ok := s.options.Secrets[name]; ok && files.CA != "" {
			c.CAFile = files.CA
			return s.checkAuthority(c, use)
		}
		for _, d := range []*resource.Secret{s.document(name + "-cacert"), s.document(name)} {
			if d == nil {
				continue
			}
			if ca := first(d, "ca.crt", "cacert"); ca != nil {
				c.CA, c.CRL, c.Source = ca, first(d, "ca.crl", "crl"), d.Place("")
				return s.checkAuthority(c, use)
			}
		}
		if key := s.unreadable(name+"-cacert", name); key != "" {
			s.findings.Add(s.options.leftOut(), "", use.object, use.field, "there is no authority for %q, since Secret %s cannot be read", name, key)
			return false
		}
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "there is no authority for %q: no Secret %s/%s-cacert or %s/%s with ca.crt; give it with --secret %s=CERT,KEY,CA",
			name, s.options.Namespace, name, s.options.Namespace, name, name)
		return false
	})
}

func (s *secretStore) missing(name string, use credentialUse) {
	if key := s.unreadable(name); key != "" {
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "Secret %s cannot be read", key)
		return
	}
	s.findings.Add(s.options.leftOut(), "", use.object, use.field, "there is no Secret %s/%s; give its files with --secret %s=CERT,KEY[,CA]", s.options.Namespace, name, name)
}

// pairFiles returns the certificate and key in two files, or nil where they cannot be used, which is reported.
func (s *secretStore) pairFiles(cert, key string, use credentialUse) *plan.Credential {
	if s.isContent(use, cert, key) {
		return nil
	}
	return s.once("file-cert:"+cert+"~"+key, func(c *plan.Credential) bool {
		c.CertFile, c.KeyFile = cert, key
		return s.checkPair(c, use)
	})
}

// authorityFile returns the authority in a file; "system" stands for the authorities that Envoy's system trusts
// (DR-TLS-01). crl is a file with revoked certificates, or "". It is nil where the authority cannot be used, which is
// reported.
func (s *secretStore) authorityFile(ca, crl string, use credentialUse) *plan.Credential {
	if s.isContent(use, ca, crl) {
		return nil
	}
	return s.once("file-root:"+ca+"~"+crl, func(c *plan.Credential) bool {
		c.CAFile, c.CRLFile = ca, crl
		if ca == "system" {
			c.CAFile = s.options.SystemAuthorities
			if !s.options.SystemIsHere {
				return true
			}
		}
		return s.checkAuthority(c, use)
	})
}

// once makes the credential of a name at its first use, and returns the same one for later uses: nil where make
// returned false, so that a problem is reported once.
func (s *secretStore) once(name string, make func(*plan.Credential) bool) *plan.Credential {
	if c, ok := s.found[name]; ok {
		return c
	}
	c := &plan.Credential{Name: name}
	if !make(c) {
		c = nil
	}
	s.found[name] = c
	return c
}

// document returns a Secret of the proxy's namespace, or nil. Istio's gateways read no others.
func (s *secretStore) document(name string) *resource.Secret {
	for _, d := range s.documents {
		if d.Name == name && d.Namespace == s.options.Namespace {
			return d
		}
	}
	return nil
}

// unreadable returns the key of the first Secret of these names that was refused in the proxy's namespace, or "".
func (s *secretStore) unreadable(all ...string) string {
	for _, name := range all {
		for _, r := range s.refused {
			if r.Kind == "Secret" && r.Name == name && r.Namespace == s.options.Namespace {
				return r.Key()
			}
		}
	}
	return ""
}

// first returns the value of the first of the keys that a Secret has, or nil.
func first(d *resource.Secret, keys ...string) []byte {
	for _, key := range keys {
		if v := d.Data[key]; len(v) > 0 {
			return v
		}
	}
	return nil
}

// content reads a file. ok is false if it cannot be read, which is reported, and if the files are on another machine,
// which is not an error.
func (s *secretStore) content(path string, use credentialUse) (text []byte, ok bool) {
	if s.options.ReadFile == nil {
		return nil, false
	}
	text, err := s.options.ReadFile(path)
	if err != nil {
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "%s cannot be read: %s; with --remote-files, certificates are not looked for on this machine", path, err)
		return nil, false
	}
	return text, true
}

// checkPair reports whether Envoy can use a certificate and its key, and adds a finding if not. Files on another
// machine are not checked.
func (s *secretStore) checkPair(c *plan.Credential, use credentialUse) bool {
	cert, key, what := c.Cert, c.Key, c.Source.String()
	if cert == nil {
		var ok, also bool
		cert, ok = s.content(c.CertFile, use)
		key, also = s.content(c.KeyFile, use)
		if !ok || !also {
			return s.options.ReadFile == nil
		}
		what = c.CertFile
	}
	pair, err := keypair.Parse(cert, key)
	if err != nil {
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "certificate and key of %s cannot be used together: %s", what, err)
		return false
	}
	if problem := refusedKey(pair.Leaf); problem != "" {
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "the key of %s cannot be used: %s", what, problem)
		return false
	}
	s.checkTime(pair.Leaf, what, use)
	return true
}

// refusedKey returns the reason why Envoy refuses a certificate with such a key, or "". It refuses the whole listener
// then (envoy: context_impl.cc).
func refusedKey(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 {
			return fmt.Sprintf("it is an RSA key of %d bits, and Envoy requires at least 2048", n)
		}
	case *ecdsa.PublicKey:
		if name := key.Curve.Params().Name; name != "P-256" && name != "P-384" && name != "P-521" {
			return fmt.Sprintf("it is an ECDSA key of the curve %s, and Envoy accepts only P-256, P-384 and P-521", name)
		}
	}
	return ""
}

// checkAuthority reports whether an authority has certificates that can be parsed, and adds a finding if not. Files on
// another machine are not checked.
func (s *secretStore) checkAuthority(c *plan.Credential, use credentialUse) bool {
	text, what := c.CA, c.Source.String()
	if text == nil {
		var ok bool
		if text, ok = s.content(c.CAFile, use); !ok {
			return s.options.ReadFile == nil
		}
		what = c.CAFile
	}
	certificates, err := parseCertificates(text)
	if err != nil {
		s.findings.Add(s.options.leftOut(), "", use.object, use.field, "the authority in %s cannot be used: %s", what, err)
		return false
	}
	if c.CAFile == s.options.SystemAuthorities {
		return true // whoever wrote the field cannot renew one that has expired
	}
	for _, cert := range certificates {
		s.checkTime(cert, what, use)
	}
	return true
}

func parseCertificates(text []byte) (out []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("it has no certificate in PEM")
	}
	return out, nil
}

// checkTime warns of a certificate that has expired, expires within seven days, or is not valid yet.
func (s *secretStore) checkTime(c *x509.Certificate, what string, use credentialUse) {
	const day = 24 * time.Hour
	now := time.Now()
	name := cmp.Or(c.Subject.CommonName, c.Subject.String(), "serial number "+c.SerialNumber.String())
	if len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	switch {
	case now.After(c.NotAfter):
		s.findings.Add(diag.Warning, "", use.object, use.field, "the certificate of %s in %s has expired on %s", name, what, c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		s.findings.Add(diag.Warning, "", use.object, use.field, "the certificate of %s in %s is not valid before %s", name, what, c.NotBefore.Format(time.DateOnly))
	case now.Add(7 * day).After(c.NotAfter):
		s.findings.Add(diag.Warning, "", use.object, use.field, "the certificate of %s in %s expires on %s", name, what, c.NotAfter.Format(time.DateOnly))
	}
}

// ParseSecretFiles parses NAME=CERT,KEY[,CA], the value of the flag --secret. The error has the text and the expected
// form.
func ParseSecretFiles(text string) (name string, files SecretFiles, err error) {
	name, list, ok := strings.Cut(text, "=")
	parts := strings.Split(list, ",")
	if !ok || name == "" || len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return "", SecretFiles{}, fmt.Errorf("%q is not NAME=CERT,KEY[,CA]", text)
	}
	files = SecretFiles{Cert: parts[0], Key: parts[1]}
	if len(parts) == 3 {
		files.CA = parts[2]
	}
	return name, files, nil
}
