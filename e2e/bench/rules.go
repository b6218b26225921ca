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

// host is the virtual host of all rules, upstream its only destination.
const (
	host     = "bench.test"
	upstream = "outbound|80||upstream.test"
)

// rules are n rules on one host, a quarter each: an exact path, a path prefix, a path and a header, an expression.
func rules(n int) string {
	var b strings.Builder
	b.WriteString(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench}
spec:
  hosts: [` + host + `]
  gateways: [gw]
  http:
`)
	for i := range n {
		match := [...]string{
			"uri: {exact: /team-%[1]d/orders}",
			"uri: {prefix: /team-%[1]d/items/}",
			"uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%[1]d}}",
			`uri: {regex: "/team-%[1]d/v[0-9]+/.*"}`,
		}[i%4]
		fmt.Fprintf(&b, "  - match: [{"+match+"}]\n    route: [{destination: {host: upstream.test}}]\n", i)
	}
	return b.String()
}

// requests are some that rules take, from all over the list and of every shape, the last rule among them.
func requests(n int) []vm.Headers {
	const count = 64
	var all []vm.Headers
	for k := range count {
		i := n - 1 - k*n/count
		path, tenant := "", "nobody"
		switch i % 4 {
		case 0:
			path = fmt.Sprintf("/team-%d/orders", i)
		case 1:
			path = fmt.Sprintf("/team-%d/items/17", i)
		case 2:
			path, tenant = "/shared/orders/17?q=1", fmt.Sprintf("tenant-%d", i)
		case 3:
			path = fmt.Sprintf("/team-%d/v2/list", i)
		}
		all = append(all, vm.Headers{
			{":authority", host}, {":path", path}, {":method", "GET"}, {":scheme", "http"},
			{"user-agent", "bench/1.0"}, {"accept", "application/json"}, {"accept-encoding", "gzip"}, {"accept-language", "en"},
			{"x-tenant", tenant}, {"x-request-id", "6f1ed002-ab5c-4bd9-9a6c-1f0e5a0f7c3e"}, {"cookie", "session=0123456789abcdef"},
		})
	}
	return all
}

// translate makes a plan of rules, whose one destination is at address.
func translate(yaml, address string) (*plan.Plan, error) {
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
	p, more := gateway.Translate(resources, gateway.Options{Endpoints: map[string]string{"upstream.test": address}})
	if all := gateway.Merge(problems, more); all.HasErrors() {
		return nil, fmt.Errorf("%s, and %d more", all[0], len(all)-1)
	}
	return p, nil
}
