package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// service is the YAML of a Service with one address, of namespace/name and ports like "http 9080".
func service(key, address string, ports ...string) string {
	namespace, name, _ := strings.Cut(key, "/")
	b := &strings.Builder{}
	fmt.Fprintf(b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec:\n  clusterIP: %q\n  ports:\n", name, namespace, address)
	for _, p := range ports {
		portName, number, _ := strings.Cut(p, " ")
		fmt.Fprintf(b, "  - {name: %s, port: %s}\n", portName, number)
	}
	return b.String()
}

// entry is the YAML of a ServiceEntry in default.
func entry(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: %s, namespace: default}\nspec: %s\n", name, spec)
}

// external is the YAML of a Service in default that stands for another.
func external(name, other string) string {
	return fmt.Sprintf("---\n{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: default}, spec: {type: ExternalName, externalName: %s.default.svc.cluster.local, ports: [{name: http, port: 9080}]}}\n", name, other)
}

// rules is the YAML of a VirtualService of namespace/name, created so many seconds after the first.
func rules(key string, age int, spec string) string {
	namespace, name, _ := strings.Cut(key, "/")
	created := time.Date(2024, 5, 1, 0, 0, age, 0, time.UTC).Format(time.RFC3339)
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %s, namespace: %s, creationTimestamp: %q}\nspec: %s\n", name, namespace, created, spec)
}

func translateSidecar(t *testing.T, yaml string, o gateway.Options) (*plan.Plan, gateway.Problems) {
	o.Proxy = gateway.SidecarProxy
	r, problems := gateway.Read([]string{"-"}, strings.NewReader(yaml))
	require.False(t, problems.HasErrors(), "%v", problems)
	return gateway.Translate(r, o)
}

// hostsText is each virtual host of a port with its domains, and below it its rules: name, path, where to.
func hostsText(p *plan.Plan, port uint32) string {
	b := &strings.Builder{}
	for _, l := range p.Listeners {
		if l.Port != port {
			continue
		}
		for _, h := range l.Chains[0].Routes.VirtualHosts {
			fmt.Fprintf(b, "%s = %s\n", h.Name, strings.Join(h.Domains, " "))
			for _, r := range h.Rules {
				fmt.Fprintf(b, "  %s %s ->", r.RouteName(), r.Match.Path.Value)
				if r.Route != nil {
					for _, d := range r.Route.Destinations {
						b.WriteString(" " + d.Cluster)
					}
				} else {
					fmt.Fprintf(b, " %d", r.DirectResponse.Status)
				}
				b.WriteString("\n")
			}
		}
	}
	return b.String()
}

// without takes the virtual host of a name on port 9080 out of a text.
func without(text, name string) string {
	before, rest, ok := strings.Cut(text, name+":9080 = ")
	if !ok {
		return text
	}
	_, rules, _ := strings.Cut(rest, "\n")
	for strings.HasPrefix(rules, "  ") {
		_, rules, _ = strings.Cut(rules, "\n")
	}
	return before + rules
}

const (
	reviewsDomains = "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews reviews.default.svc reviews.default 10.0.0.1\n"
	reviewsDefault = reviewsDomains + "  default / -> outbound|9080||reviews.default.svc.cluster.local\n"
	anyOther       = "allow_any = *\n  allow_any / -> PassthroughCluster\n"
)

var reviews = service("default/reviews", "10.0.0.1", "http 9080")

func TestSidecarVirtualHosts(t *testing.T) {
	to := func(host string) string { return "route: [{destination: {host: " + host + "}}]" }
	ruled := func(key, host string) string { // of a VirtualService that has reviews with one rule
		return reviewsDomains + "  " + key + ".http[0] / -> outbound|9080||" + host + "\n" + anyOther
	}
	pair := reviews + service("default/a", "10.0.0.2", "http 9080") + service("default/b", "10.0.0.3", "http 9080")
	const a, b = "a.default.svc.cluster.local", "b.default.svc.cluster.local"

	for what, c := range map[string]struct {
		yaml    string
		options gateway.Options
		port    uint32 // 9080 where it is 0
		want    string
	}{
		"VS-MESH-06: a service without VirtualService has its default route": {
			yaml: reviews, want: reviewsDefault + anyOther,
		},
		"VS-SEL-01: a VirtualService without gateways is the mesh's": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{"+to("a")+"}]}"), want: ruled("default/x", a),
		},
		"VS-SEL-01: one for a Gateway alone is not": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], gateways: [gw], http: [{"+to("a")+"}]}"), want: reviewsDefault + anyOther,
		},
		"VS-SEL-01: one for a Gateway and the mesh is": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], gateways: [gw, mesh], http: [{"+to("a")+"}]}"), want: ruled("default/x", a),
		},
		"VS-MESH-01: the older of two VirtualServices has the host alone, and nothing is merged": {
			yaml: pair + rules("default/younger", 9, "{hosts: [reviews], http: [{match: [{uri: {prefix: /b}}], "+to("b")+"}]}") +
				rules("default/zz-older", 0, "{hosts: [reviews], http: [{"+to("a")+"}]}"),
			want: ruled("default/zz-older", a),
		},
		"VS-SEL-05: of the same age the name decides": {
			yaml: pair + rules("default/y", 0, "{hosts: [reviews], http: [{"+to("b")+"}]}") + rules("default/x", 0, "{hosts: [reviews], http: [{"+to("a")+"}]}"),
			want: ruled("default/x", a),
		},
		"VS-SEL-04: a younger private VirtualService is before an older public one": {
			yaml: pair + rules("default/old", 0, "{hosts: [reviews], http: [{"+to("a")+"}]}") +
				rules("default/new", 9, "{hosts: [reviews], exportTo: ['.'], http: [{"+to("b")+"}]}"),
			want: ruled("default/new", b),
		},
		"VS-MESH-01: where the first has no rules for the port, the second has": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{port: 1}], "+to("a")+"}]}") +
				rules("default/y", 1, "{hosts: [reviews], http: [{"+to("b")+"}]}"),
			want: ruled("default/y", b),
		},
		"VS-MESH-02: an exact host beats an older wildcard": {
			yaml: pair + rules("default/wild", 0, "{hosts: ['*.default.svc.cluster.local'], http: [{match: [{uri: {exact: /w}}], "+to("a")+"}]}") +
				rules("default/exact", 9, "{hosts: [reviews], http: [{"+to("b")+"}]}"),
			want: ruled("default/exact", b),
		},
		"VS-MESH-02: a wildcard has the services that nobody names": {
			yaml: reviews + service("other/c", "10.0.0.4", "http 9080") + rules("default/wild", 0, "{hosts: ['*.default.svc.cluster.local'], http: [{"+to("reviews")+"}]}"),
			want: "c.other.svc.cluster.local:9080 = c.other.svc.cluster.local c.other.svc.cluster.local. c.other c.other.svc 10.0.0.4\n" +
				"  default / -> outbound|9080||c.other.svc.cluster.local\n" + ruled("default/wild", "reviews.default.svc.cluster.local"),
		},
		"VS-MESH-02: a longer wildcard beats an older short one": {
			yaml: pair + rules("default/short", 0, "{hosts: ['*.svc.cluster.local'], http: [{"+to("a")+"}]}") +
				rules("default/long", 9, "{hosts: ['*.default.svc.cluster.local'], http: [{"+to("b")+"}]}"),
			want: ruled("default/long", b),
		},
		"VS-MESH-02: of two equal wildcards the older has the service": {
			yaml: pair + rules("default/younger", 9, "{hosts: ['*.default.svc.cluster.local'], http: [{"+to("a")+"}]}") +
				rules("default/zz-older", 0, "{hosts: ['*.default.svc.cluster.local'], http: [{"+to("b")+"}]}"),
			want: ruled("default/zz-older", b),
		},
		"VS-MESH-02: an exact host without rules for the port keeps the wildcard away": {
			yaml: reviews + rules("default/wild", 0, "{hosts: ['*.default.svc.cluster.local'], http: [{"+to("reviews")+"}]}") +
				rules("default/exact", 9, "{hosts: [reviews], http: [{match: [{port: 1}], "+to("reviews")+"}]}"),
			want: reviewsDefault + anyOther,
		},
		"VS-STAT-01: match.port is the service's port": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{port: 9080}], "+to("a")+"}]}"),
			want: reviewsDomains + "  default/x.http[0].match[0] / -> outbound|9080||" + a + "\n" + anyOther,
		},
		"VS-STAT-03: sourceLabels of another proxy leave the default route": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{sourceLabels: {app: web}}], "+to("a")+"}]}"),
			want: reviewsDefault + anyOther,
		},
		"VS-STAT-03: sourceLabels of the proxy hold": {
			yaml:    pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{sourceLabels: {app: web}, uri: {prefix: /a}}], "+to("a")+"}, {match: [{sourceLabels: {app: other}}], "+to("b")+"}]}"),
			options: gateway.Options{Labels: map[string]string{"app": "web", "version": "v1"}},
			want:    reviewsDomains + "  default/x.http[0].match[0] /a -> outbound|9080||" + a + "\n" + anyOther,
		},
		"VS-STAT-03: sourceNamespace is compared with the proxy's": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{sourceNamespace: other}], "+to("a")+"}, {match: [{sourceNamespace: default}], "+to("b")+"}]}"),
			want: reviewsDomains + "  default/x.http[1].match[0] / -> outbound|9080||" + b + "\n" + anyOther,
		},
		"VS-STAT-02: match.gateways with mesh holds, and hides sourceLabels": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], gateways: [gw, mesh], http: [{match: [{gateways: [gw]}], "+to("b")+"}, {match: [{gateways: [mesh], sourceLabels: {app: nobody}}], "+to("a")+"}]}"),
			want: reviewsDomains + "  default/x.http[1].match[0] / -> outbound|9080||" + a + "\n" + anyOther,
		},
		"VS-ORD-04: what follows a catch-all is dropped": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], "+to("a")+"}, {"+to("b")+"}, {match: [{uri: {prefix: /late}}], "+to("a")+"}]}"),
			want: reviewsDomains + "  default/x.http[0].match[0] /a -> outbound|9080||" + a + "\n  default/x.http[1] / -> outbound|9080||" + b + "\n" + anyOther,
		},
		"VS-SEL-03: what is exported elsewhere does not count": {
			yaml: pair + rules("other/x", 0, "{hosts: [reviews.default.svc.cluster.local], exportTo: ['.'], http: [{"+to(a)+"}]}"), want: reviewsDefault + anyOther,
		},
		"VS-SEL-03: another namespace's public rules do": {
			yaml: pair + rules("other/x", 0, "{hosts: [reviews.default.svc.cluster.local], http: [{"+to(a)+"}]}"), want: ruled("other/x", a),
		},
		"VS-NAME-01: a short host is the VirtualService's own namespace's": {
			yaml: pair + rules("other/x", 0, "{hosts: [reviews], http: [{"+to("a")+"}]}"), want: reviewsDefault + anyOther,
		},
		"VS-DEL-04: a delegate's rules stand in the mesh": {
			yaml: pair + rules("default/root", 0, "{hosts: [reviews], http: [{match: [{uri: {prefix: /d}}], delegate: {name: part, namespace: default}}, {"+to("b")+"}]}") +
				rules("default/part", 0, "{http: [{match: [{uri: {prefix: /d/1}}], "+to("a")+"}]}"),
			want: reviewsDomains + "  default/root+default/part.http[0].match[0] /d/1 -> outbound|9080||" + a + "\n  default/root.http[1] / -> outbound|9080||" + b + "\n" + anyOther,
		},
		"VS-MESH-04: from another namespace a service has no bare name": {
			yaml: reviews, options: gateway.Options{Namespace: "other"},
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews.default reviews.default.svc 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: a headless service has the names of its pods, and no address": {
			yaml: service("default/db", "None", "http 9080"), options: gateway.Options{Namespace: "other"},
			want: "db.default.svc.cluster.local:9080 = db.default.svc.cluster.local db.default.svc.cluster.local. db.default db.default.svc" +
				" *.db.default.svc.cluster.local *.db.default.svc.cluster.local. *.db.default *.db.default.svc\n" +
				"  default / -> outbound|9080||db.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: a ServiceEntry has its hosts and addresses": {
			yaml: entry("ext", "{hosts: [api.example.com], addresses: [240.0.0.7, '2001:db8::7'], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
			want: "api.example.com:9080 = api.example.com api.example.com. 240.0.0.7 [2001:db8::7]\n  default / -> outbound|9080||api.example.com\n" + anyOther,
		},
		"VS-SPLIT-04: an external name is a domain of the service that it stands for": {
			yaml: reviews + external("old", "reviews"),
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews reviews.default.svc reviews.default" +
				" old.default.svc.cluster.local old.default.svc.cluster.local. old old.default.svc old.default 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-SPLIT-04: through another external name, too, and rules of its own come first": {
			yaml: reviews + external("old", "older") + external("older", "reviews") +
				rules("default/x", 0, "{hosts: [older], http: [{match: [{uri: {prefix: /o}}], "+to("reviews")+"}]}"),
			want: "older.default.svc.cluster.local:9080 = older.default.svc.cluster.local older.default.svc.cluster.local. older older.default.svc older.default\n" +
				"  default/x.http[0].match[0] /o -> outbound|9080||reviews.default.svc.cluster.local\n" +
				"reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews reviews.default.svc reviews.default" +
				" old.default.svc.cluster.local old.default.svc.cluster.local. old old.default.svc old.default 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-03: a host that is no service is served on port 80": {
			yaml: service("default/web", "10.0.0.9", "http 80") + rules("default/x", 0, "{hosts: [shop.example.com], http: [{"+to("web")+"}]}"), port: 80,
			want: "shop.example.com:80 = shop.example.com\n  default/x.http[0] / -> outbound|80||web.default.svc.cluster.local\n" +
				"web.default.svc.cluster.local:80 = web.default.svc.cluster.local web.default.svc.cluster.local. web web.default.svc web.default 10.0.0.9\n" +
				"  default / -> outbound|80||web.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-03: and on no other": {
			yaml: reviews + rules("default/x", 0, "{hosts: [shop.example.com], http: [{"+to("reviews")+"}]}"), want: reviewsDefault + anyOther,
		},
		"VS-MESH-03: but where it shares its rules with a service of the port": {
			yaml: reviews + rules("default/x", 0, "{hosts: [reviews, shop.example.com], http: [{"+to("reviews")+"}]}"),
			want: reviewsDomains + "  default/x.http[0] / -> outbound|9080||reviews.default.svc.cluster.local\n" +
				"shop.example.com:9080 = shop.example.com\n  default/x.http[0] / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"hosts of VirtualServices compare without regard to case": {
			yaml: pair + rules("default/x", 0, "{hosts: [Reviews.Default.svc.cluster.local, '*.Example.com'], http: [{"+to("a")+"}]}") +
				entry("ext", "{hosts: ['*.example.com'], resolution: NONE, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
			want: "*.example.com:9080 = *.example.com *.example.com.\n  default/x.http[0] / -> outbound|9080||" + a + "\n" + ruled("default/x", a),
		},
		"a Service that is not exported is unknown": {
			yaml: reviews + strings.Replace(service("other/c", "10.0.0.4", "http 9080"), "{name: c,", "{annotations: {networking.istio.io/exportTo: '., third'}, name: c,", 1),
			want: reviewsDefault + anyOther,
		},
		"and one that is exported to the proxy's namespace is known": {
			yaml:    strings.Replace(reviews, "{name: reviews,", "{annotations: {networking.istio.io/exportTo: '., third'}, name: reviews,", 1),
			options: gateway.Options{Namespace: "third"},
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews.default reviews.default.svc 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: 0.0.0.0 is no address": {
			yaml: entry("ext", "{hosts: [api.example.com], addresses: [0.0.0.0], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
			want: "api.example.com:9080 = api.example.com api.example.com.\n  default / -> outbound|9080||api.example.com\n" + anyOther,
		},
		"a UDP port of the same number is another port": {
			yaml: "---\n{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: default}, spec: {clusterIP: 10.0.0.1, ports: [{name: udp, port: 9080, protocol: UDP}, {name: http, port: 9080}]}}\n",
			want: reviewsDefault + anyOther,
		},
		"VS-MESH-05: REGISTRY_ONLY blocks what nothing knows": {
			yaml: reviews, options: gateway.Options{OutboundTrafficPolicy: gateway.RegistryOnly}, want: reviewsDefault + "block_all = *\n  block_all / -> 502\n",
		},
		"a port without protocol is served where another service declares HTTP on it": {
			yaml: reviews + service("default/mute", "10.0.0.8", "mute 9080"),
			want: "mute.default.svc.cluster.local:9080 = mute.default.svc.cluster.local mute.default.svc.cluster.local. mute mute.default.svc mute.default 10.0.0.8\n" +
				"  default / -> outbound|9080||mute.default.svc.cluster.local\n" + reviewsDefault + anyOther,
		},
		"a port that declares TCP is not": {
			yaml: reviews + service("default/db", "10.0.0.8", "tcp-db 9080"), want: reviewsDefault + anyOther,
		},
		"a whole host is never another's short name": {
			yaml: reviews + entry("ext", "{hosts: [reviews.default], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}") +
				rules("default/x", 0, "{hosts: [reviews], http: [{"+to("reviews")+"}]}"),
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews reviews.default.svc 10.0.0.1\n" +
				"  default/x.http[0] / -> outbound|9080||reviews.default.svc.cluster.local\n" +
				"reviews.default:9080 = reviews.default reviews.default.\n  default / -> outbound|9080||reviews.default\n" + anyOther,
		},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translateSidecar(t, c.yaml, c.options)
			assert.False(t, problems.HasErrors(), "%v", problems)
			if c.port == 0 {
				c.port = 9080
			}
			got := hostsText(p, c.port)
			if strings.HasPrefix(c.yaml, pair) {
				got = without(without(got, a), b)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// VS-TO-10, VS-RETRY-01: a default route retries as Istio does by default, and has no timeout.
func TestSidecarDefaultRoute(t *testing.T) {
	p, _ := translateSidecar(t, reviews, gateway.Options{})
	l := p.Listeners[0]
	assert.Equal(t, "127.0.0.1_9080", l.Name)
	assert.Equal(t, "9080", l.Chains[0].Routes.Name)
	r := l.Chains[0].Routes.VirtualHosts[0].Rules[0]
	assert.Zero(t, r.Route.Timeout)
	assert.Equal(t, &plan.RetryPolicy{On: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", Attempts: 2, PreviousHosts: true}, r.Route.Retry)
	passthrough := l.Chains[0].Routes.VirtualHosts[1].Rules[0]
	assert.Zero(t, passthrough.Route.Timeout)
	assert.Nil(t, passthrough.Route.Retry)
}

// DR-HASH-04: the hash of a DestinationRule holds on a default route, and hosts that were tried are avoided all the same.
func TestSidecarDefaultRouteHashes(t *testing.T) {
	p, _ := translateSidecar(t, reviews+`---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy: {portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: x-user}}}]}
`, gateway.Options{})
	a := p.Listeners[0].Chains[0].Routes.VirtualHosts[0].Rules[0].Route
	assert.Equal(t, []plan.HashPolicy{{Header: "x-user"}}, a.HashPolicies)
	assert.True(t, a.Retry.PreviousHosts)
	assert.Equal(t, plan.RingHash, p.Clusters[1].LoadBalancing)
}

// Each port that a service declares HTTP on has a listener, and every other is named.
func TestSidecarPorts(t *testing.T) {
	p, problems := translateSidecar(t, reviews+`---
apiVersion: v1
kind: Service
metadata: {name: many, namespace: default}
spec:
  ports:
  - {name: grpc-web-x, port: 8001}
  - {name: whatever, port: 8002, appProtocol: kubernetes.io/ws}
  - {name: mysql, port: 3306}
  - {name: web, port: 8003}
  - {name: dns, port: 53}
  - {name: http, port: 8004, protocol: UDP}
  - {name: HTTP2-x, port: 8005}
  - {name: http-secure, port: 8006, appProtocol: https}
`, gateway.Options{})
	var ports []uint32
	for _, l := range p.Listeners {
		ports = append(ports, l.Port)
	}
	assert.Equal(t, []uint32{8001, 8002, 8005, 9080}, ports)
	var notices []string
	for _, n := range problems {
		assert.Equal(t, gateway.Notice, n.Severity)
		notices = append(notices, n.Field+": "+n.Message)
	}
	assert.Equal(t, []string{
		"spec.ports[2]: port 3306 speaks MYSQL, and a sidecar's listeners serve HTTP only; it is left aside",
		"spec.ports[3]: port 8003 declares no protocol, so it has no listener; give it appProtocol: http or a name that begins with http",
		"spec.ports[4]: port 53 speaks TCP, and a sidecar's listeners serve HTTP only; it is left aside",
		"spec.ports[5]: port 8004 speaks UDP, and a sidecar's listeners serve HTTP only; it is left aside",
		"spec.ports[7]: port 8006 speaks HTTPS, and a sidecar's listeners serve HTTP only; it is left aside",
	}, notices)
}

// A VirtualService holds on all ports of its service, each with the clusters of that port.
func TestSidecarSeveralPorts(t *testing.T) {
	p, problems := translateSidecar(t, service("default/reviews", "10.0.0.1", "http 9080", "http-admin 9081")+
		rules("default/x", 0, `{hosts: [reviews], http: [
    {match: [{port: 9081, uri: {prefix: /admin}}], route: [{destination: {host: reviews}}]},
    {route: [{destination: {host: reviews, port: {number: 9080}}}]}]}`), gateway.Options{})
	assert.Empty(t, problems)
	assert.NotContains(t, hostsText(p, 9080), "/admin")
	assert.Contains(t, hostsText(p, 9080), "default/x.http[1] / -> outbound|9080||reviews")
	assert.Contains(t, hostsText(p, 9081), "default/x.http[0].match[0] /admin -> outbound|9081||reviews")
	assert.Contains(t, hostsText(p, 9081), "default/x.http[1] / -> outbound|9080||reviews")
}

func TestSidecarProblems(t *testing.T) {
	for what, c := range map[string]struct {
		yaml string
		want []string
	}{
		"VS-MESH-01: a host that is lost is warned about, once": {
			yaml: service("default/reviews", "10.0.0.1", "http 9080", "http-b 9081") +
				rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}") +
				rules("default/y", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}"),
			want: []string{"warning: VirtualService default/y: spec.hosts: VirtualService default/x has reviews.default.svc.cluster.local already, and the mesh does not merge: the rules of this VirtualService are not used for it (VS-MESH-01)"},
		},
		"VS-MESH-03: a host that nothing listens for is warned about": {
			yaml: reviews + rules("default/x", 0, "{hosts: [shop.example.com], http: [{route: [{destination: {host: reviews}}]}]}"),
			want: []string{`warning: VirtualService default/x: spec.hosts[0]: "shop.example.com" is no service, so a sidecar serves it on port 80 only, where no service declares HTTP: nothing listens there (VS-MESH-03)`},
		},
		"VS-SPLIT-02: a destination without a port means the listener's, even if its service has one other port": {
			yaml: reviews + service("default/bin", "10.0.0.2", "http 8000") + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: bin}}]}]}"),
			want: []string{"warning: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|9080||bin.default.svc.cluster.local: its host has no port 9080 (it has 8000)"},
		},
		"a port that is written and missing is an error": {
			yaml: reviews + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews, port: {number: 1}}}]}]}"),
			want: []string{"error: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|1||reviews.default.svc.cluster.local: its host has no port 1 (it has 9080)"},
		},
		"VS-MESH-03: port 80 knows the hosts of other ports, which is no more than a notice": {
			yaml: reviews + service("default/web", "10.0.0.9", "http 80") + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}"),
			want: []string{"notice: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|80||reviews.default.svc.cluster.local: its host has no port 80 (it has 9080)"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			_, problems := translateSidecar(t, c.yaml, gateway.Options{})
			var got []string
			for _, p := range problems {
				_, text, _ := strings.Cut(p.String(), " ") // without the place
				got = append(got, text)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// SE-02, VS-MESH-05: what is sent where its client wanted to has no endpoints.
func TestSidecarOriginalDestination(t *testing.T) {
	p, problems := translateSidecar(t, service("default/db", "None", "http 9080")+
		entry("ext", "{hosts: ['*.example.com'], ports: [{number: 9080, name: http, protocol: HTTP}]}"), gateway.Options{})
	assert.False(t, problems.HasErrors(), "%v", problems)
	assert.Equal(t, []*plan.Cluster{
		{Name: "PassthroughCluster", Discovery: plan.OriginalDestination, ClientProtocol: true},
		{Name: "outbound|9080||*.example.com", Discovery: plan.OriginalDestination},
		{Name: "outbound|9080||db.default.svc.cluster.local", Discovery: plan.OriginalDestination},
	}, p.Clusters)
}

func TestSidecarVerdicts(t *testing.T) {
	yaml := reviews + service("other/ratings", "10.0.0.2", "http 9080") + service("default/web", "10.0.0.9", "http 80") +
		service("default/db", "None", "http 9080") +
		entry("ext", "{hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}]}") +
		rules("default/x", 0, `{hosts: [reviews], http: [
    {match: [{uri: {prefix: /v2}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: ratings.other.svc.cluster.local}}]},
    {match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: reviews}}]}]}`) +
		rules("default/shop", 0, `{hosts: ["*.shop.test"], http: [{route: [{destination: {host: web}}]}]}`)
	for what, c := range map[string]struct {
		policy gateway.OutboundTrafficPolicy
		port   uint32
		host   string
		path   string
		want   string
	}{
		"VS-MESH-04: the short name":                                  {port: 9080, host: "reviews", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local  (default/x.http[0].match[0])"},
		"VS-MESH-04: with the port":                                   {port: 9080, host: "reviews:9080", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local  (default/x.http[0].match[0])"},
		"VS-MESH-04: the full name, in capitals, with a dot":          {port: 9080, host: "Reviews.default.svc.cluster.local.:9080", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local  (default/x.http[0].match[0])"},
		"VS-MESH-04: the address":                                     {port: 9080, host: "10.0.0.1", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local  (default/x.http[0].match[0])"},
		"VS-GW-06: a host with rules has no default route":            {port: 9080, host: "reviews", path: "/", want: "404 no route"},
		"VS-MESH-04: another namespace's service has no bare name":    {port: 9080, host: "ratings", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-04: but name.namespace":                              {port: 9080, host: "ratings.other", path: "/", want: "outbound|9080||ratings.other.svc.cluster.local  (default)"},
		"VS-MESH-04: the name of a pod of a headless service":         {port: 9080, host: "db-0.db", path: "/", want: "outbound|9080||db.default.svc.cluster.local  (default)"},
		"VS-MESH-03: a wildcard that is no service, on port 80":       {port: 80, host: "a.shop.test", path: "/", want: "outbound|80||web.default.svc.cluster.local  (default/shop.http[0])"},
		"a ServiceEntry with a wildcard":                              {port: 80, host: "x.example.com", path: "/", want: "outbound|80||*.example.com  (default)"},
		"VS-MESH-05: an unknown host passes":                          {port: 80, host: "example.org", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-05: under REGISTRY_ONLY it gets 502":                 {policy: gateway.RegistryOnly, port: 80, host: "example.org", path: "/", want: "502 direct response  (block_all)"},
		"a service that has not the port is unknown there":            {port: 9080, host: "web", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-03: a host of another port is half known on port 80": {port: 80, host: "reviews.default.svc.cluster.local", path: "/v2", want: "outbound|80||ratings.other.svc.cluster.local  (default/x.http[0].match[0])"},
		"a port that no service has":                                  {port: 1, host: "reviews", path: "/", want: "no listener"},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translateSidecar(t, yaml, gateway.Options{OutboundTrafficPolicy: c.policy})
			require.False(t, problems.HasErrors(), "%v", problems)
			j, err := verdict.New(p, verdict.Options{})
			require.NoError(t, err)
			var r verdict.Request
			text, err := json.Marshal(map[string]any{"gatewayPort": c.port, "authority": c.host, "path": c.path})
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &r))
			assert.Equal(t, "GET "+c.host+c.path+" -> "+c.want, j.Decide(r).Text(r))
		})
	}
}
