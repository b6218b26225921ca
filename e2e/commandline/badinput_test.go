package commandline

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/certs"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// Each is one sentence that names object and field.
func TestBadDoors(t *testing.T) {
	dir := t.TempDir()
	own := certs.NewIssuer(t, "own")
	good, other := own.Issue(t, "a.test"), own.Issue(t, "b.test")
	old := own.IssueUntil(t, time.Now().Add(-48*time.Hour), "a.test")
	soon := own.IssueUntil(t, time.Now().Add(48*time.Hour), "a.test")
	cert, key := good.Files(t, dir, "good")
	_, otherKey := other.Files(t, dir, "other")
	second := func(name, namespace, hosts, tls string) string {
		return strings.NewReplacer("name: gw, namespace: default", "name: "+name+", namespace: "+namespace, "[a.test]", hosts, "mode: SIMPLE, $TLS", tls).Replace(
			resources.BadGateway[:strings.Index(resources.BadGateway, "---")]) + "---\n"
	}
	rule := func(host string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: dr, namespace: default}\nspec: {host: " + host + ", trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n"
	}
	for what, c := range map[string]struct {
		tls, more string // settings of the server, and documents besides
		before    string
		status    int
		say       string // "": nothing
	}{
		"no Secret": {tls: "credentialName: none", status: 65,
			say: "error: Gateway default/gw: spec.servers[0].tls.credentialName: there is no Secret istio-system/none; give its files with --secret none=CERT,KEY[,CA]"},
		"a Secret of another namespace": {tls: "credentialName: c", more: strings.Replace(certs.Secret("c", good, ""), "istio-system", "default", 1), status: 65,
			say: "spec.servers[0].tls.credentialName: there is no Secret istio-system/c"},
		"no file": {tls: "serverCertificate: " + dir + "/none.crt, privateKey: " + key, status: 65,
			say: "error: Gateway default/gw: spec.servers[0].tls.serverCertificate: " + dir + "/none.crt cannot be read: no such file or directory; with --remote-files, certificates are not looked for on this machine"},
		"a key of another certificate": {tls: "serverCertificate: " + cert + ", privateKey: " + otherKey, status: 65,
			say: "error: Gateway default/gw: spec.servers[0].tls.serverCertificate: certificate and key of " + cert + " cannot be used together: private key does not match public key"},
		"a key of another certificate in a Secret": {tls: "credentialName: c", more: certs.Secret("c", certs.Issued{Cert: good.Cert, Key: other.Key}, ""), status: 65,
			say: "spec.servers[0].tls.credentialName: certificate and key of "},
		"a Secret without key": {tls: "credentialName: c", more: strings.Replace(certs.Secret("c", good, ""), "tls.key", "key.pem", 1), status: 65,
			say: "spec.servers[0].tls.credentialName: Secret istio-system/c has no certificate with a key; it needs tls.crt and tls.key"},
		"MUTUAL without an authority": {tls: "credentialName: c", before: "MUTUAL", more: certs.Secret("c", good, ""), status: 65,
			say: `spec.servers[0].tls.credentialName: there is no authority for "c": no Secret istio-system/c-cacert or istio-system/c with ca.crt`},
		"an expired certificate": {tls: "credentialName: c", more: certs.Secret("c", old, ""), status: 0,
			say: "warning: Gateway default/gw: spec.servers[0].tls.credentialName: the certificate of a.test in "},
		"a certificate that expires soon": {tls: "credentialName: c", more: certs.Secret("c", soon, ""), status: 0,
			say: " expires on " + time.Now().Add(48*time.Hour).Format(time.DateOnly)},
		"a host twice": {tls: "credentialName: c", more: certs.Secret("c", good, "") + "---\n" + second("gx", "default", "[a.test]", "mode: SIMPLE, credentialName: c"), status: 0,
			say: `warning: Gateway default/gx: spec.servers[0].hosts: host "a.test" is served on port 8443 by Gateway default/gw already; the whole server is skipped (GW-MERGE-03)`},
		"a server name twice by hosts of two namespaces": {tls: "credentialName: c", status: 65,
			more: certs.Secret("c", good, "") + "---\n" + second("gx", "default", "[other/a.test]", "mode: SIMPLE, credentialName: c"),
			say:  `error: Gateway default/gx: spec.servers[0].hosts: the server name "a.test" on port 8443 is taken by Gateway default/gw, spec.servers[0], which is served there alone`},
		"a server name that differs in case": {tls: "credentialName: c", status: 65,
			more: certs.Secret("c", good, "") + "---\n" + second("gx", "default", "[A.test]", "mode: SIMPLE, credentialName: c"),
			say:  `the server name "a.test" on port 8443 is taken by Gateway default/gw`},
		"a rule without service": {tls: "credentialName: c", more: certs.Secret("c", good, "") + rule("nowhere.test"), status: 0,
			say: `warning: DestinationRule default/dr: spec.host: there is no Service or ServiceEntry with the host "nowhere.test", so the DestinationRule has no effect`},
		"a wildcard rule without service": {tls: "credentialName: c", more: certs.Secret("c", good, "") + rule(`"*.nowhere.test"`), status: 0,
			say: `there is no Service or ServiceEntry with the host "*.nowhere.test"`},
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rules.yaml")
			text := strings.Replace(resources.BadGateway, "$TLS", c.tls, 1) + c.more
			if c.before != "" {
				text = strings.Replace(text, "SIMPLE", c.before, 1)
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			_, stderr, status := program.Run(t, "", "translate", "-f", file, "-o", "plan", "--strict")
			assert.Equal(t, c.status, status, stderr)
			assert.Contains(t, stderr, c.say)
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			assert.Len(t, lines, 3, "one sentence, the line of the file and a caret: %s", stderr)
			assert.Equal(t, "^", strings.TrimSpace(lines[len(lines)-1]))
		})
	}
}

// TestNoCommandPrintsAKey runs every command over Secrets, good and broken ones, and over keys in places where none belongs.
func TestNoCommandPrintsAKey(t *testing.T) {
	own := certs.NewIssuer(t, "own")
	good, other := own.Issue(t, "a.test"), own.Issue(t, "b.test")
	var keys []string // pieces that no output may hold
	for _, c := range []certs.Issued{good, other} {
		lines, encoded := strings.Split(strings.TrimSpace(c.Key), "\n"), base64.StdEncoding.EncodeToString([]byte(c.Key))
		last := lines[len(lines)-2]
		keys = append(keys, lines[1][:24], last[len(last)-8:], encoded[:20], encoded[60:100])
	}
	encoded := func(c certs.Issued) string {
		b := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: istio-system}\ndata: {tls.crt: " + b(c.Cert) + ", tls.key: " + b(c.Key) + "}\n"
	}
	served := strings.Replace(resources.BadGateway, "$TLS", "credentialName: c", 1)
	quoted := fmt.Sprintf("%q", good.Key)
	dir := t.TempDir()
	inputs := map[string]string{
		"good":               served + certs.Secret("c", good, own.PEM),
		"base64":             served + "---\n" + encoded(good),
		"another's key":      served + certs.Secret("c", certs.Issued{Cert: good.Cert, Key: other.Key}, ""),
		"swapped":            served + certs.Secret("c", certs.Issued{Cert: good.Key, Key: good.Cert}, ""),
		"no base64":          served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: '*'", 1),
		"an unknown field":   served + "---\n" + strings.Replace(encoded(good), "data:", "date:", 1),
		"an unknown key":     served + "---\n" + strings.Replace(encoded(good), "tls.key:", "tls_key:", 1),
		"twice":              served + "---\n" + encoded(good) + strings.SplitAfter(encoded(other), "\n")[3],
		"a list":             served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: [x], k: ", 1),
		"a wrong tag":        served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: !!bool ", 1),
		"a number's tag":     served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: !!float ", 1),
		"no YAML":            served + "---\n" + strings.Replace(encoded(good), "}\n", "\n", 1),
		"not indented":       served + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: istio-system}\nstringData:\n  tls.key: |\n" + good.Key,
		"another apiVersion": served + "---\n" + strings.Replace(encoded(good), "v1", "v2", 1),
		"a key for a path":   strings.Replace(resources.BadGateway, "$TLS", "serverCertificate: /x, privateKey: "+quoted, 1),
		"a key for a name":   strings.Replace(resources.BadGateway, "$TLS", "credentialName: "+quoted, 1),
		"one line of JSON":   `{"kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c","namespace":"istio-system"},"stringData":{"tls.key":` + quoted + `}},{"metadata":{},"apiVersion":"networking.istio.io/v1","kind":"VirtualService","spec":{"hosts":["a"]}}]}`,
		"one line before it": `{"kind":"List","items":[{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"v"},"spec":{"hosts":["a"],"hops":1}},{"data":{"tls.key":"` + base64.StdEncoding.EncodeToString([]byte(good.Key)) + `"},"apiVersion":"v1","kind":"Secret","metadata":{"name":"c","namespace":"istio-system"}}]}`,
	}
	requests := filepath.Join(dir, "requests.json")
	require.NoError(t, os.WriteFile(requests, []byte(`[{"gatewayPort":8443,"tls":true,"sni":"a.test","authority":"a.test","path":"/"}]`), 0o600))
	for what, text := range inputs {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+".yaml")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			for _, args := range [][]string{
				{"translate"}, {"translate", "-o", "plan"}, {"translate", "-o", "plan-json"}, {"translate", "-o", "plugin-config"}, {"translate", "--remote-files", "-o", "plan"},
				{"translate", "--dynamic", t.TempDir()}, {"check"}, {"check", "-o", "json"}, {"decide", "--requests", requests},
				{"decide", "--requests", requests, "-o", "json"}, {"run", "--engine", "wasm", "--listen", "999.0.0.1"},
			} {
				stdout, stderr, status := program.Run(t, "", append(args, "-f", file)...)
				for _, key := range keys {
					assert.NotContains(t, stdout+stderr, key, "%s", args)
				}
				assert.True(t, status == 0 || stdout+stderr != "", "%s says why", args)
			}
		})
	}
}
