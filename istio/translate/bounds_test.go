package translate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// entries writes n entries of a list in YAML's flow style; a # in one is its number.
func entries(n int, entry string) string {
	var all []string
	for i := range n {
		all = append(all, strings.ReplaceAll(entry, "#", fmt.Sprint(i)))
	}
	return strings.Join(all, ", ")
}

func object(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, name, spec)
}

func gatewayOf(ports int) string {
	return object("Gateway", "gw", "selector: {istio: ingressgateway}, servers: ["+entries(ports, "{port: {number: 2#, name: p#, protocol: HTTP}, hosts: ['*']}")+"]")
}

// What a set comes to is bounded, however small it is: what is at the bound is translated, one more is refused with its
// place.
func TestWhatComesToTooMuch(t *testing.T) {
	rules, endpoints := translate.Bounds()
	require.Equal(t, [2]int{500_000, 500_000}, [2]int{rules, endpoints})
	const most = 60
	defer translate.SetBounds(most)()
	delegating := func(n, each int) string {
		return gatewayOf(1) +
			object("VirtualService", "root", "hosts: ['*'], gateways: [gw], http: ["+entries(n, "{match: [{uri: {prefix: /p#x}}], delegate: {name: d}}")+"]") +
			object("VirtualService", "d", "http: ["+entries(each, "{match: [{headers: {x: {exact: v#}}}], directResponse: {status: 200}}")+"]")
	}
	onPorts := func(ports, n int) string {
		return gatewayOf(ports) + object("VirtualService", "v", "hosts: [a.test], gateways: [gw], http: ["+entries(n, "{match: [{uri: {prefix: /#}}], directResponse: {status: 200}}")+"]")
	}
	endpointsOf := func(ports, n int) string {
		return gatewayOf(1) +
			object("ServiceEntry", "e", "hosts: [e.test], resolution: STATIC, ports: ["+entries(ports, "{number: 3#, name: p#, protocol: HTTP}")+"], endpoints: ["+entries(n, "{address: 10.0.0.#}")+"]") +
			object("VirtualService", "v", "hosts: [a.test], gateways: [gw], http: ["+entries(ports, "{match: [{uri: {prefix: /#x}}], route: [{destination: {host: e.test, port: {number: 3#}}}]}")+"]")
	}
	for what, c := range map[string]struct{ text, say string }{
		"rules of delegates, at the bound":   {delegating(6, 10), ""},
		"rules of delegates, one more":       {delegating(61, 1), "VirtualService default/root: spec.http[60].delegate: with this, there are more than 60 rules of delegates, counted"},
		"rules of many ports, at the bound":  {onPorts(3, 20), ""},
		"rules of many ports, one port more": {onPorts(4, 20), "VirtualService default/v: spec.http[0]: with this, there are more than 60 rules, counted each time that they are used"},
		"rules of many ports, more ports":    {onPorts(7, 20), "VirtualService default/v: spec.http[0]: with this, there are more than 60 rules, counted each time that they are used"},
		"endpoints of many ports, at bound":  {endpointsOf(6, 10), ""},
		"endpoints of many ports, one more":  {endpointsOf(1, 61), "with this, there are more than 60 endpoints, counted each time that they are used"},
	} {
		t.Run(what, func(t *testing.T) {
			in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.text)}, version.All)
			require.False(t, in.Findings.HasErrors(), in.Findings)
			_, found := translate.Plan(in.Set, translate.Options{})
			var said []string
			for _, f := range found {
				if f.Severity == diag.Error {
					said = append(said, f.String())
				}
			}
			if c.say == "" {
				assert.Empty(t, said)
				return
			}
			require.Len(t, said, 1, "it is told once")
			assert.Contains(t, said[0], c.say)
		})
	}
}
