package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
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
	// path and headers are of a request that rule i takes and no other; of n rules, none takes that of rule n.
	path    func(i int) string
	headers func(i int) [][2]string
	// lua finds the number of a rule from path and tenant, for shapes that one table holds; "" for all others.
	lua string
	// segments says that a prefix ends at a segment, hosts that each rule is the only one of its host.
	segments, hosts bool
	// extra is one more rule for so many: 0 is none.
	extra int

	asked map[int][]vm.Headers // what requests has returned
}

// count is the number of rules that a shape has where n are asked for.
func (s *shape) count(n int) int {
	if s.extra == 0 {
		return n
	}
	return n + n/s.extra
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

var methods = [...]string{"GET", "PUT", "POST", "PATCH", "DELETE"}

// shapes are those of docs/performance.md.
var shapes = []shape{
	{name: "exact", match: format("uri: {exact: /team-%d/orders}"), path: format("/team-%d/orders"), headers: noHeaders, lua: `path:match("^/team%-(%d+)/orders$")`},
	{name: "prefix", match: format("uri: {prefix: /team-%d/}"), path: format("/team-%d/items/17"), headers: noHeaders, lua: `path:match("^/team%-(%d+)/")`},
	{name: "separated", match: format("uri: {prefix: /team-%d}"), path: format("/team-%d/items/17"), headers: noHeaders, segments: true},
	{name: "long prefix", match: format("uri: {prefix: /a/rather/long/beginning/that/all/rules/share/team-%d/}"), path: format("/a/rather/long/beginning/that/all/rules/share/team-%d/17"), headers: noHeaders},
	{name: "regex", match: format(`uri: {regex: "/team-%d/v[0-9]+/.*"}`), path: format("/team-%d/v2/list"), headers: noHeaders},
	{name: "regex inside", match: format(`uri: {regex: "/[a-z]+/[0-9]+/team-%d/.*"}`), path: format("/eu/17/team-%d/list"), headers: noHeaders},
	{name: "regex of classes", match: func(i int) string {
		return fmt.Sprintf(`uri: {regex: "/[a-z]+/%s/.*"}`, routingtest.Digits(i, "[%c-%c]"))
	},
		path: func(i int) string { return "/eu/" + routingtest.Digits(i, "%[2]c") + "/list" }, headers: noHeaders},
	{name: "header", match: format("uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%d}}"), path: format("/shared/orders"), headers: tenant, lua: `tenant:match("^tenant%-(%d+)$")`},
	{name: "header prefix", match: format("uri: {prefix: /shared/}, headers: {x-tenant: {prefix: tenant-%d-}}"), path: format("/shared/orders"),
		headers: func(i int) [][2]string { return [][2]string{{"x-tenant", fmt.Sprintf("tenant-%d-eu", i)}} }},
	{name: "header name", match: format("uri: {prefix: /shared/}, headers: {x-tenant-%d: {}}"), path: format("/shared/orders"),
		headers: func(i int) [][2]string { return [][2]string{{fmt.Sprintf("x-tenant-%d", i), "1"}} }},
	{name: "cookie", match: format(`uri: {prefix: /shared/}, headers: {x-session: {regex: "^(.*?;)?(user=u%d)(;.*)?$"}}`), path: format("/shared/orders"),
		headers: func(i int) [][2]string { return [][2]string{{"x-session", fmt.Sprintf("id=17;user=u%d;x=1", i)}} }},
	{name: "query", match: format("uri: {prefix: /shared/}, queryParams: {team: {exact: t%d}}"), path: format("/shared/orders?x=1&team=t%d"), headers: noHeaders},
	{name: "method", match: func(i int) string {
		return fmt.Sprintf("uri: {exact: /team-%d}, method: {exact: %s}", i/len(methods), methods[i%len(methods)])
	}, path: func(i int) string { return fmt.Sprintf("/team-%d", i/len(methods)) },
		headers: func(i int) [][2]string { return [][2]string{{":method", methods[i%len(methods)]}} }},
	{name: "mixed", match: func(i int) string {
		return fmt.Sprintf([...]string{
			"uri: {exact: /team-%[1]d/orders}",
			"uri: {prefix: /team-%[1]d/items/}",
			"uri: {prefix: /shared/}, headers: {x-tenant: {exact: tenant-%[1]d}}",
			`uri: {regex: "/team-%[1]d/v[0-9]+/.*"}`,
		}[i%4], i)
	}, path: func(i int) string {
		return [...]string{fmt.Sprintf("/team-%d/orders", i), fmt.Sprintf("/team-%d/items/17", i), "/shared/orders/17?q=1", fmt.Sprintf("/team-%d/v2/list", i)}[i%4]
	}, headers: func(i int) [][2]string {
		if i%4 == 2 {
			return tenant(i)
		}
		return [][2]string{{"x-tenant", "nobody"}}
	}},
	{name: "hosts", match: format("uri: {prefix: /}"), path: format("/orders/17"), headers: noHeaders, hosts: true},
	{name: "services", match: func(i int) string {
		service, k := i/(perService+1), i%(perService+1)
		if k == perService {
			return fmt.Sprintf("uri: {prefix: /svc-%d/}", service)
		}
		return fmt.Sprintf([...]string{
			"uri: {prefix: /svc-%[1]d/v%[2]d/}",
			"uri: {prefix: /svc-%[1]d/}, headers: {x-tenant: {exact: tenant-%[2]d}}",
			"uri: {prefix: /svc-%[1]d/items-%[2]d/}, method: {exact: POST}",
			"uri: {exact: /svc-%[1]d/page-%[2]d}",
		}[k%4], service, k)
	}, path: func(i int) string {
		service, k := i/(perService+1), i%(perService+1)
		path := [...]string{"/svc-%[1]d/v%[2]d/list", "/svc-%[1]d/orders", "/svc-%[1]d/items-%[2]d/17", "/svc-%[1]d/page-%[2]d"}[k%4]
		if k == perService {
			path = "/svc-%[1]d/none-%[2]d"
		}
		return fmt.Sprintf(path, service, k)
	}, headers: func(i int) [][2]string {
		switch k := i % (perService + 1); {
		case k == perService:
			return nil
		case k%4 == 1:
			return tenant(k)
		case k%4 == 2:
			return [][2]string{{":method", "POST"}}
		}
		return nil
	}, extra: perService},
}

// perService is how many rules each service of the shape of that name has, beside one that takes the rest of its requests.
const perService = 20

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

// rules are as many rules of a shape as [shape.count] has, on one host or on one each.
func (s *shape) rules(n int) string {
	var b strings.Builder
	b.WriteString(benchGateway)
	annotations := ""
	if s.segments {
		annotations = ", annotations: {internal.istio.io/route-semantics: gateway}"
	}
	for i := range s.count(n) {
		if i == 0 || s.hosts {
			fmt.Fprintf(&b, `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench-%d%s}
spec:
  hosts: [%s]
  gateways: [gw]
  http:
`, i, annotations, s.host(i))
		}
		fmt.Fprintf(&b, "  - match: [{%s}]\n    %s\n", s.match(i), answer)
		if s.hosts {
			b.WriteString("---\n")
		}
	}
	return b.String()
}

// one is a single rule that takes every request.
func one() string {
	return benchGateway + `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bench}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - ` + answer + "\n"
}

func (s *shape) host(i int) string {
	if s.hosts {
		return fmt.Sprintf("shop-%d.test", i)
	}
	return host
}

// ruleName is what rule i is called; "" for the one behind the last of n, which is none.
func (s *shape) ruleName(i, n int) string {
	switch {
	case i == s.count(n):
		return ""
	case s.hosts:
		return fmt.Sprintf("default/bench-%d.http[0].match[0]", i)
	default:
		return fmt.Sprintf("default/bench-0.http[%d].match[0]", i)
	}
}

// spread are 64 rules from all over a list of n, the last one among them. Any eight in a row, from the first on, are from all
// over it as well: a filter may be so slow that there is no time for more.
func spread(n int) (rules []int) {
	for k := range 64 {
		place := k%8*8 + (k/8*5+4)%8
		rules = append(rules, n-1-place*n/64)
	}
	return rules
}

// requests are some that rules take, from all over the list.
func (s *shape) requests(n int) (all []vm.Headers, err error) {
	if known, ok := s.asked[n]; ok {
		return known, nil
	}
	config, err := pluginConfig(s, n)
	if err != nil {
		return nil, err
	}
	table, err := routing.Compile(config)
	if err != nil {
		return nil, err
	}
	asked, err := questions(table, s, n, spread(s.count(n)))
	for _, q := range asked {
		all = append(all, q.headers)
	}
	if s.asked == nil {
		s.asked = map[int][]vm.Headers{}
	}
	s.asked[n] = all
	return all, err
}

// request is one that rule i takes.
func (s *shape) request(i int) vm.Headers {
	h := vm.Headers{
		{":authority", s.host(i)}, {":path", s.path(i)}, {":method", "GET"}, {":scheme", "http"},
		{"user-agent", "bench/1.0"}, {"accept", "application/json"}, {"accept-encoding", "gzip"}, {"accept-language", "en"},
		{"x-request-id", "6f1ed002-ab5c-4bd9-9a6c-1f0e5a0f7c3e"}, {"cookie", "session=0123456789abcdef"},
	}
	for _, line := range s.headers(i) {
		h.Set(line[0], line[1])
	}
	return h
}

// planOf makes a plan of rules.
func planOf(yaml string) (*plan.Plan, error) {
	dir, err := os.MkdirTemp("", "waymark-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	in := gateway.Load([]string{file}, resource.Options{}, version.All)
	p, more := translate.Plan(in.Set, translate.Options{})
	if all := diag.Merge(in.Findings, more); all.HasErrors() {
		return nil, fmt.Errorf("%s, and %d more", all[0], len(all)-1)
	}
	return p, nil
}
