package envoy

import (
	"slices"
	"strings"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"waymark.dev/waymark/plan"
)

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

// secrets are a plan's certificates and authorities. They have paths where the user named files, and else the keys
// themselves: nobody but Envoy may read them. Envoy watches the folders of all files of a secret that has no
// watched_directory, which would be one only, and reads them again when something is renamed into one.
func secrets(p *plan.Plan) []*tlsv3.Secret {
	var out []*tlsv3.Secret
	pairs, authorities := credentials(p)
	for _, c := range pairs {
		out = append(out, &tlsv3.Secret{Name: c.Name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: tlsCertificate(c)}})
	}
	for _, c := range authorities {
		out = append(out, &tlsv3.Secret{Name: c.Name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: trusted(c)}})
	}
	return out
}
