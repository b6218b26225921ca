package files

import (
	"errors"
	"io/fs"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"waymark.dev/waymark/envoy"
)

// Watches is how many instances of inotify Envoy needs for the files: one for each, and one more for the folders of a
// secret's own files. Linux allows a user 128 of all processes together, unless fs.inotify.max_user_instances has another
// number; an Envoy that gets none ends at once.
func Watches(r *envoy.Resources) int {
	n := 2 // listeners and clusters
	for _, t := range envoy.Types {
		if !isWhole(t) {
			n += len(r.OfType(t))
		}
	}
	for _, s := range r.OfType(envoy.SecretType) {
		if namesFiles(s.Message.(*tlsv3.Secret)) {
			n++
		}
	}
	return n
}

// namesFiles: the secret names files, instead of having what is in them.
func namesFiles(s *tlsv3.Secret) bool {
	pair, trust := s.GetTlsCertificate(), s.GetValidationContext()
	return slices.ContainsFunc([]*corev3.DataSource{pair.GetCertificateChain(), pair.GetPrivateKey(), trust.GetTrustedCa(), trust.GetCrl()},
		func(d *corev3.DataSource) bool { return d.GetFilename() != "" })
}

// More is how many more instances of inotify an Envoy needs on the way from what is in the folder to other resources; see
// [Watches].
func (d *Dir) More(next *envoy.Resources) (int, error) {
	d.lacking = nil
	old, err := d.read(&envoy.Resources{})
	if errors.Is(err, fs.ErrNotExist) {
		return Watches(next), nil
	}
	if err != nil {
		return 0, err
	}
	added := &envoy.Resources{}
	for _, t := range envoy.Types {
		for _, r := range next.OfType(t) {
			if old.Get(r.Key) == nil {
				added.Set(r.Message)
			}
		}
	}
	return Watches(added) - Watches(&envoy.Resources{}), nil
}
