package proxy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// clientCertHeader is the header that tells a destination about the client's certificate.
const clientCertHeader = "x-forwarded-client-cert"

// ForwardedClientCert is the value of x-forwarded-client-cert for a client's certificate and the URIs of the server's, as
// Envoy writes it for Istio's gateways (GW-HCM-02): Hash, Cert, Subject, URI and DNS. The keys Subject and URI are there
// without a value, too. (Envoy: conn_manager_utility.cc; compared with real Envoys by e2e/envoy/clientcert_test.go.)
func ForwardedClientCert(client *x509.Certificate, server []*url.URL) string {
	var all []string
	for _, u := range server {
		all = append(all, "By="+u.String())
	}
	hash := sha256.Sum256(client.Raw)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client.Raw})
	all = append(all, "Hash="+hex.EncodeToString(hash[:]), `Cert="`+pemEscapes.Replace(string(text))+`"`, `Subject="`+distinguishedName(client.RawSubject)+`"`)
	for _, u := range client.URIs {
		all = append(all, "URI="+u.String())
	}
	if len(client.URIs) == 0 {
		all = append(all, "URI=")
	}
	for _, name := range client.DNSNames {
		all = append(all, "DNS="+name)
	}
	return strings.Join(all, ";")
}

// pemEscapes are the characters of PEM that Envoy encodes.
var pemEscapes = strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D")

// attributeValue is an attribute of a distinguished name with the encoding of its value. A relative distinguished name is a set
// of them, which encoding/asn1 knows by the end of the type's name.
type attributeValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type relativeNameSET []attributeValue

// distinguishedName writes a name as BoringSSL does for RFC 2253: the last attribute first, with short names. The text "" is
// for a name that cannot be read, which no verified certificate has.
func distinguishedName(der []byte) string {
	var all []relativeNameSET
	if _, err := asn1.Unmarshal(der, &all); err != nil {
		return ""
	}
	var out strings.Builder
	for _, set := range slices.Backward(all) {
		separator := ","
		for _, a := range slices.Backward(set) {
			if out.Len() > 0 {
				out.WriteString(separator)
			}
			separator = "+"
			out.WriteString(a.text())
		}
	}
	return out.String()
}

// text is the attribute as NAME=VALUE. The value of an attribute without a short name, and one that is not a text, is its
// encoding in hexadecimal digits.
func (a attributeValue) text() string {
	name, known := shortNames[a.Type.String()]
	if !known {
		name = a.Type.String()
	}
	text, ok := textOf(a.Value)
	if !known || !ok {
		return name + "=#" + strings.ToUpper(hex.EncodeToString(a.Value.FullBytes))
	}
	return name + "=" + escapeRFC2253(text)
}

// textOf is the text of a value, in UTF-8.
func textOf(v asn1.RawValue) (string, bool) {
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
		return string(v.Bytes), true
	case asn1.TagT61String: // in practice Latin-1
		runes := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			runes[i] = rune(b)
		}
		return string(runes), true
	case asn1.TagBMPString:
		units := make([]uint16, len(v.Bytes)/2)
		for i := range units {
			units[i] = uint16(v.Bytes[2*i])<<8 | uint16(v.Bytes[2*i+1])
		}
		return string(utf16.Decode(units)), true
	default:
		return "", false
	}
}

func escapeRFC2253(text string) string {
	var out strings.Builder
	for i := range len(text) {
		b := text[i]
		switch {
		case b < ' ' || b >= 0x7f:
			fmt.Fprintf(&out, `\%02X`, b)
			continue
		case strings.IndexByte(`,+"\<>;`, b) >= 0, i == 0 && (b == ' ' || b == '#'), i == len(text)-1 && b == ' ':
			out.WriteByte('\\')
		}
		out.WriteByte(b)
	}
	return out.String()
}

// shortNames are those of BoringSSL, by the attribute's object identifier.
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode",
	"2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
}
