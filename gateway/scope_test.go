package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// apiEntry is a ServiceEntry in namespace/name@creation with one port like "http 80 HTTP", whose endpoints are named
// after it.
func apiEntry(name, host, port, more string) string {
	base, _, _ := strings.Cut(strings.ReplaceAll(name, "/", "."), "@")
	p := append(strings.Fields(port), "", "")
	protocol := ""
	if p[2] != "" {
		protocol = ", protocol: " + p[2]
	}
	if !strings.Contains(more, "resolution") {
		more += "\nresolution: DNS\nendpoints: [{address: " + base + ".test}]"
	}
	return object("ServiceEntry", name, "hosts: ['"+host+"']\nports: [{name: "+p[0]+", number: "+p[1]+protocol+"}]\n"+more)
}

// TestSidecarScope checks which of several services with one host a sidecar uses (SE-08).
func TestSidecarScope(t *testing.T) {
	web := service("default/web", "10.0.0.1", "http 80")
	api := func(port string) string {
		return "api.example.com:" + port + " = api.example.com api.example.com.\n  default / -> outbound|" + port + "||api.example.com\n"
	}
	for what, c := range map[string]struct {
		yaml      string
		namespace string
		port      uint32
		want      string
		endpoints map[string]string // the first address of each cluster that is listed
	}{
		"an entry of the own namespace is before an older one of another": {
			yaml: apiEntry("shop/a@2024-01-01", "api.example.com", "http 80 HTTP", "") + apiEntry("default/b@2024-02-01", "api.example.com", "http 80 HTTP", ""),
			port: 80, want: api("80") + anyOther, endpoints: map[string]string{"outbound|80||api.example.com": "default.b.test"},
		},
		"and its ports are the only ones": {
			yaml: apiEntry("shop/a@2024-01-01", "api.example.com", "http 80 HTTP", "") + apiEntry("default/b@2024-02-01", "api.example.com", "http 8080 HTTP", "") + web,
			port: 80, want: "web.default.svc.cluster.local:80 = web.default.svc.cluster.local web.default.svc.cluster.local. web web.default.svc web.default 10.0.0.1\n" +
				"  default / -> outbound|80||web.default.svc.cluster.local\n" + anyOther,
		},
		"it is also before a Service of another namespace": {
			yaml:      web + apiEntry("shop/a@2024-02-01", "web.default.svc.cluster.local", "http 8080 HTTP", ""),
			namespace: "shop", port: 8080, want: "web.default.svc.cluster.local:8080 = web.default.svc.cluster.local web.default.svc.cluster.local. web.default web.default.svc\n" +
				"  default / -> outbound|8080||web.default.svc.cluster.local\n" + anyOther,
			endpoints: map[string]string{"outbound|8080||web.default.svc.cluster.local": "shop.a.test"},
		},
		"a Service is before an older entry of a third namespace": {
			yaml:      apiEntry("other/a@2023-01-01", "web.default.svc.cluster.local", "http 8080 HTTP", "") + web,
			namespace: "shop", port: 8080, want: "",
		},
		"a port has the entry of its Service's namespace that came last": {
			yaml: service("default/web", "10.0.0.1", "http 80", "http-b 8080") + apiEntry("default/a@2024-02-01", "web.default.svc.cluster.local", "http 8080 HTTP", ""),
			port: 8080, want: "web.default.svc.cluster.local:8080 = web.default.svc.cluster.local web.default.svc.cluster.local. web web.default.svc web.default\n" +
				"  default / -> outbound|8080||web.default.svc.cluster.local\n" + anyOther,
		},
		"a port that only a later entry has is served, though Istio makes no cluster for it": {
			yaml: apiEntry("default/a@2024-01-01", "api.example.com", "http 80 HTTP", "exportTo: [.]") + apiEntry("default/b@2024-02-01", "api.example.com", "http 8080 HTTP", ""),
			port: 8080, want: api("8080") + anyOther, endpoints: map[string]string{"outbound|8080||api.example.com": "default.b.test"},
		},
		"the last of several entries decides what a port speaks": {
			yaml: apiEntry("default/a@2024-01-01", "api.example.com", "http 80 HTTP", "") + apiEntry("default/b@2024-02-01", "api.example.com", "https 80 HTTPS", ""),
			port: 80, want: anyOther,
		},
		"entries that describe one service have the endpoints of each port": {
			yaml: apiEntry("default/a@2024-01-01", "api.example.com", "http 80 HTTP", "") + apiEntry("default/b@2024-02-01", "api.example.com", "http-b 8080 HTTP", ""),
			port: 8080, want: api("8080") + anyOther, endpoints: map[string]string{"outbound|8080||api.example.com": "default.b.test"},
		},
		"a port without protocol, of a host without address, is served": {
			yaml: apiEntry("default/a", "api.example.com", "x 9080", ""), port: 9080, want: api("9080") + anyOther,
		},
		"of a host with an address it is not": {
			yaml: apiEntry("default/a", "api.example.com", "x 9080", "addresses: [240.0.0.1]"), port: 9080, want: "",
		},
		"of a host with a range of addresses it is": {
			yaml: apiEntry("default/a", "api.example.com", "x 9080", "addresses: [240.0.0.0/8]\nresolution: NONE"), port: 9080,
			want: "api.example.com:9080 = api.example.com api.example.com. 240.0.0.0/8\n  default / -> outbound|9080||api.example.com\n" + anyOther,
		},
		"a range of one address is an address": {
			yaml: apiEntry("default/a", "api.example.com", "x 9080", "addresses: [240.0.0.1/32]\nresolution: NONE"), port: 9080, want: "",
		},
		"a host in capitals is served in lower case, by the cluster of its own name": {
			yaml: apiEntry("default/a", "Api.Example.com", "http 80 HTTP", ""), port: 80,
			want:      "api.example.com:80 = api.example.com api.example.com.\n  default / -> outbound|80||Api.Example.com\n" + anyOther,
			endpoints: map[string]string{"outbound|80||Api.Example.com": "default.a.test"},
		},
		"and no wildcard applies to it": {
			yaml: apiEntry("default/a", "Api.Example.com", "http 80 HTTP", "") + rules("default/x", 0, "{hosts: ['*.example.com'], http: [{route: [{destination: {host: b}}]}]}"), port: 80,
			want: "api.example.com:80 = api.example.com api.example.com.\n  default / -> outbound|80||Api.Example.com\n" + anyOther,
		},
		"external names of external names": {
			yaml: service("default/web", "10.0.0.1", "http 9080") + external("one", "web") + external("two", "one") +
				rules("default/x", 0, "{hosts: [shop.test, one], http: [{route: [{destination: {host: two}}]}]}"), port: 9080,
			want: "one.default.svc.cluster.local:9080 = one.default.svc.cluster.local\n  default/x.http[0] / -> outbound|9080||web.default.svc.cluster.local\n" +
				"shop.test:9080 = shop.test\n  default/x.http[0] / -> outbound|9080||web.default.svc.cluster.local\n" +
				"web.default.svc.cluster.local:9080 = web.default.svc.cluster.local\n  default / -> outbound|9080||web.default.svc.cluster.local\n" + anyOther,
		},
		"a host in capitals loses to the same one in lower case": {
			yaml: apiEntry("default/a@2024-01-01", "api.example.com", "mongo 80 MONGO", "addresses: [240.0.0.1]") + apiEntry("default/b@2024-02-01", "Api.Example.com", "http 80 HTTP", ""),
			port: 80, want: api("80") + anyOther, endpoints: map[string]string{"outbound|80||api.example.com": "default.a.test"},
		},
		"a protocol in which the server sends first keeps HTTP away": {
			yaml: apiEntry("default/a@2024-01-01", "db.example.com", "mongo 80 MONGO", "") + apiEntry("default/b@2024-02-01", "api.example.com", "http 80 HTTP", ""), port: 80, want: "",
		},
		"unless it comes later, or has an address": {
			yaml: apiEntry("default/a@2024-02-01", "db.example.com", "mongo 80 MONGO", "") + apiEntry("default/b@2024-01-01", "api.example.com", "http 80 HTTP", "") +
				apiEntry("default/c@2023-02-01", "db2.example.com", "mysql 80 MySQL", "addresses: [240.0.0.1]"), port: 80, want: api("80") + anyOther,
		},
		"nor of a host with resolution NONE to which another entry gives endpoints": {
			yaml: apiEntry("default/a@2024-01-01", "api.example.com", "x 9080", "resolution: NONE") + apiEntry("default/b@2024-02-01", "api.example.com", "web 9080", "addresses: [240.0.0.1]"), port: 9080, want: "",
		},
		"external names are sorted by namespace": {
			yaml: service("shop/web", "10.0.0.1", "http 9080") + strings.NewReplacer("web.default", "web.shop", "namespace: default", "namespace: b").Replace(external("a", "web")) +
				strings.NewReplacer("web.default", "web.shop", "namespace: default", "namespace: a").Replace(external("b", "web")), port: 9080,
			want: "web.shop.svc.cluster.local:9080 = web.shop.svc.cluster.local web.shop.svc.cluster.local. web.shop web.shop.svc" +
				" b.a.svc.cluster.local b.a.svc.cluster.local. b.a b.a.svc a.b.svc.cluster.local a.b.svc.cluster.local. a.b a.b.svc 10.0.0.1\n" +
				"  default / -> outbound|9080||web.shop.svc.cluster.local\n" + anyOther,
		},
		"the address 0.0.0.0 is none": {
			yaml: apiEntry("default/a", "api.example.com", "x 9080", "addresses: [0.0.0.0]\nresolution: NONE"), port: 9080, want: api("9080") + anyOther,
		},
		"an external name is a domain wherever it is exported to, and without ports": {
			yaml: web + "---\n{apiVersion: v1, kind: Service, metadata: {name: alias, namespace: shop, annotations: {networking.istio.io/exportTo: .}}, spec: {type: ExternalName, externalName: web.default.svc.cluster.local}}\n",
			port: 80,
			want: "web.default.svc.cluster.local:80 = web.default.svc.cluster.local web.default.svc.cluster.local. web web.default.svc web.default" +
				" alias.shop.svc.cluster.local alias.shop.svc.cluster.local. alias.shop alias.shop.svc 10.0.0.1\n" +
				"  default / -> outbound|80||web.default.svc.cluster.local\n" + anyOther,
		},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translateSidecar(t, c.yaml, translate.Options{Namespace: c.namespace})
			if !strings.Contains(c.yaml, "host: b}") {
				assert.False(t, problems.HasErrors(), "%v", problems)
			}
			got := hostsText(p, c.port)
			if strings.HasPrefix(what, "external names of") { // the domains are those of other tests
				got = onlyFirstDomain(got)
				c.want = onlyFirstDomain(c.want)
			}
			assert.Equal(t, c.want, got)
			for name, address := range c.endpoints {
				assert.Equal(t, address, firstAddress(p, name), name)
			}
		})
	}
}

// onlyFirstDomain leaves one domain of each virtual host in a text.
func onlyFirstDomain(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if name, domains, ok := strings.Cut(line, " = "); ok {
			first, _, _ := strings.Cut(domains, " ")
			line = name + " = " + first
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// firstAddress is the address of the first endpoint of a cluster, or why there is none.
func firstAddress(p *plan.Plan, cluster string) string {
	for _, c := range p.Clusters {
		if c.Name != cluster {
			continue
		}
		for _, l := range c.Localities {
			for _, e := range l.Endpoints {
				return e.Address
			}
		}
		return "no endpoint"
	}
	return "no cluster"
}

// A route of the Gateway API applies in its own namespace, and elsewhere to a service of its own namespace.
func TestSidecarRoutes(t *testing.T) {
	route := func(key, host string) string {
		return strings.Replace(rules(key, 0, "{hosts: ['"+host+"'], http: [{directResponse: {status: 200}}]}"),
			"metadata: {", "metadata: {annotations: {internal.istio.io/route-semantics: gateway}, ", 1)
	}
	const ruled, star = "reviews.default.svc.cluster.local", "*.default.svc.cluster.local"
	for what, c := range map[string]struct {
		key, host, namespace string
		applies              bool
	}{
		"in the namespace of the service":              {"default/r", ruled, "shop", true},
		"in the namespace of the sidecar":              {"shop/r", ruled, "shop", true},
		"in another namespace":                         {"other/r", ruled, "shop", false},
		"a wildcard stands for no service, in its own": {"default/r", star, "default", false},
	} {
		t.Run(what, func(t *testing.T) {
			p, _ := translateSidecar(t, reviews+route(c.key, c.host), translate.Options{Namespace: c.namespace})
			assert.Equal(t, c.applies, strings.Contains(hostsText(p, 9080), c.key+".http[0]"), hostsText(p, 9080))
		})
	}
}

// A gateway uses the oldest entry of a host, whatever its own namespace has.
func TestGatewayScope(t *testing.T) {
	yaml := everything + apiEntry("shop/a@2024-01-01", "api.example.com", "http 80 HTTP", "") + apiEntry("istio-system/b@2024-02-01", "api.example.com", "http 80 HTTP", "") +
		object("VirtualService", "v", "gateways: [gw]\nhosts: ['*']\nhttp: [{route: [{destination: {host: api.example.com}}]}]")
	p, problems := translated(t, yaml, translate.Options{})
	assert.False(t, problems.HasErrors(), "%v", problems)
	assert.Equal(t, "shop.a.test", firstAddress(p, "outbound|80||api.example.com"))
}

// VS-MESH-04: the short name of a wildcard for the own namespace would be "*", which Envoy refuses beside that of
// unknown hosts.
func TestSidecarStar(t *testing.T) {
	p, problems := translateSidecar(t, apiEntry("default/a", "*.default.svc.cluster.local", "http 80 HTTP", ""), translate.Options{})
	assert.Equal(t, "*.default.svc.cluster.local:80 = *.default.svc.cluster.local *.default.svc.cluster.local. *.default.svc *.default\n"+
		"  default / -> outbound|80||*.default.svc.cluster.local\n"+anyOther, hostsText(p, 80))
	require.Len(t, problems, 1)
	assert.Equal(t, diag.Warning, problems[0].Severity)
	assert.Equal(t, `"*.default.svc.cluster.local" is also served as "*" in namespace default, which is the domain of all hosts that are not known; that name is left out (VS-MESH-04)`, problems[0].Message)
}

// A destination in the own namespace counts even if it is not exported there, with its DestinationRule.
func TestSidecarHiddenDestination(t *testing.T) {
	hidden := strings.Replace(service("default/v2", "10.0.0.2", "http 9080"), "{name: v2,", "{annotations: {networking.istio.io/exportTo: '~'}, name: v2,", 1)
	p, problems := translateSidecar(t, reviews+hidden+
		object("DestinationRule", "v2", "host: v2\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}")+
		rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: v2}}]}]}"), translate.Options{})
	assert.Empty(t, problems)
	assert.Equal(t, reviewsDomains+"  default/x.http[0] / -> outbound|9080||v2.default.svc.cluster.local\n"+anyOther, hostsText(p, 9080))
	assert.Equal(t, []plan.HashPolicy{{Header: "x-user"}}, p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules[0].Route.HashPolicies)
	assert.Equal(t, "v2.default.svc.cluster.local", firstAddress(p, "outbound|9080||v2.default.svc.cluster.local"))
}
