package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
)

// What is not among the files is assumed, and never a warning for each name.
func TestNothingIsWarnedOfThatIsAssumed(t *testing.T) {
	const to = "\nhttp: [{route: [{destination: {host: web}}]}]"
	rules := func(key, spec string) string { return object("VirtualService", key, spec) }
	web := object("Service", "default/web", "ports: [{port: 80, name: http}]")
	for what, c := range map[string]struct {
		yaml    string
		want    []string
		assumed int
	}{
		"all is there":         {everything + web + rules("a", "hosts: [a.com]\ngateways: [gw]"+to), nil, 0},
		"for sidecars":         {web + rules("a", "hosts: [web]"+to) + rules("b", "hosts: [web]\ngateways: [mesh]"+to), nil, 0},
		"for a Gateway":        {web + rules("a", "hosts: [a.com]\ngateways: [gw]"+to), nil, 1},
		"a delegate":           {web + rules("a", to[1:]), nil, 0},
		"no Service":           {everything + rules("a", "hosts: [a.com]\ngateways: [gw]\nhttp: [{route: [{destination: {host: web}}], mirrors: [{destination: {host: copy}}]}]"), nil, 2},
		"nothing to check":     {web, []string{"error: there is nothing to check: no Gateway, VirtualService, DestinationRule, ServiceEntry or WorkloadEntry of Istio is here"}, 0},
		"no rules, no finding": {everything + web, nil, 0},
	} {
		r := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(c.yaml)}, version.All)
		w := r.Whole(translate.Options{})
		var got []string
		for _, f := range append(r.Findings(), r.Other...) {
			got = append(got, f.String())
		}
		assert.Equal(t, c.want, got, what)
		assert.Len(t, w.Assumed, c.assumed, what)
	}
}
