// Package keypair reads certificates with their keys. It says what is wrong with them in words for who wrote the files, and
// not in those of crypto/tls about its inputs. It judges neither who signed a certificate nor its time.
package keypair

import (
	"crypto/tls"
	"errors"
	"strings"
)

// Parse reads a certificate, which may be followed by its authorities, and its key, all in PEM.
func Parse(cert, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return pair, errors.New(plain(strings.TrimPrefix(err.Error(), "tls: ")))
	}
	return pair, nil
}

// plain replaces those words of crypto/tls that only its authors understand.
func plain(text string) string {
	for _, m := range [][2]string{
		{"failed to find any PEM data in certificate input", "the certificate is not in PEM"},
		{"failed to find any PEM data in key input", "the key is not in PEM"},
		{"failed to find certificate PEM data in certificate input, but did find a private key", "there is a key where the certificate belongs; are they exchanged?"},
		{"found a certificate rather than a key", "there is a certificate where the key belongs"},
		{`failed to find "CERTIFICATE" PEM block`, "there is no certificate, but other PEM"},
		{"failed to find PEM block with type ending in", "there is no key, but other PEM"},
	} {
		if strings.HasPrefix(text, m[0]) {
			return m[1]
		}
	}
	return text
}
