package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/istio/validate"
)

// everyKind are documents of all kinds that are read, with mappings at every depth.
const everyKind = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, labels: {a: b}, annotations: {c: d}}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
  - match: [{uri: {prefix: /a}, headers: {x-a: {exact: b}}, queryParams: {q: {regex: a+}}, sourceLabels: {app: a}}]
    headers: {request: {set: {x-b: c}}}
    fault: {delay: {percentage: {value: 1}, fixedDelay: 1s}}
    route: [{destination: {host: s, port: {number: 80}}, headers: {response: {add: {x-d: e}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d}
spec:
  host: s
  subsets: [{name: v1, labels: {version: v1}}]
  trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {"b/*": 100}}]}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e}
spec: {hosts: [e.test], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.0.0.1, ports: {http: 80}, labels: {a: b}}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w}
spec: {address: 10.0.0.2, ports: {http: 80}, labels: {a: b}}
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: s}, clusterIP: 10.1.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.0.0.3], conditions: {ready: true}, deprecatedTopology: {a: b}}]
---
apiVersion: v1
kind: Secret
metadata: {name: c}
data: {tls.crt: YQ==}
---
apiVersion: v1
kind: Namespace
metadata: {name: 'n', labels: {a: b}}
`

// hostileKeys look like parts of the text of a field, or like nothing at all.
var hostileKeys = []string{"[", "]", `["`, `["x`, `["x"`, "[0]", "[-1]", "[99999999999999999999]", "a[", "a]b", ".", "..", "a.b", "", `"`, `\`, "[\x01", "ü[", "<<"}

// everywhere puts a text in the place of, or beside, every key of some documents, one after the other.
func everywhere(t testing.TB, documents, key string) (out []string) {
	texts := strings.Split(documents, "---\n")
	for i := range texts {
		for number := 0; ; number++ {
			var node yaml.Node
			require.NoError(t, yaml.Unmarshal([]byte(texts[i]), &node))
			n := 0
			if !changeKey([]*yaml.Node{&node}, number, key, &n) {
				break
			}
			text, err := yaml.Marshal(&node)
			require.NoError(t, err)
			changed := slices.Clone(texts)
			changed[i] = string(text)
			out = append(out, strings.Join(changed, "---\n"))
		}
	}
	return out
}

// changeKey changes the key of the pair with a number: that of every even one is replaced, that of an odd one gets a
// neighbour.
func changeKey(nodes []*yaml.Node, number int, key string, n *int) bool {
	for _, node := range nodes {
		if node.Kind == yaml.MappingNode {
			for j := 0; j+1 < len(node.Content); j += 2 {
				for _, beside := range []bool{false, true} {
					if *n != number {
						*n++
						continue
					}
					k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
					if beside {
						node.Content = append(node.Content, k, node.Content[j+1])
					} else {
						node.Content[j] = k
					}
					return true
				}
			}
		}
		if changeKey(node.Content, number, key, n) {
			return true
		}
	}
	return false
}

// A key is whatever a user wrote. Every place of every finding is in the file.
func TestKeysThatLookLikeFields(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads some megabytes of documents")
	}
	t.Parallel()
	for _, key := range hostileKeys {
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) {
			t.Parallel()
			texts := everywhere(t, everyKind, key)
			require.Greater(t, len(texts), 200)
			for _, text := range texts {
				readAll(t, []byte(text))
			}
		})
	}
}

// readAll does what check and translate do with a document.
func readAll(t testing.TB, data []byte) {
	report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(string(data))}, version.All)
	for _, p := range report.Findings() {
		assert.True(t, slices.ContainsFunc(validate.Codes(), func(c validate.Code) bool { return c.ID == p.Code }), "%s has the code %q", p, p.Code)
	}
	for _, p := range diag.Merge(report.Findings(), report.Other) {
		if p.Place.Column > 0 {
			excerpt := report.Texts.Excerpt(p.Place)
			assert.True(t, excerpt != "" || strings.Contains(string(data), "Secret"), "the line of %s", p)
			for _, line := range strings.Split(excerpt, "\n") {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 121) // with the caret
			}
		}
	}
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(string(data))}, version.All)
	for _, proxy := range []translate.ProxyType{translate.GatewayProxy, translate.SidecarProxy} {
		translate.Plan(in.Set, translate.Options{Proxy: proxy})
	}
}

// FuzzRead: no document makes reading, checking or translating it panic, and every finding has a code that is listed and a
// line of the document.
func FuzzRead(f *testing.F) {
	for _, cases := range []map[string]finding{anyFindings, reachFindings, actionFindings, gatewayFindings, destinationRuleFindings, serviceEntryFindings, envoyFindings} {
		for _, c := range cases {
			if len(c.doc) < 1000 {
				f.Add([]byte(c.doc))
			}
		}
	}
	for _, document := range strings.Split(everyKind, "---\n") {
		f.Add([]byte(document))
	}
	f.Add([]byte(everyKind))
	f.Add([]byte(`{"[": 1}`))
	f.Add([]byte(`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}]}`))
	f.Add([]byte("a: &a [*a]\napiVersion: networking.istio.io/v1\nkind: Gateway\n"))
	f.Fuzz(func(t *testing.T, data []byte) { readAll(t, data) })
}

// A place is that of the key's value, however the key is written.
func TestPlacesOfKeys(t *testing.T) {
	t.Parallel()
	for _, key := range hostileKeys {
		text := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec:\n  hosts: [a.test]\n  http:\n  - match:\n    - headers:\n        %q: {regex: '('}\n    directResponse: {status: 200}\n", key)
		if key == "[\x01" {
			continue // YAML does not write it so
		}
		report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
		require.NotEmpty(t, report.Findings(), key)
		for _, p := range report.Findings() {
			if strings.HasSuffix(p.Field, ".regex") {
				assert.Equal(t, 9, p.Place.Line, "%q: %s", key, p)
			}
		}
	}
}

// What aliases stand for is bounded; using one often is fine. The exact limits are tested in istio/resource.
func TestAliases(t *testing.T) {
	t.Parallel()
	rule := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v%d}\nspec:\n  hosts: [a%d.test]\n  http:\n  - &r {match: [{uri: {prefix: /a}}], directResponse: {status: 200}}\n"
	document := func(i, aliases int) string {
		return fmt.Sprintf(rule, i, i) + strings.Repeat("  - *r\n", aliases) + "---\n"
	}
	nested := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\na: &a [x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'n'; c++ {
		nested += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), ", "))
	}
	long := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec: {hosts: [&s %q%s]}\n", strings.Repeat("x", 1<<20), strings.Repeat(", *s", 1000))
	for what, c := range map[string]struct{ text, say string }{
		"ten thousand uses of one rule": {document(1, 10_000), ""},
		"more than Kubernetes allows":   {document(1, 60_000), "its aliases expand to more than 400000 nodes or 16 MiB"},
		"aliases of aliases":            {nested, "its aliases expand to more than 400000 nodes or 16 MiB"},
		"a long text":                   {long, "its aliases expand to more than 400000 nodes or 16 MiB"},
		"itself":                        {"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\na: &a [*a]\n", "an alias is a part of what it stands for"},
	} {
		t.Run(what, func(t *testing.T) {
			in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.text)}, version.All)
			var errs []string
			for _, p := range in.Findings {
				if p.Severity == diag.Error {
					errs = append(errs, p.String())
				}
			}
			if c.say == "" {
				assert.Empty(t, errs)
				return
			}
			assert.Contains(t, strings.Join(errs, "\n"), c.say)
		})
	}
}

// Pipes and devices in a folder are left out with a notice, also behind a link; named as a file they are refused. Nothing
// waits for them.
func TestFilesThatAreNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero.yaml")))
	require.NoError(t, os.Symlink(pipe, filepath.Join(dir, "link.json")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "good.yaml"), []byte(everyKind), 0o600))
	within(t, func() {
		in := gateway.Load([]string{dir}, resource.Options{}, version.All)
		assert.Len(t, in.Set.VirtualServices, 1)
		assert.False(t, in.Findings.HasErrors(), in.Findings)
		for _, name := range []string{"pipe.yaml", "zero.yaml", "link.json"} {
			assert.Contains(t, fmt.Sprint(in.Findings), filepath.Join(dir, name)+": notice: is not a regular file; skipped")
		}
		files, err := resource.Files([]string{dir})
		require.NoError(t, err)
		assert.Equal(t, []string{filepath.Join(dir, "good.yaml")}, files)
		for _, name := range []string{pipe, "/dev/zero", "/dev/null"} {
			in = gateway.Load([]string{name}, resource.Options{}, version.All)
			assert.Contains(t, fmt.Sprint(in.Findings), name+": error: cannot be read: it is not a regular file")
		}
	})
}

// A rule that names a pipe or a device as a certificate does not hang the reading, nor fill the memory.
func TestCertificatesThatAreNoFiles(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe.pem")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{pipe, "/dev/zero"} {
		text := strings.Replace(strings.Replace(oneGateway, "protocol: HTTP}", "protocol: HTTPS}, tls: {mode: SIMPLE, serverCertificate: "+name+", privateKey: "+name+"}", 1), "%s", "'*'", 1)
		within(t, func() {
			in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(text)}, version.All)
			_, problems := translate.Plan(in.Set, translate.Options{ReadFile: resource.ReadFile})
			assert.Contains(t, fmt.Sprint(problems), name+" cannot be read: it is not a regular file")
		})
	}
}

// What a shell has opened for a command is read: <(command).
func TestAnOpenPipeIsRead(t *testing.T) {
	t.Parallel()
	from, to, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = from.Close() }()
	go func() {
		time.Sleep(50 * time.Millisecond)
		_, _ = to.WriteString(everyKind)
		_ = to.Close()
	}()
	within(t, func() {
		in := gateway.Load([]string{fmt.Sprintf("/dev/fd/%d", from.Fd())}, resource.Options{}, version.All)
		assert.False(t, in.Findings.HasErrors(), in.Findings)
		assert.Len(t, in.Set.Gateways, 1)
	})
}

// A file that is too large is not read.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "large.yaml")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(10<<30))
	require.NoError(t, f.Close())
	within(t, func() {
		in := gateway.Load([]string{file}, resource.Options{}, version.All)
		assert.Contains(t, fmt.Sprint(in.Findings), file+": error: cannot be read: it is larger than 128 MiB; split it")
	})
}

// within fails where something takes longer than anything of this size may.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it hangs")
	}
}

// A set with findings without end is refused. What comes to far more than it is written with is refused in
// istio/translate, where tests can set the bounds.
func TestFindingsWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads some megabytes of documents")
	}
	t.Parallel()
	within(t, func() {
		in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(fmt.Sprintf(oneVirtualService, 0, "a.test", list(60_000, "{bad%d: 1}")))}, version.All)
		said := 0
		for _, p := range in.Findings {
			if p.Severity == diag.Error {
				said++
			}
		}
		assert.LessOrEqual(t, said, 2*50_001, "of reading, and of validation")
		assert.Contains(t, fmt.Sprint(in.Findings), "error: there are more than 50000 findings; the rest is not reported")
	})
}
