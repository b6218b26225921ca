package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const badGateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8443, name: https, protocol: HTTPS}
    hosts: [a.test]
    tls: {mode: SIMPLE, $TLS}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}
`

// Each is one sentence that names object and field.
func TestBadDoors(t *testing.T) {
	dir := t.TempDir()
	own := newIssuer(t, "own")
	good, other := own.issue(t, "a.test"), own.issue(t, "b.test")
	old := own.issueUntil(t, time.Now().Add(-48*time.Hour), "a.test")
	soon := own.issueUntil(t, time.Now().Add(48*time.Hour), "a.test")
	cert, key := good.files(t, dir, "good")
	_, otherKey := other.files(t, dir, "other")
	second := func(name, namespace, hosts, tls string) string {
		return strings.NewReplacer("name: gw, namespace: default", "name: "+name+", namespace: "+namespace, "[a.test]", hosts, "mode: SIMPLE, $TLS", tls).Replace(
			badGateway[:strings.Index(badGateway, "---")]) + "---\n"
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
		"a Secret of another namespace": {tls: "credentialName: c", more: strings.Replace(secret("c", good, ""), "istio-system", "default", 1), status: 65,
			say: "spec.servers[0].tls.credentialName: there is no Secret istio-system/c"},
		"no file": {tls: "serverCertificate: " + dir + "/none.crt, privateKey: " + key, status: 65,
			say: "error: Gateway default/gw: spec.servers[0].tls.serverCertificate: " + dir + "/none.crt cannot be read: no such file or directory; with --remote-files, certificates are not looked for on this machine"},
		"a key of another certificate": {tls: "serverCertificate: " + cert + ", privateKey: " + otherKey, status: 65,
			say: "error: Gateway default/gw: spec.servers[0].tls.serverCertificate: certificate and key of " + cert + " cannot be used together: private key does not match public key"},
		"a key of another certificate in a Secret": {tls: "credentialName: c", more: secret("c", issued{good.cert, other.key}, ""), status: 65,
			say: "spec.servers[0].tls.credentialName: certificate and key of "},
		"a Secret without key": {tls: "credentialName: c", more: strings.Replace(secret("c", good, ""), "tls.key", "key.pem", 1), status: 65,
			say: "spec.servers[0].tls.credentialName: Secret istio-system/c has no certificate with a key; it needs tls.crt and tls.key"},
		"MUTUAL without an authority": {tls: "credentialName: c", before: "MUTUAL", more: secret("c", good, ""), status: 65,
			say: `spec.servers[0].tls.credentialName: there is no authority for "c": no Secret istio-system/c-cacert or istio-system/c with ca.crt`},
		"an expired certificate": {tls: "credentialName: c", more: secret("c", old, ""), status: 0,
			say: "warning: Gateway default/gw: spec.servers[0].tls.credentialName: the certificate of a.test in "},
		"a certificate that expires soon": {tls: "credentialName: c", more: secret("c", soon, ""), status: 0,
			say: " expires on " + time.Now().Add(48*time.Hour).Format(time.DateOnly)},
		"a host twice": {tls: "credentialName: c", more: secret("c", good, "") + "---\n" + second("gx", "default", "[a.test]", "mode: SIMPLE, credentialName: c"), status: 0,
			say: `warning: Gateway default/gx: spec.servers[0].hosts: host "a.test" is served on port 8443 by Gateway default/gw already; the whole server is skipped (GW-MERGE-03)`},
		"a server name twice by hosts of two namespaces": {tls: "credentialName: c", status: 65,
			more: secret("c", good, "") + "---\n" + second("gx", "default", "[other/a.test]", "mode: SIMPLE, credentialName: c"),
			say:  `error: Gateway default/gx: spec.servers[0].hosts: the server name "a.test" on port 8443 is taken by Gateway default/gw, spec.servers[0]; Envoy refuses a listener with both`},
		"a server name that differs in case": {tls: "credentialName: c", status: 65,
			more: secret("c", good, "") + "---\n" + second("gx", "default", "[A.test]", "mode: SIMPLE, credentialName: c"),
			say:  `the server name "a.test" on port 8443 is taken by Gateway default/gw`},
		"a rule without service": {tls: "credentialName: c", more: secret("c", good, "") + rule("nowhere.test"), status: 0,
			say: `warning: DestinationRule default/dr: spec.host: there is no Service or ServiceEntry with the host "nowhere.test", so the DestinationRule has no effect`},
		"a wildcard rule without service": {tls: "credentialName: c", more: secret("c", good, "") + rule(`"*.nowhere.test"`), status: 0,
			say: `there is no Service or ServiceEntry with the host "*.nowhere.test"`},
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rules.yaml")
			text := strings.Replace(badGateway, "$TLS", c.tls, 1) + c.more
			if c.before != "" {
				text = strings.Replace(text, "SIMPLE", c.before, 1)
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			_, stderr, status := waymark(t, "", "translate", "-f", file, "-o", "plan")
			assert.Equal(t, c.status, status, stderr)
			assert.Contains(t, stderr, c.say)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one sentence: %s", stderr)
		})
	}
}

// TestNoCommandPrintsAKey runs every command over Secrets, good and broken ones, and over keys in places where none belongs.
func TestNoCommandPrintsAKey(t *testing.T) {
	own := newIssuer(t, "own")
	good, other := own.issue(t, "a.test"), own.issue(t, "b.test")
	var keys []string // pieces that no output may hold
	for _, c := range []issued{good, other} {
		lines, encoded := strings.Split(strings.TrimSpace(c.key), "\n"), base64.StdEncoding.EncodeToString([]byte(c.key))
		last := lines[len(lines)-2]
		keys = append(keys, lines[1][:24], last[len(last)-8:], encoded[:20], encoded[60:100])
	}
	encoded := func(c issued) string {
		b := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: istio-system}\ndata: {tls.crt: " + b(c.cert) + ", tls.key: " + b(c.key) + "}\n"
	}
	served := strings.Replace(badGateway, "$TLS", "credentialName: c", 1)
	quoted := fmt.Sprintf("%q", good.key)
	dir := t.TempDir()
	inputs := map[string]string{
		"good":               served + secret("c", good, own.pem),
		"base64":             served + "---\n" + encoded(good),
		"another's key":      served + secret("c", issued{good.cert, other.key}, ""),
		"swapped":            served + secret("c", issued{good.key, good.cert}, ""),
		"no base64":          served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: '*'", 1),
		"an unknown field":   served + "---\n" + strings.Replace(encoded(good), "data:", "date:", 1),
		"an unknown key":     served + "---\n" + strings.Replace(encoded(good), "tls.key:", "tls_key:", 1),
		"twice":              served + "---\n" + encoded(good) + strings.SplitAfter(encoded(other), "\n")[3],
		"a list":             served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: [x], k: ", 1),
		"a wrong tag":        served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: !!bool ", 1),
		"a number's tag":     served + "---\n" + strings.Replace(encoded(good), "tls.key: ", "tls.key: !!float ", 1),
		"no YAML":            served + "---\n" + strings.Replace(encoded(good), "}\n", "\n", 1),
		"not indented":       served + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: istio-system}\nstringData:\n  tls.key: |\n" + good.key,
		"another apiVersion": served + "---\n" + strings.Replace(encoded(good), "v1", "v2", 1),
		"a key for a path":   strings.Replace(badGateway, "$TLS", "serverCertificate: /x, privateKey: "+quoted, 1),
		"a key for a name":   strings.Replace(badGateway, "$TLS", "credentialName: "+quoted, 1),
		"one line of JSON":   `{"kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c","namespace":"istio-system"},"stringData":{"tls.key":` + quoted + `}},{"metadata":{},"apiVersion":"networking.istio.io/v1","kind":"VirtualService","spec":{"hosts":["a"]}}]}`,
		"one line before it": `{"kind":"List","items":[{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"v"},"spec":{"hosts":["a"],"hops":1}},{"data":{"tls.key":"` + base64.StdEncoding.EncodeToString([]byte(good.key)) + `"},"apiVersion":"v1","kind":"Secret","metadata":{"name":"c","namespace":"istio-system"}}]}`,
	}
	requests := filepath.Join(dir, "requests.json")
	require.NoError(t, os.WriteFile(requests, []byte(`[{"gatewayPort":8443,"tls":true,"sni":"a.test","authority":"a.test","path":"/"}]`), 0o600))
	for what, text := range inputs {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(what, " ", "-")+".yaml")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			for _, args := range [][]string{
				{"translate"}, {"translate", "-o", "plan"}, {"translate", "-o", "plugin-config"}, {"translate", "--remote-files", "-o", "plan"},
				{"translate", "--dynamic", t.TempDir()}, {"check"}, {"check", "-o", "json"}, {"decide", "--requests", requests},
				{"decide", "--requests", requests, "-o", "json"}, {"run", "--engine", "wasm", "--listen", "999.0.0.1"},
			} {
				stdout, stderr, status := waymark(t, "", append(args, "-f", file)...)
				for _, key := range keys {
					assert.NotContains(t, stdout+stderr, key, "%s", args)
				}
				assert.True(t, status == 0 || stdout+stderr != "", "%s says why", args)
			}
		})
	}
}

// startDoors is 'waymark run --engine envoy' over a folder with one file.
func startDoors(t *testing.T, text string, args ...string) (r *running, file string) {
	path, err := program()
	require.NoError(t, err)
	dir := t.TempDir()
	file = filepath.Join(dir, "rules.yaml")
	renameInto(t, file, text)
	r = &running{}
	r.cmd = exec.Command(path, append([]string{"run", "-f", dir, "--engine", "envoy", "--matching", "native", "--envoy", defaultEnvoy(t).Path, "--listen", "127.0.0.1", "--admin-port", "0"}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = r, r
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, r.cmd.Process.Signal(syscall.SIGINT))
		require.NoError(t, r.cmd.Wait(), "Ctrl-C ends it in order: %s", r.output())
	})
	r.says(t, "listening on ")
	return r, file
}

func (r *running) says(t testing.TB, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(r.output(), text) }, 30*time.Second, 20*time.Millisecond, "%s\nis not in\n%s", text, r.output)
}

// TestRunGoesOn gives a running Envoy one bad input after another: what was served goes on being served.
func TestRunGoesOn(t *testing.T) {
	own := newIssuer(t, "own")
	good, other := own.issue(t, "a.test"), own.issue(t, "b.test")
	n := names{"TLS": "credentialName: c"}.ports(t, "PORT")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	_, takenPort, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	rules := n.expand(t, strings.Replace(badGateway, "8443", "$PORT", 1))
	r, file := startDoors(t, rules+secret("c", good, ""))
	serves := func(name string) {
		t.Helper()
		require.Eventually(t, func() bool {
			got, err := getTLS(n.address("PORT"), insecure("a.test"), "a.test", "/")
			return err == nil && got.status == 200 && got.server() == name
		}, 10*time.Second, 20*time.Millisecond, r.output)
	}
	serves("a.test")
	for _, c := range []struct{ text, say string }{
		{rules, "spec.servers[0].tls.credentialName: there is no Secret istio-system/c"},
		{rules + secret("c", issued{good.cert, other.key}, ""), "cannot be used together: private key does not match public key"},
		{strings.Replace(rules, "port: {number: "+fmt.Sprint(n["PORT"]), "port: {number: "+takenPort, 1) + secret("c", good, ""), "cannot listen on 127.0.0.1:" + takenPort + ": bind: address already in use"},
	} {
		renameInto(t, file, c.text)
		r.says(t, c.say)
		serves("a.test")
	}
	require.Eventually(t, func() bool {
		return strings.Count(r.output(), "the changed files are not used; the rules before go on being served") == 3
	}, 10*time.Second, 20*time.Millisecond)
	renameInto(t, file, rules+secret("c", own.issue(t, "c.test"), ""))
	serves("c.test")
	assert.Equal(t, 1, strings.Count(r.output(), "listening on "))
	for _, c := range []issued{good, other} {
		assert.NotContains(t, r.output(), strings.Split(c.key, "\n")[1][:24])
	}
}

// TestRunLooksAtItsEnvoy tries programs that are no use.
func TestRunLooksAtItsEnvoy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.NewReplacer("8443", "8080", "HTTPS", "HTTP", "\n    tls: {mode: SIMPLE, $TLS}", "").Replace(badGateway)), 0o600))
	program := func(text string) string {
		p := filepath.Join(t.TempDir(), "envoy")
		require.NoError(t, os.WriteFile(p, []byte("#!/bin/sh\n"+text), 0o700)) //nolint:gosec // a program
		return p
	}
	version := func(v string) string {
		return "[ \"$1\" = --version ] && { echo 'envoy  version: 0123abc/" + v + "/Clean/RELEASE/BoringSSL'; exit 0; }\n"
	}
	old, none := program(version("1.35.2")), program("echo hello\n")
	plain := program(version("1.38.3") + `echo "Failed to create Wasm VM using envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it" >&2; exit 1` + "\n")
	real := defaultEnvoy(t).Path
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"--envoy", old}, old + " is Envoy 1.35.2, and Waymark needs 1.36 or later"},
		{[]string{"--envoy", none}, none + " is not an Envoy: it does not print a version of Envoy"},
		{[]string{"--envoy", plain}, plain + " is an Envoy 1.38.3 that was built without Wasm, so it cannot load the filter; name another program with --envoy, or use --matching native"},
		{[]string{"--envoy", real, "--envoy-version", "1.36"}, real + " is Envoy " + defaultEnvoy(t).Version + ", and --envoy-version is 1.36; leave the flag out, or name another program with --envoy"},
		{[]string{"--envoy", real, "--listen", taken.Addr().String()}, "listener 0.0.0.0_8080 cannot listen on " + taken.Addr().String() + ": bind: address already in use; --listen names another address"},
	} {
		_, stderr, status := waymark(t, "", append([]string{"run", "-f", file, "--engine", "envoy"}, c.args...)...)
		assert.Equal(t, 65, status, stderr)
		assert.Equal(t, "waymark: "+c.say+"\n", stderr)
	}
}
