package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
)

// host is the virtual host of all rules, and answer what each does: Envoy itself answers, so that nothing is measured but
// what it takes to find the rule.
const (
	host   = "bench.test"
	answer = "directResponse: {status: 200, body: {string: hello}}"
)

// shape is a kind of rules, and requests that each of them takes.
type shape struct {
	name string
	// match is the match of rule i, as YAML.
	match func(i int) string
	// path and headers are of a request that rule i takes.
	path    func(i int) string
	headers func(i int) [][2]string
	// lua finds the number of a rule from path and tenant, for shapes that one table holds; "" for all others.
	lua string
}

func noHeaders(int) [][2]string { return nil }

func format(text string) func(int) string {
	return func(i int) string {
		if !strings.Contains(text, "%") {
			return text
		}
		return fmt.Sprintf(text, i)
	}
}

func tenant(i int) [][2]string { return [][2]string{{"x-tenant", fmt.Sprintf("tenant-%d", i)}} }

// shapes are those of docs/performance.md.
var shapes = []shape{
	{"exact", format("uri: {exact: /team-%d/orders}"), format("/team-%d/orders"), noHeaders, `path:match("^/team%-(%d+)/orders$")`},
	{"prefix", format("uri: {prefix: /team-%d/}"), format("/team-%d/items/17"), noHeaders, `path:match("^/team%-(%d+)/")`},
	{"long prefix", format("uri: {prefix: /a/rather/long/beginning/that/all/rules/share/team-%d/}"), format("/a/rather/long/beginning/that/all/rules/share/team-%d/17"), noHeaders, ""},
	{"regex", format(`uri: {regex: "/team-%d/v[0-9]+/.*"}`), format("/team-%d/v2/list"), noHeaders, ""},
	{"regex inside", format(`uri: {regex: "/[a-z]+/[0-9]+/team-%d/.*"}`), format("/eu/17/team-%d/list"), noHeaders, ""},
	{"header", format("uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%d}}"), format("/shared/orders"), tenant, `tenant:match("^tenant%-(%d+)$")`},
	{"header prefix", format("uri: {prefix: /shared/}, headers: {x-tenant: {prefix: tenant-%d-}}"), format("/shared/orders"),
		func(i int) [][2]string { return [][2]string{{"x-tenant", fmt.Sprintf("tenant-%d-eu", i)}} }, ""},
	{"query", format("uri: {prefix: /shared/}, queryParams: {team: {exact: t%d}}"), format("/shared/orders?x=1&team=t%d"), noHeaders, ""},
	{"method", func(i int) string {
		return fmt.Sprintf("uri: {exact: /team-%d}, method: {exact: %s}", i/2, [...]string{"POST", "GET"}[i%2])
	},
		func(i int) string { return fmt.Sprintf("/team-%d", i/2) }, noHeaders, ""},
	{"mixed", func(i int) string {
		return fmt.Sprintf([...]string{
			"uri: {exact: /team-%[1]d/orders}",
			"uri: {prefix: /team-%[1]d/items/}",
			"uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%[1]d}}",
			`uri: {regex: "/team-%[1]d/v[0-9]+/.*"}`,
		}[i%4], i)
	}, func(i int) string {
		return [...]string{fmt.Sprintf("/team-%d/orders", i), fmt.Sprintf("/team-%d/items/17", i), "/shared/orders/17?q=1", fmt.Sprintf("/team-%d/v2/list", i)}[i%4]
	}, func(i int) [][2]string {
		if i%4 == 2 {
			return tenant(i)
		}
		return [][2]string{{"x-tenant", "nobody"}}
	}, ""},
}

func shapeNamed(name string) (*shape, error) {
	for i := range shapes {
		if shapes[i].name == name {
			return &shapes[i], nil
		}
	}
	return nil, fmt.Errorf("there is no shape %q", name)
}

const benchGateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
`

// rules are n rules of a shape on one host.
func (s *shape) rules(n int) string {
	var b strings.Builder
	b.WriteString(benchGateway + `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench}
spec:
  hosts: [` + host + `]
  gateways: [gw]
  http:
`)
	for i := range n {
		fmt.Fprintf(&b, "  - match: [{%s}]\n    "+answer+"\n", s.match(i))
	}
	return b.String()
}

// requests are some that rules take, from all over the list, the last rule among them.
func (s *shape) requests(n int) []vm.Headers {
	const count = 64
	var all []vm.Headers
	for k := range count {
		i := n - 1 - k*n/count
		if s.name == "method" {
			i |= 1 // the requests are GET
		}
		if i >= n {
			i = n - 1
		}
		h := vm.Headers{
			{":authority", host}, {":path", s.path(i)}, {":method", "GET"}, {":scheme", "http"},
			{"user-agent", "bench/1.0"}, {"accept", "application/json"}, {"accept-encoding", "gzip"}, {"accept-language", "en"},
			{"x-request-id", "6f1ed002-ab5c-4bd9-9a6c-1f0e5a0f7c3e"}, {"cookie", "session=0123456789abcdef"},
		}
		all = append(all, append(h, s.headers(i)...))
	}
	return all
}

// translate makes a plan of rules.
func translate(yaml string) (*plan.Plan, error) {
	dir, err := os.MkdirTemp("", "waymark-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	resources, problems := gateway.Read([]string{file}, nil)
	p, more := gateway.Translate(resources, gateway.Options{})
	if all := gateway.Merge(problems, more); all.HasErrors() {
		return nil, fmt.Errorf("%s, and %d more", all[0], len(all)-1)
	}
	return p, nil
}
