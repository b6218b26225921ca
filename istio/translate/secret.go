package translate

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/plan"
)

// SecretFiles are the files of a certificate, as Envoy sees them; CA may be "".
type SecretFiles struct{ Cert, Key, CA string }

// secretStore finds certificates by the names that Gateways and DestinationRules use, each once, and looks at them: what
// cannot work is said before Envoy is asked to use it.
type secretStore struct {
	options   *Options
	documents []*resource.Secret
	findings  *diag.Findings
	found     map[string]*plan.Credential
}

func newSecretStore(r *resource.Set, o *Options, findings *diag.Findings) *secretStore {
	return &secretStore{o, r.Secrets, findings, map[string]*plan.Credential{}}
}

// wanted is a place that needs a certificate.
type wanted struct {
	object *resource.Object
	field  string
}

// isContent says, and reports, that one of the texts that should be names or paths is a certificate or a key itself: it
// must not be printed as a name.
func (s *secretStore) isContent(w wanted, texts ...string) bool {
	for _, text := range texts {
		if strings.Contains(text, "-----BEGIN") || strings.ContainsAny(text, "\r\n") {
			s.findings.Add(diag.Error, "", w.object, w.field, "this must be a name or the path of a file, and it is the content of one")
			return true
		}
	}
	return false
}

// pair finds the certificate and key of a credentialName: files that the user named, else a Secret in the proxy's
// namespace (GW-TLS-03). nil means that the problem was reported.
func (s *secretStore) pair(name string, w wanted) *plan.Credential {
	if s.isContent(w, name) {
		return nil
	}
	return s.once("kubernetes://"+name, func(c *plan.Credential) bool {
		if files, ok := s.options.Secrets[name]; ok {
			c.CertFile, c.KeyFile = files.Cert, files.Key
			return s.checkPair(c, w)
		}
		d := s.document(name)
		if d == nil {
			s.missing(name, w)
			return false
		}
		c.Cert, c.Key, c.Source = first(d, "tls.crt", "cert"), first(d, "tls.key", "key"), d.Place("")
		if c.Cert == nil || c.Key == nil {
			s.findings.Add(diag.Error, "", w.object, w.field, "Secret %s has no certificate with a key; it needs tls.crt and tls.key", d.Key())
			return false
		}
		return s.checkPair(c, w)
	})
}

// authority finds the certificates that a credentialName's clients or servers are verified with: the Secret NAME-cacert,
// else what NAME itself holds.
func (s *secretStore) authority(name string, w wanted) *plan.Credential {
	if s.isContent(w, name) {
		return nil
	}
	return s.once("kubernetes://"+name+"-cacert", func(c *plan.Credential) bool {
		if files, ok := s.options.Secrets[name]; ok && files.CA != "" {
			c.CAFile = files.CA
			return s.checkAuthority(c, w)
		}
		for _, d := range []*resource.Secret{s.document(name + "-cacert"), s.document(name)} {
			if d == nil {
				continue
			}
			if ca := first(d, "ca.crt", "cacert"); ca != nil {
				c.CA, c.CRL, c.Source = ca, first(d, "ca.crl", "crl"), d.Place("")
				return s.checkAuthority(c, w)
			}
		}
		s.findings.Add(diag.Error, "", w.object, w.field, "there is no authority for %q: no Secret %s/%s-cacert or %s/%s with ca.crt; give it with --secret %s=CERT,KEY,CA",
			name, s.options.Namespace, name, s.options.Namespace, name, name)
		return false
	})
}

func (s *secretStore) missing(name string, w wanted) {
	s.findings.Add(diag.Error, "", w.object, w.field, "there is no Secret %s/%s; give its files with --secret %s=CERT,KEY[,CA]", s.options.Namespace, name, name)
}

// pairFiles is a certificate in files.
func (s *secretStore) pairFiles(cert, key string, w wanted) *plan.Credential {
	if s.isContent(w, cert, key) {
		return nil
	}
	return s.once("file-cert:"+cert+"~"+key, func(c *plan.Credential) bool {
		c.CertFile, c.KeyFile = cert, key
		return s.checkPair(c, w)
	})
}

// authorityFile is an authority in a file; "system" is what Envoy's system trusts (DR-TLS-01).
func (s *secretStore) authorityFile(ca, crl string, w wanted) *plan.Credential {
	if s.isContent(w, ca, crl) {
		return nil
	}
	return s.once("file-root:"+ca+"~"+crl, func(c *plan.Credential) bool {
		c.CAFile, c.CRLFile = ca, crl
		if ca == "system" {
			c.CAFile = s.options.SystemAuthorities
			return true // there or not, it is the system's
		}
		return s.checkAuthority(c, w)
	})
}

// once makes a credential, or returns the one of an earlier place. A broken one is nil ever after.
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

// document is a Secret of the proxy's namespace: Istio's gateways read no others.
func (s *secretStore) document(name string) *resource.Secret {
	for _, d := range s.documents {
		if d.Name == name && d.Namespace == s.options.Namespace {
			return d
		}
	}
	return nil
}

// first is the first value that a Secret has.
func first(d *resource.Secret, keys ...string) []byte {
	for _, key := range keys {
		if v := d.Data[key]; len(v) > 0 {
			return v
		}
	}
	return nil
}

// content reads a file, unless it is on another machine: then ok is false and nothing is wrong.
func (s *secretStore) content(path string, w wanted) (text []byte, ok bool) {
	if s.options.ReadFile == nil {
		return nil, false
	}
	text, err := s.options.ReadFile(path)
	if err != nil {
		s.findings.Add(diag.Error, "", w.object, w.field, "%s cannot be read: %s; with --remote-files, certificates are not looked for on this machine", path, err)
		return nil, false
	}
	return text, true
}

// checkPair says whether a certificate can be served.
func (s *secretStore) checkPair(c *plan.Credential, w wanted) bool {
	cert, key, what := c.Cert, c.Key, c.Source.String()
	if cert == nil {
		var ok, also bool
		cert, ok = s.content(c.CertFile, w)
		key, also = s.content(c.KeyFile, w)
		if !ok || !also {
			return s.options.ReadFile == nil
		}
		what = c.CertFile
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		s.findings.Add(diag.Error, "", w.object, w.field, "certificate and key of %s cannot be used together: %s", what, strings.TrimPrefix(err.Error(), "tls: "))
		return false
	}
	if problem := refusedKey(pair.Leaf); problem != "" {
		s.findings.Add(diag.Error, "", w.object, w.field, "the key of %s cannot be used: %s", what, problem)
		return false
	}
	s.checkTime(pair.Leaf, what, w)
	return true
}

// refusedKey says why Envoy takes no certificate with such a key, and with it no listener that has one; "" if it does.
// (envoy: context_impl.cc)
func refusedKey(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 {
			return fmt.Sprintf("it is an RSA key of %d bits, and Envoy takes none with less than 2048", n)
		}
	case *ecdsa.PublicKey:
		if name := key.Curve.Params().Name; name != "P-256" && name != "P-384" && name != "P-521" {
			return fmt.Sprintf("it is an ECDSA key of the curve %s, and Envoy takes P-256, P-384 and P-521", name)
		}
	}
	return ""
}

// checkAuthority says whether anybody can be verified with it.
func (s *secretStore) checkAuthority(c *plan.Credential, w wanted) bool {
	text, what := c.CA, c.Source.String()
	if text == nil {
		var ok bool
		if text, ok = s.content(c.CAFile, w); !ok {
			return s.options.ReadFile == nil
		}
		what = c.CAFile
	}
	certificates, err := parseCertificates(text)
	if err != nil {
		s.findings.Add(diag.Error, "", w.object, w.field, "the authority in %s cannot be used: %s", what, err)
		return false
	}
	for _, cert := range certificates {
		s.checkTime(cert, what, w)
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
		return nil, errors.New("it holds no certificate in PEM")
	}
	return out, nil
}

// checkTime warns of a certificate that no client takes, today or soon.
func (s *secretStore) checkTime(c *x509.Certificate, what string, w wanted) {
	const day = 24 * time.Hour
	now := time.Now()
	name := c.Subject.CommonName
	if len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	switch {
	case now.After(c.NotAfter):
		s.findings.Add(diag.Warning, "", w.object, w.field, "the certificate of %s in %s has expired on %s", name, what, c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		s.findings.Add(diag.Warning, "", w.object, w.field, "the certificate of %s in %s is not valid before %s", name, what, c.NotBefore.Format(time.DateOnly))
	case now.Add(7 * day).After(c.NotAfter):
		s.findings.Add(diag.Warning, "", w.object, w.field, "the certificate of %s in %s expires on %s", name, what, c.NotAfter.Format(time.DateOnly))
	}
}

// ParseSecretFiles reads NAME=CERT,KEY[,CA].
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
