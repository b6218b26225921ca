package envoy_test

import (
	"fmt"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/plan"
)

// A plan of one rule, and what Envoy needs for it in files that it watches. A change that adds a rule does not touch the
// listener or the cluster.
func ExampleBuild() {
	rule := func(name, prefix string) *plan.Rule {
		r := &plan.Rule{
			Origin: plan.Origin{Kind: "VirtualService", Namespace: "default", Name: "reviews", Path: plan.EntryPath("http", 0)}, Name: name,
			Match: plan.Match{Path: plan.PathMatch{Kind: plan.Prefix, Value: prefix}},
			Route: &plan.RouteAction{Destinations: []plan.Destination{{Cluster: "outbound|80||reviews", Weight: 1}}},
		}
		r.Seal() // its outcomes, with their ids
		return r
	}
	planOf := func(rules ...*plan.Rule) *plan.Plan {
		return &plan.Plan{
			Listeners: []*plan.Listener{{Name: "0.0.0.0_80", Bind: "0.0.0.0", Port: 80, Chains: []*plan.FilterChain{{Routes: &plan.RouteConfig{
				Name:         "http.80",
				VirtualHosts: []*plan.VirtualHost{{Name: "reviews:80", Domains: []string{"reviews"}, Rules: rules}},
			}}}}},
			Clusters: []*plan.Cluster{{Name: "outbound|80||reviews", Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: "10.0.0.1", Port: 80}}}}}},
		}
	}
	options := envoy.Options{Matching: envoy.MatchingFilter, Minor: version.Default, Module: "/etc/waymark.wasm", Dir: "/etc/envoy"}

	before, err := envoy.Build(planOf(rule("old", "/")), options)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range envoy.Types {
		for _, r := range before.OfType(t) {
			fmt.Println(envoy.Path(r.Key), "has", r.Name)
		}
	}

	after, err := envoy.Build(planOf(rule("new", "/reviews"), rule("old", "/")), options)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range envoy.Sequence(before, after) {
		for _, r := range step.Set {
			fmt.Printf("%s: %s\n", step.Kind, r.Name)
		}
	}
	// Output:
	// listeners.json has 0.0.0.0_80
	// clusters.json has outbound|80||reviews
	// routes/http.80.f883a119.json has http.80
	// plugins/waymark.http.80.6a33b090.json has waymark.http.80
	// routes: http.80
	// plugin configuration: waymark.http.80
}
