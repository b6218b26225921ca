package names

import (
	"slices"
	"strings"
)

// Ciphers of TLS that can be named.
var Ciphers = []string{
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA",
}

// IsCipher takes what begins with a sign on trust: it is an expression, as in -SHA.
func IsCipher(name string) bool {
	isName := func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }
	return name == "" || name == "ALL" || !isName(name[0]) || slices.Contains(Ciphers, name)
}

// cipherGroups are names of several ciphers that Envoy's TLS library knows behind a sign.
var cipherGroups = []string{
	"ALL", "kRSA", "kECDHE", "ECDHE", "EECDH", "kEECDH", "kPSK", "aRSA", "aECDSA", "ECDSA", "aPSK", "RSA", "PSK", "3DES", "AES128", "AES256", "AES", "AESGCM",
	"CHACHA20", "SHA1", "SHA", "SSLv3", "TLSv1", "TLSv1.2",
}

// IsCipherOfEnvoy says whether Envoy takes what Istio takes for a cipher: with a sign, a cipher or a group of them.
func IsCipherOfEnvoy(name string) bool {
	if name == "" || name == "ALL" || slices.Contains(Ciphers, name) {
		return true
	}
	rest := strings.TrimLeft(name[:1], "!+-")
	return rest == "" && (slices.Contains(Ciphers, name[1:]) || slices.Contains(cipherGroups, name[1:]))
}

// UsableCiphers are those of a list that Istio hands on: known ones, each once.
func UsableCiphers(names []string) []string {
	var out []string
	for _, name := range names {
		if IsCipher(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
