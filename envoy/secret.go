package envoy

import (
	"slices"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"waymark.dev/waymark/plan"
)

// secretConfig makes Envoy read a secret from a file of its own, and again whenever the file is replaced.
func secretConfig(name string, o *Options) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: o.watched(SecretPath(name))}
}

// credentials are all that a plan uses, each once, in the order of their names.
func credentials(p *plan.Plan) (pairs, authorities []*plan.Credential) {
	add := func(list *[]*plan.Credential, c *plan.Credential) {
		if c != nil && !slices.Contains(*list, c) {
			*list = append(*list, c)
		}
	}
	for _, l := range p.Listeners {
		for _, c := range l.Chains {
			if c.TLS == nil {
				continue
			}
			for _, certificate := range c.TLS.Certificates {
				add(&pairs, certificate)
			}
			add(&authorities, c.TLS.Authority)
		}
	}
	for _, c := range p.Clusters {
		if c.TLS != nil {
			add(&pairs, c.TLS.Certificate)
			add(&authorities, c.TLS.Authority)
		}
	}
	byName := func(a, b *plan.Credential) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(pairs, byName)
	slices.SortFunc(authorities, byName)
	return pairs, authorities
}

// Credentials are all certificates and authorities that a plan uses, each once.
func Credentials(p *plan.Plan) []*plan.Credential {
	pairs, authorities := credentials(p)
	for _, c := range authorities {
		if !slices.Contains(pairs, c) {
			pairs = append(pairs, c)
		}
	}
	return pairs
}

// secrets are the files of a plan's certificates, by name. They hold paths where the user named files, and else the keys
// themselves: nobody but Envoy may read them. Envoy watches the folders of all files of a secret that has no
// watched_directory, which would be one only, and reads them again when something is renamed into one.
func secrets(p *plan.Plan) (map[string][]byte, error) {
	files := map[string][]byte{}
	add := func(s *tlsv3.Secret) error {
		text, err := ResourceFile(s)
		files[SecretPath(s.Name)] = text
		return err
	}
	pairs, authorities := credentials(p)
	for _, c := range pairs {
		if err := add(&tlsv3.Secret{Name: c.Name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: tlsCertificate(c)}}); err != nil {
			return nil, err
		}
	}
	for _, c := range authorities {
		if err := add(&tlsv3.Secret{Name: c.Name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: trusted(c)}}); err != nil {
			return nil, err
		}
	}
	return files, nil
}
