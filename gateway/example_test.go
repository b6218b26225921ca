package gateway_test

import (
	"fmt"
	"os"
	"strings"

	istio "istio.io/api/networking/v1alpha3"
	core "k8s.io/api/core/v1"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/verdict"
)

const shop = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  gateways: [public]
  hosts: [shop.example.com]
  http:
  - match: [{uri: {prefix: /api}, headers: {beta: {exact: "yes"}}}]
    route: [{destination: {host: api-next, port: {number: 80}}}]
  - route: [{destination: {host: api, port: {number: 80}}}]
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{name: http, port: 80}]}
`

// Read files, here standard input, and make the plan of a gateway. What is wrong is a list of findings.
func Example() {
	in := gateway.Load([]string{"-"}, resource.Options{Stdin: strings.NewReader(shop)}, version.All)
	p, findings := translate.Plan(in.Set, translate.Options{})
	for _, f := range findings {
		fmt.Println(f)
	}
	for r := range p.Rules() {
		fmt.Println(r, "goes to", r.Route.Destinations[0].Cluster)
	}
	// Output:
	// -:17:27: warning: VirtualService default/shop: spec.http[0].route[0].destination: there is no cluster outbound|80||api-next.default.svc.cluster.local: no Service or ServiceEntry has the host api-next.default.svc.cluster.local; did you mean "api.default.svc.cluster.local"?
	// default/shop.http[0].match[0] goes to outbound|80||api-next.default.svc.cluster.local
	// default/shop.http[1] goes to outbound|80||api.default.svc.cluster.local
}

// Findings are printed with the line of the file and a caret.
func ExampleCheck() {
	report := gateway.Check([]string{"-"}, resource.Options{Stdin: strings.NewReader(strings.Replace(shop, "prefix: /api", `regex: "("`, 1))}, version.All)
	if err := report.Findings().Write(os.Stdout, report.Texts); err != nil {
		panic(err)
	}
	// Output:
	// -:16:27: error: VirtualService default/shop: spec.http[0].match[0].uri.regex: "(": missing closing ) [VAL-H-10]
	//   - match: [{uri: {regex: "("}, headers: {beta: {exact: "yes"}}}]
	//                           ^
}

// A caller that has typed objects, of a Kubernetes API server or of a test, needs no files.
func ExamplePrepare() {
	object := func(kind, name string) *resource.Object {
		return &resource.Object{Kind: kind, Namespace: "default", Name: name}
	}
	in := gateway.Prepare(resource.Of(&resource.Set{
		Gateways: []*resource.Gateway{{Object: object("Gateway", "public"), Spec: &istio.Gateway{
			Servers: []*istio.Server{{Port: &istio.Port{Number: 80, Name: "http", Protocol: "HTTP"}, Hosts: []string{"*"}}},
		}}},
		VirtualServices: []*resource.VirtualService{{Object: object("VirtualService", "shop"), Spec: &istio.VirtualService{
			Hosts: []string{"shop.example.com"}, Gateways: []string{"public"},
			Http: []*istio.HTTPRoute{{Route: []*istio.HTTPRouteDestination{{Destination: &istio.Destination{Host: "api"}}}}},
		}}},
		Services: []*resource.Service{{Object: object("Service", "api"), Spec: core.ServiceSpec{Ports: []core.ServicePort{{Name: "http", Port: 80}}}}},
	}), version.All)

	p, _ := translate.Plan(in.Set, translate.Options{})
	judge, err := verdict.New(p, effect.Intake{})
	if err != nil {
		panic(err)
	}
	v := judge.Decide(verdict.Request{GatewayPort: 80, Authority: "shop.example.com", Path: "/", Headers: map[string]verdict.Values{"beta": {"yes"}}})
	fmt.Println(v.Kind, v.Clusters[0].Name)
	// Output: route outbound|80||api.default.svc.cluster.local
}
