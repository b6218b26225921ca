package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// Names that nothing has are warned of with the nearest name, and the rules that need them harm nothing else.
func TestWrongNames(t *testing.T) {
	rulesFor := func(key, spec string) string { return object("VirtualService", key, spec) }
	const answer = "\nhttp: [{directResponse: {status: 200}}]"
	shopTo := func(host string) string {
		return everything + rulesFor("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{route: [{destination: {host: "+host+"}}]}]") +
			object("Service", "prod/reviews", "ports: [{port: 80, name: http}]")
	}
	for what, c := range map[string]struct {
		yaml string
		o    translate.Options
		want []string // messages with their codes
	}{
		"a Gateway that is misspelt": {yaml: everything + rulesFor("a", "hosts: [a.com]\ngateways: [gv]"+answer),
			want: []string{`WM-NAME-01 spec.gateways[0]: there is no Gateway default/gv; did you mean "default/gw"?`}},
		"a Gateway of another namespace": {yaml: everything + rulesFor("shop/a", "hosts: [a.com]\ngateways: [gw]"+answer),
			want: []string{"WM-NAME-01 spec.gateways[0]: there is no Gateway shop/gw: the one of this name is in namespace default; write default/gw, or give --default-namespace default if the documents have none"}},
		"no Gateway although there are some": {yaml: everything + rulesFor("a", "hosts: [a.com]"+answer),
			want: []string{"WM-NAME-01 spec: names no Gateway, so only sidecars use it, and no gateway proxy does; if it is meant for one, add gateways: [default/gw]"}},
		"a host that no server has": {yaml: server("gw", "80/HTTP", "shop.com", "") + rulesFor("a", "hosts: [shop.con]\ngateways: [gw]"+answer),
			want: []string{`WM-NAME-02 spec.hosts[0]: no server of its Gateways has the host "shop.con", so that no request comes to its rules by it: they have shop.com; did you mean "shop.com"?`}},
		"a host for another namespace": {yaml: server("gw", "80/HTTP", "'prod/shop.com'", "") + rulesFor("a", "hosts: [shop.com]\ngateways: [gw]"+answer),
			want: []string{`WM-NAME-02 spec.hosts[0]: no server of its Gateways has the host "shop.com", so that no request comes to its rules by it: they have shop.com, and shop.com is for VirtualServices of namespace prod alone; this one is in default (--default-namespace prod, if its document has none)`}},
		"a destination that is misspelt": {yaml: shopTo("review.prod.svc.cluster.local"),
			want: []string{`WM-DEST-01 spec.http[0].route[0].destination: there is no cluster outbound|80||review.prod.svc.cluster.local: no Service or ServiceEntry has the host review.prod.svc.cluster.local; did you mean "reviews.prod.svc.cluster.local"?`}},
		"a short name of another namespace": {yaml: shopTo("reviews"),
			want: []string{"WM-DEST-01 spec.http[0].route[0].destination: there is no cluster outbound|80||reviews.default.svc.cluster.local: no Service or ServiceEntry has the host reviews.default.svc.cluster.local; did you mean reviews.prod.svc.cluster.local?"}},
		"a Service that is not exported": {yaml: strings.Replace(shopTo("reviews.prod.svc.cluster.local"), "name: reviews", "annotations: {networking.istio.io/exportTo: .}, name: reviews", 1),
			want: []string{"WM-DEST-01 spec.http[0].route[0].destination: there is no cluster outbound|80||reviews.prod.svc.cluster.local: Service prod/reviews is not exported to namespace istio-system (annotation networking.istio.io/exportTo: .)"}},
		"by DNS":                {yaml: shopTo("other.test"), o: translate.Options{DNSFallback: true}},
		"by a wildcard address": {yaml: shopTo("other.test"), o: translate.Options{Endpoints: map[string]string{"*.test": "10.0.0.1:80", "*": "10.0.0.2:80"}}},
		"a refused VirtualService": {yaml: everything + rulesFor("a", "hosts: [a.com, b.com]\ngateways: [gw]\nhttp: [{timeout: 0s}]") + rulesFor("b", "hosts: ['*.com']\ngateways: [gw]"+answer),
			want: []string{"WM-LEFT-01 : is left out: a.com is answered by the rules of VirtualService default/b, b.com is answered by the rules of VirtualService default/b"}},
		"a refused delegate": {yaml: everything + rulesFor("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{match: [{uri: {prefix: /a}}], delegate: {name: del, namespace: default}}, {directResponse: {status: 200}}]") +
			rulesFor("del", "http: [{timeout: 0s}]"),
			want: []string{"WM-NAME-03 spec.http[0].delegate: delegate default/del: it is refused; the rule is dropped",
				"WM-LEFT-01 : is left out: its rules are missing; VirtualService default/a delegates to it: without them, a.com is answered by the rules of VirtualService default/a"}},
		"a refused delegate that nothing names": {yaml: everything + rulesFor("del", "http: [{timeout: 0s}]"), want: []string{"WM-LEFT-01 : is left out: its rules are missing"}},
		"a delegate that is misspelt": {yaml: everything + rulesFor("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{delegate: {name: delgate}}, {delegate: {name: there}}]") +
			rulesFor("delegate", "http: [{directResponse: {status: 200}}]") + rulesFor("shop/there", "http: [{directResponse: {status: 200}}]"),
			want: []string{`WM-NAME-03 spec.http[0].delegate: delegate default/delgate: there is no VirtualService without hosts of that name; the rule is dropped; did you mean "default/delegate"?`,
				"WM-NAME-03 spec.http[1].delegate: delegate default/there: there is no VirtualService without hosts of that name; the rule is dropped; did you mean the one in namespace shop?"}},
		"a delegate with hosts": {yaml: everything + rulesFor("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{delegate: {name: b}}]") + rulesFor("b", "hosts: [b.com]\ngateways: [gw]"+answer),
			want: []string{"WM-NAME-03 spec.http[0].delegate: delegate default/b: that VirtualService has hosts, and only one without hosts can be a delegate; the rule is dropped"}},
		"a DestinationRule whose host is misspelt": {yaml: shopTo("reviews.prod.svc.cluster.local") + object("DestinationRule", "prod/d", "host: reviewz"),
			want: []string{`WM-NAME-04 spec.host: there is no Service or ServiceEntry with the host "reviewz.prod.svc.cluster.local", so the DestinationRule has no effect; did you mean "reviews.prod.svc.cluster.local"?`}},
		"a DestinationRule whose host is like no other": {yaml: shopTo("reviews.prod.svc.cluster.local") + object("DestinationRule", "prod/d", "host: elsewhere.example.com")},
		"a ServiceEntry that cannot be decoded": {yaml: shopTo("api.example.com") + object("DestinationRule", "prod/d", "host: api.example.com") +
			object("ServiceEntry", "e", "hosts: [api.example.com, '*.example.com']\nports: [{number: x}]"),
			want: []string{"WM-DEST-01 spec.http[0].route[0].destination: there is no cluster outbound|80||api.example.com: ServiceEntry default/e is refused",
				`WM-NAME-04 spec.host: there is no Service or ServiceEntry with the host "api.example.com", so the DestinationRule has no effect: ServiceEntry default/e is refused`,
				"WM-LEFT-01 : is left out: its hosts api.example.com, *.example.com are missing"}},
		"a wildcard of a ServiceEntry that cannot be decoded": {yaml: shopTo("api.example.com") + object("ServiceEntry", "e", "hosts: ['*.example.com']\nports: [{number: x}]"),
			want: []string{"WM-DEST-01 spec.http[0].route[0].destination: there is no cluster outbound|80||api.example.com: ServiceEntry default/e is refused",
				"WM-LEFT-01 : is left out: its host *.example.com is missing"}},
	} {
		t.Run(what, func(t *testing.T) {
			in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.yaml)}, version.All)
			p, findings := translate.Plan(in.Set, c.o)
			require.NotNil(t, p)
			var got []string
			for _, f := range findings {
				if strings.HasPrefix(f.Code, "WM-") {
					assert.Equal(t, diag.Warning, f.Severity)
					got = append(got, f.Code+" "+f.Field+": "+f.Message)
				}
			}
			assert.Equal(t, c.want, got)
			if strings.HasPrefix(what, "by ") {
				require.Len(t, p.Clusters, 1)
				assert.Len(t, p.Clusters[0].AllEndpoints(), 1)
			}
		})
	}
}

// A chain that another has the server names of, a server whose certificate is missing and a bad address are left out, and
// the others are served.
func TestServersHarmThemselvesAlone(t *testing.T) {
	yaml := server("a", "443/HTTPS", "a.com", "mode: SIMPLE, credentialName: none") + server("b", "443/HTTPS", "A.com", "mode: SIMPLE, credentialName: none") + everything +
		ruled("v", "- directResponse: {status: 200}")
	for strict, severity := range map[bool]diag.Severity{false: diag.Warning, true: diag.Error} {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(yaml)}, version.All)
		p, findings := translate.Plan(in.Set, translate.Options{Strict: strict})
		require.Len(t, p.Listeners, 2)
		for _, l := range p.Listeners {
			require.Len(t, l.Chains, 1)
			assert.Equal(t, l.Port == 443, l.Chains[0].TLS != nil && l.Chains[0].TLS.Unusable)
		}
		assert.True(t, p.ClosesConnections())
		var taken bool
		for _, f := range findings {
			if strings.Contains(f.Message, "is taken by") || strings.Contains(f.Message, "there is no Secret") {
				assert.Equal(t, severity, f.Severity, f)
				taken = taken || strings.Contains(f.Message, "is taken by")
			}
		}
		assert.True(t, taken)
	}
}

// A Secret that cannot be read is not said to be missing.
func TestSecretsThatCannotBeRead(t *testing.T) {
	const secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: bad, namespace: istio-system}\ndata: {tls.crt: '*'}\n"
	for mode, message := range map[string]string{"SIMPLE": "Secret istio-system/bad cannot be read", "MUTUAL": `there is no authority for "bad", since Secret istio-system/bad cannot be read`} {
		yaml := server("a", "443/HTTPS", "a.com", "mode: "+mode+", credentialName: bad") + ruled("v", "- directResponse: {status: 200}") + secret
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(yaml)}, version.All)
		_, findings := translate.Plan(in.Set, translate.Options{})
		assert.Contains(t, findings.Err().Error(), message)
		assert.NotContains(t, findings.Err().Error(), "there is no Secret")
	}
}

// The system trusts many authorities, and some have expired: nobody who writes a rule can do anything about it.
func TestAuthoritiesOfTheSystemAreNotCheckedForTime(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	old := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"Old"}}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, old, old, key.Public(), key)
	require.NoError(t, err)
	o := translate.Options{SystemAuthorities: "/system.crt", SystemIsHere: true, ReadFile: func(string) ([]byte, error) {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
	}}
	for field, want := range map[string]bool{"": false, ", caCertificates: system": false, ", caCertificates: /own.crt": true} {
		yaml := everything + ruled("v", "- route: [{destination: {host: a.test}}]") + object("ServiceEntry", "e", "hosts: [a.test]\nports: [{number: 443, name: https, protocol: HTTP}]\nresolution: STATIC\nendpoints: [{address: 127.0.0.1}]") +
			object("DestinationRule", "d", "host: a.test\ntrafficPolicy: {tls: {mode: SIMPLE"+field+"}}")
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(yaml)}, version.All)
		p, findings := translate.Plan(in.Set, o)
		require.Len(t, p.Clusters, 1)
		require.NotNil(t, p.Clusters[0].TLS)
		found := slices.ContainsFunc(findings, func(f diag.Finding) bool {
			return strings.Contains(f.Message, "the certificate of O=Old in /own.crt has expired on 2020-01-01")
		})
		assert.Equal(t, want, found, "%s: %v", field, findings)
		if !want {
			assert.NotContains(t, fmt.Sprint(findings), "expired")
		}
	}
}

// What is missing without a DestinationRule is told with its host.
func TestLostPolicies(t *testing.T) {
	o := &resource.Object{Kind: "DestinationRule", Namespace: "default", Name: "d"}
	_, findings := translate.Plan(&resource.Set{Refused: []resource.Refused{{Object: o, Hosts: []string{"reviews"}}}}, translate.Options{})
	require.EqualError(t, findings.Err(), "warning: DestinationRule default/d: is left out: the subsets and policies of reviews are missing")
}

// Names in the files are checked with all others of their kind; what may be in other files is not.
func TestCheckReportsNames(t *testing.T) {
	rules := object("VirtualService", "a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{delegate: {name: delgate}}, {directResponse: {status: 200}}]")
	for what, c := range map[string]struct {
		yaml string
		want []string
	}{
		"a delegate elsewhere":        {everything + rules, nil},
		"a delegate that is misspelt": {everything + rules + object("VirtualService", "delegate", "http: [{directResponse: {status: 200}}]"), []string{translate.CodeNoDelegate}},
		"a DestinationRule": {everything + object("DestinationRule", "d", "host: reviewz") + object("DestinationRule", "e", "host: elsewhere.example.com") +
			object("Service", "reviews", "ports: [{port: 80, name: http}]"), []string{translate.CodeNoHost}},
	} {
		t.Run(what, func(t *testing.T) {
			report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.yaml)}, version.All)
			report.Whole(translate.Options{})
			var codes []string
			for _, f := range report.Findings() {
				if strings.HasPrefix(f.Code, "WM-") {
					codes = append(codes, f.Code)
				}
			}
			assert.Equal(t, c.want, codes)
		})
	}
}

// The namespace of documents that have none is a choice of who reads them.
func TestDefaultNamespace(t *testing.T) {
	in := gateway.Load([]string{"-"}, resource.Options{DefaultNamespace: "prod", Stdin: strings.NewReader(ruleOf("{"+to+"}") + "---\n" + strings.Replace(ruleOf("{"+to+"}"), "name: a", "name: a, namespace: other", 1))}, version.All)
	require.Len(t, in.Set.VirtualServices, 2)
	assert.Equal(t, "prod/a", in.Set.VirtualServices[0].Key())
	assert.Equal(t, "other/a", in.Set.VirtualServices[1].Key())
}
