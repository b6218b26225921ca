package vm_test

import (
	"context"
	"fmt"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/filter/embedded"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/pluginconfig"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// The filter's module, as Envoy loads it, decides under wazero: it writes the id of the outcome into one header.
func Example() {
	rule := &plan.Rule{
		Origin:         plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "shop", Path: plan.EntryPath("http", 0)},
		Match:          plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: "/api"}},
		DirectResponse: &plan.DirectResponse{Status: 200},
	}
	rule.Seal()
	config, err := pluginconfig.Write(&plan.RouteConfig{
		Name:         "http.80",
		VirtualHosts: []*plan.VirtualHost{{Name: "shop:80", Domains: []string{"shop.example.com"}, Rules: []*plan.Rule{rule}}},
	}, effect.Intake{}.Behaviour())
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	module, err := vm.Compile(ctx, embedded.Module())
	if err != nil {
		panic(err)
	}
	defer func() { _ = module.Close(ctx) }()
	v, err := module.New(ctx, hostcalls.Warn, func(_ hostcalls.Level, message string) { fmt.Println(message) })
	if err != nil {
		panic(err)
	}
	root, err := v.Configure(ctx, config)
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/api/v1", "/other"} {
		headers := vm.Headers{{":method", "GET"}, {":scheme", "http"}, {":authority", "shop.example.com"}, {":path", path}}
		if err := v.RequestHeaders(ctx, root, &headers); err != nil {
			panic(err)
		}
		id, decided := headers.Get(routing.RouteHeader)
		fmt.Println(path, decided, id == rule.Outcomes[0].ID)
	}
	// Output:
	// /api/v1 true true
	// /other false false
}
