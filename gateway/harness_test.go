package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/internal/ask"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// fact is one sentence about resources: what becomes of some requests.
type fact struct {
	sentence  string // with the numbers of the rules that it shows
	resources string // besides those of the table
	// asked are requests, each with what its verdict must hold, in lines of package ask.
	asked []string
}

// check asks the requests of every fact, and wants that the input has no errors of its own.
func check(t *testing.T, resources string, facts []fact) {
	t.Helper()
	for _, f := range facts {
		t.Run(f.sentence, func(t *testing.T) {
			p, _ := translated(t, resources+f.resources, translate.Options{})
			judge, err := verdict.New(p, effect.Intake{})
			require.NoError(t, err)
			for _, asked := range f.asked {
				line, err := ask.Parse(asked)
				require.NoError(t, err)
				problems, err := line.Problems(judge.Decide(line.Request))
				require.NoError(t, err)
				assert.Empty(t, problems)
			}
		})
	}
}

// translated reads resources that are right in themselves; they may name destinations that do not exist.
func translated(t *testing.T, resources string, o translate.Options) (*plan.Plan, diag.Findings) {
	t.Helper()
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(resources)}, version.All)
	for _, p := range in.Findings {
		require.NotEqual(t, diag.Error, p.Severity, p.String())
	}
	return translate.Plan(in.Set, o)
}

// object is a document: its name is [namespace/]name[@creation], its spec is YAML.
func object(kind, name, spec string) string {
	version := "networking.istio.io/v1"
	if kind == "Service" {
		version = "v1"
	}
	name, created, _ := strings.Cut(name, "@")
	namespace, base, found := strings.Cut(name, "/")
	if !found {
		namespace, base = "default", name
	}
	if created != "" {
		created = ", creationTimestamp: '" + created + "T00:00:00Z'"
	}
	return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s%s}\nspec:\n  %s\n",
		version, kind, base, namespace, created, strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  "))
}

// server is a Gateway of this proxy with one server: its port is NUMBER/PROTOCOL, its hosts are a list.
func server(name, port, hosts, tls string) string {
	number, protocol, _ := strings.Cut(port, "/")
	if tls != "" {
		tls = ", tls: {" + tls + "}"
	}
	return object("Gateway", name, fmt.Sprintf(`selector: {istio: ingressgateway}
servers: [{port: {number: %s, name: p, protocol: %s}, hosts: [%s]%s}]`, number, protocol, hosts, tls))
}

// routed is a VirtualService at the Gateway gw with one rule for everything, whose destination is named after it.
func routed(name, hosts, more string) string {
	base, _, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], "@")
	return object("VirtualService", name, fmt.Sprintf("gateways: [default/gw]\nhosts: [%s]\nhttp: [{route: [{destination: {host: to-%s.svc}}]}]\n%s", hosts, base, more))
}

// ruled is a VirtualService at the Gateway gw for all hosts, with the rules that are given as YAML.
func ruled(name, http string) string {
	return object("VirtualService", name, "gateways: [default/gw]\nhosts: ['*']\nhttp:\n"+http)
}

// entry is a ServiceEntry with ports of HTTP.
func entry(name, host, more string, ports ...int) string {
	var list []string
	for _, p := range ports {
		list = append(list, fmt.Sprintf("{name: http-%d, number: %d, protocol: HTTP}", p, p))
	}
	return object("ServiceEntry", name, fmt.Sprintf("hosts: ['%s']\nresolution: STATIC\nendpoints: [{address: 10.0.0.1}]\nports: [%s]\n%s", host, strings.Join(list, ", "), more))
}

// everything is the Gateway gw, which serves plain HTTP on port 80 for all hosts.
var everything = server("gw", "80/HTTP", "'*'", "")
