package envoy

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/routing/regex"
)

// pieces of patterns, good and bad ones.
var pieces = []string{
	`a`, `b*`, `(`, `)`, `[a-z]`, `[^a]`, `\d`, `\D`, `\w`, `\W`, `\s`, `\b`, `\B`, `^`, `$`, `|`, `?`, `+`, `*`, `{2}`, `{2,}`, `{2,5}`, `{0}`, `{1000}`,
	`{1001}`, `{,3}`, `{`, `}`, `]`, `[`, `[]a]`, `[^]a]`, `[a-]`, `[-a]`, `[z-a]`, `[[:alpha:]]`, `[[:word:]]`, `[[:foo:]]`, `[:alpha:]`, `(?i)`, `(?i:a)`,
	`(?-i)`, `(?s)`, `(?m)`, `(?U)`, `(?x)`, `(?P<n>a)`, `(?<n>a)`, `(?P<n>b)`, `(?P<1>a)`, `(?P<>a)`, `(?:a)`, `(?=a)`, `(?!a)`, `(?<=a)`, `(?#c)`, `\A`, `\z`,
	`\Z`, `\G`, `\pN`, `\PN`, `\pX`, `\pl`, `\p`, `\p{`, `\Q.*\E`, `\Q\p{x}\E`, `\Q`, `\E`, `\x41`, `\x{41}`, `\x{e9}`, `\x{100}`, `\x{20AC}`, `\x{10FFFF}`, `\x{110000}`, `\x`,
	`\x4`, `\xg`, `\x{}`, `\0`, `\07`, `\012`, `\101`, `\377`, `\400`, `\1`, `\8`, `\a`, `\f`, `\t`, `\n`, `\r`, `\v`, `\e`, `\cA`, `\u0041`, `\N`, `\X`, `\R`, `\h`, `\K`,
	`\-`, `\/`, `\_`, `\ `, `\é`, `é`, `€`, `[é]`, `[é-ü]`, `[à-€]`, `.`, `.*`, `.+?`, `.{2}?`, `a**`, `a*+`, `a++`, `a?+`, `a{2}{3}`, `(?i)é`, `(?i)K`, `(?i)ſ`,
	`[^\x00-\x{10FFFF}]`, `[^\x00-\xff]`, `[\b]`, `[\d-z]`, `[a-\d]`, `[\x{100}-\x{200}]`, `\pL`, `(|a)`, `()`, `(?:)`, "\n", ` `, `(?i)(?-i)`, `(?i-s)`, `(?--i)`,
	`(?i`, `(?`, `(?P<a`, `(?P=n)`, `(?P>n)`, `\k<n>`, `(?|a)`, `(?>a)`, `(a){500}`, `((a{30}){30})`, `((a{40}){40})`, `(a{1000}){2}`, `\b*`, `^*`, `$+`, `(?:^)*`,
	`\b{2}`, `[\p{Linear_B}]`, `[^\P{Linear_B}x]`, `(?i)\p{Linear_B}`,
}

// unicodeNames are those of Go's tables, and others that look like one.
func unicodeNames() []string {
	names := []string{"Any", "ASCII", "Letter", "Lowercase_Letter", "letter", "l", "greek", "GREEK", "Assigned", "Cased_Letter", "IsGreek", "Script=Greek", "^Greek",
		"^L", "^Linear_B", "L&", "Latn", "digit", "punct", "Linear-B", "LinearB"}
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Scripts, unicode.Categories, unicode.Properties} {
		for name := range tables {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// patterns are all names of Unicode in each form, all pieces, and pieces together.
func patterns() []string {
	var all []string
	for _, name := range unicodeNames() {
		all = append(all, `\p{`+name+`}`, `\P{`+name+`}`, `[\p{`+name+`}a]`)
	}
	all = append(all, pieces...)
	random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // the same patterns in every run
	for len(all) < 4000 {
		p := ""
		for range 2 + random.IntN(3) {
			p += pieces[random.IntN(len(pieces))]
		}
		all = append(all, p)
	}
	return all
}

// TestEnvoysTakeTheExpressions holds what package regex takes against real Envoys: of four thousand patterns, good and bad
// ones, each Envoy takes those and no others. (The one exception, \C, a byte of a character, is left out: Go has none.)
func TestEnvoysTakeTheExpressions(t *testing.T) {
	var asked []string
	for _, p := range patterns() {
		if utf8.ValidString(p) {
			asked = append(asked, p)
		}
	}
	var questions []envoytest.Question
	for _, p := range asked {
		questions = append(questions, envoytest.Question{Route: map[string]any{"match": map[string]any{"safe_regex": map[string]any{"regex": p}}}})
	}
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			refused, err := envoytest.Refusals(context.Background(), b, t.TempDir(), questions)
			require.NoError(t, err)
			encoding := regex.Latin1
			if b.Minor < 39 {
				encoding = regex.UTF8
			}
			good, bad := 0, 0
			for i, p := range asked {
				if refused[i] == "" {
					good++
				} else {
					bad++
				}
				_, err := regex.Compile(p, encoding)
				assert.Equal(t, refused[i] == "", err == nil, fmt.Sprintf("%q: we: %v, Envoy: %s", p, err, strings.TrimSpace(refused[i])))
			}
			assert.Greater(t, good, 1000)
			assert.Greater(t, bad, 500)
		})
	}
}

// TestEnvoysTakeTheKeys holds the keys that certificates are served with against real Envoys: what an Envoy refuses, we
// refuse with the place of the credential.
func TestEnvoysTakeTheKeys(t *testing.T) {
	weak := func(bits int) crypto.Signer {
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		return key
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		require.NoError(t, err)
		return key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := []struct {
		name string
		key  crypto.Signer
		say  string // "" where it is taken
	}{
		{"RSA 1024", weak(1024), "it is an RSA key of 1024 bits, and Envoy requires at least 2048"},
		{"RSA 2040", weak(2040), "it is an RSA key of 2040 bits"},
		{"RSA 2048", weak(2048), ""},
		{"RSA 3072", weak(3072), ""},
		{"P-224", curve(elliptic.P224()), "it is an ECDSA key of the curve P-224, and Envoy accepts only P-256, P-384 and P-521"},
		{"P-256", curve(elliptic.P256()), ""},
		{"P-384", curve(elliptic.P384()), ""},
		{"P-521", curve(elliptic.P521()), ""},
		{"Ed25519", edwards, ""},
	}
	var questions []envoytest.Question
	var pairs []certs.Issued
	for _, k := range keys {
		template := &x509.Certificate{SerialNumber: certs.Serial(), Subject: pkix.Name{CommonName: "a.test"}, DNSNames: []string{"a.test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.key.Public(), k.key)
		require.NoError(t, err)
		private, err := x509.MarshalPKCS8PrivateKey(k.key)
		require.NoError(t, err)
		pair := certs.Issued{Cert: certs.PEM("CERTIFICATE", der), Key: certs.PEM("PRIVATE KEY", private)}
		pairs = append(pairs, pair)
		questions = append(questions, envoytest.Question{TransportSocket: map[string]any{"name": "tls", "typed_config": map[string]any{
			"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
			"common_tls_context": map[string]any{"tls_certificates": []any{map[string]any{
				"certificate_chain": map[string]any{"inline_string": pair.Cert}, "private_key": map[string]any{"inline_string": pair.Key}}}},
		}}})
	}
	for i, k := range keys {
		_, stderr, status := program.Run(t, strings.Replace(resources.BadGateway, "$TLS", "credentialName: c", 1)+"---\n"+certs.Secret("c", pairs[i], ""), "translate", "-f", "-", "-o", "plan", "--strict")
		if k.say == "" {
			assert.Zero(t, status, "%s: %s", k.name, stderr)
			continue
		}
		assert.Equal(t, 65, status, k.name)
		assert.Contains(t, stderr, "Gateway default/gw: spec.servers[0].tls.credentialName: the key of ", k.name)
		assert.Contains(t, stderr, k.say)
	}
	for _, b := range envoys(t) {
		refused, err := envoytest.Refusals(context.Background(), b, t.TempDir(), questions)
		require.NoError(t, err)
		for i, k := range keys {
			assert.Equal(t, k.say == "", refused[i] == "", "%s on %s: %s", k.name, b.Version, refused[i])
		}
	}
}

// TestEnvoysTakeTheCiphers holds the list of ciphers that a server may have against real Envoys.
func TestEnvoysTakeTheCiphers(t *testing.T) {
	own := certs.NewIssuer(t, "own").Issue(t, "a.test")
	lists := map[string]bool{ // whether it is taken
		"[ECDHE-ECDSA-AES128-GCM-SHA256]": true, "[NOPE, ECDHE-ECDSA-AES128-GCM-SHA256]": true, "[NOPE]": true, "[ALL, -SHA]": true, "[ALL, '!3DES']": true,
		"[ALL, '!NOPE']": false, "[-SHA]": false, "[ALL, '@STRENGTH']": false, "[TLS_AES_128_GCM_SHA256]": true, "[ALL, ALL]": true,
	}
	for list, taken := range lists {
		yaml := strings.Replace(resources.BadGateway, "$TLS", "credentialName: c, cipherSuites: "+list, 1) + "---\n" + certs.Secret("c", own, "")
		_, stderr, status := program.Run(t, yaml, "check", "-f", "-")
		assert.Equal(t, !taken, status == 65, "%s: %s", list, stderr)
		if !taken {
			continue
		}
		p, _ := translateYAML(t, yaml, translate.Options{})
		tls := p.Listeners[0].Chains[0].TLS
		params := map[string]any{}
		if len(tls.Ciphers) > 0 {
			params["cipher_suites"] = tls.Ciphers
		}
		question := envoytest.Question{TransportSocket: map[string]any{"name": "tls", "typed_config": map[string]any{
			"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
			"common_tls_context": map[string]any{"tls_params": params, "tls_certificates": []any{map[string]any{
				"certificate_chain": map[string]any{"inline_string": own.Cert}, "private_key": map[string]any{"inline_string": own.Key}}}},
		}}}
		refused, err := envoytest.Refusals(context.Background(), defaultEnvoy(t), t.TempDir(), []envoytest.Question{question})
		require.NoError(t, err)
		assert.Empty(t, refused[0], list)
	}
}
