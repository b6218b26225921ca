package keypair

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsWrongIsSaidInPlainWords(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
	require.NoError(t, err)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	private := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		return block("PRIVATE KEY", der)
	}
	cert, strange := block("CERTIFICATE", der), block("STRANGE", []byte("x"))
	for _, c := range []struct{ cert, key, want string }{
		{cert, private(key), ""},
		{"hello", private(key), "the certificate is not in PEM"},
		{cert, "hello", "the key is not in PEM"},
		{"", "", "the certificate is not in PEM"},
		{private(key), cert, "there is a key where the certificate belongs; are they exchanged?"},
		{cert, cert, "there is a certificate where the key belongs"},
		{strange, private(key), "there is no certificate, but other PEM"},
		{cert, strange, "there is no key, but other PEM"},
		{cert, private(other), "private key does not match public key"},
		{cert, private(edwards), "private key type does not match public key type"},
	} {
		_, err := Parse([]byte(c.cert), []byte(c.key))
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		assert.EqualError(t, err, c.want)
	}
}
