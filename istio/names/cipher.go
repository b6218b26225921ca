package names

import (
	"slices"
	"strings"
)

// Ciphers are the TLS ciphers that Istio knows by name.
var Ciphers = []string{
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
}

// IsCipher reports whether Istio accepts a name in cipherSuites (VAL-G-12). Istio accepts every name that does not
// begin with a letter or digit, such as the expression -SHA, without checking the rest.
func IsCipher(name string) bool {
	isName := func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }
	return name == "" || name == "ALL" || !isName(name[0]) || slices.Contains(Ciphers, name)
}

// cipherGroups are the names for groups of ciphers that Envoy's TLS library accepts after one of the signs !, + and -.
var cipherGroups = []string{
	"ALL", "kRSA", "kECDHE", "ECDHE", "EECDH", "kEECDH", "kPSK", "aRSA", "aECDSA", "ECDSA", "aPSK", "RSA", "PSK", "3DES", "AES128", "AES256", "AES", "AESGCM",
	"CHACHA20", "SHA1", "SHA", "SSLv3", "TLSv1", "TLSv1.2",
}

// IsCipherOfEnvoy reports whether Envoy, too, accepts a name that [IsCipher] accepts: a cipher, or a sign with a cipher
// or a group of ciphers (VAL-X-05).
func IsCipherOfEnvoy(name string) bool {
	if name == "" || name == "ALL" || slices.Contains(Ciphers, name) {
		return true
	}
	rest := strings.TrimLeft(name[:1], "!+-")
	return rest == "" && (slices.Contains(Ciphers, name[1:]) || slices.Contains(cipherGroups, name[1:]))
}

// UsableCiphers are the names of a list that Istio passes to Envoy: those that [IsCipher] accepts, each once.
func UsableCiphers(names []string) []string {
	var out []string
	for _, name := range names {
		if IsCipher(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
