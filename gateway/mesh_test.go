package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
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

// external is the YAML of a Service in default that stands for another.
func external(name, other string) string {
	return fmt.Sprintf("---\n{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: default}, spec: {type: ExternalName, externalName: %s.default.svc.cluster.local, ports: [{name: http, port: 9080}]}}\n", name, other)
}

// rules is the YAML of a VirtualService of namespace/name, created so many seconds after the first.
func rules(key string, age int, spec string) string {
	namespace, name, _ := strings.Cut(key, "/")
	created := time.Date(2024, 5, 1, 0, 0, age, 0, time.UTC).Format(time.RFC3339)
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %q, namespace: %s, creationTimestamp: %q}\nspec: %s\n", name, namespace, created, spec)
}

func translateSidecar(t *testing.T, yaml string, o translate.Options) (*plan.Plan, diag.Findings) {
	o.Proxy = translate.SidecarProxy
	return translated(t, yaml, o)
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

func TestMeshVirtualHosts(t *testing.T) {
	to := func(host string) string { return "route: [{destination: {host: " + host + "}}]" }
	ruled := func(key, host string) string { // of a VirtualService that has reviews with one rule
		return reviewsDomains + "  " + key + ".http[0] / -> outbound|9080||" + host + "\n" + anyOther
	}
	pair := reviews + service("default/a", "10.0.0.2", "http 9080") + service("default/b", "10.0.0.3", "http 9080")
	const a, b = "a.default.svc.cluster.local", "b.default.svc.cluster.local"

	for what, c := range map[string]struct {
		yaml    string
		options translate.Options
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
			options: translate.Options{Labels: map[string]string{"app": "web", "version": "v1"}},
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
			yaml: reviews, options: translate.Options{Namespace: "other"},
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews.default reviews.default.svc 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: a headless service has the names of its pods, and no address": {
			yaml: service("default/db", "None", "http 9080"), options: translate.Options{Namespace: "other"},
			want: "db.default.svc.cluster.local:9080 = db.default.svc.cluster.local db.default.svc.cluster.local. db.default db.default.svc" +
				" *.db.default.svc.cluster.local *.db.default.svc.cluster.local. *.db.default *.db.default.svc\n" +
				"  default / -> outbound|9080||db.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: a ServiceEntry has its hosts and addresses": {
			yaml: object("ServiceEntry", "ext", "{hosts: [api.example.com], addresses: [240.0.0.7, '2001:db8::7'], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
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
			yaml: pair + rules("default/x", 0, "{hosts: [Reviews.Default.svc.cluster.local], http: [{"+to("a")+"}]}"), want: ruled("default/x", a),
		},
		"but a wildcard owns a service only if it is written in the same case": {
			yaml: pair + rules("default/x", 0, "{hosts: [reviews, '*.Example.com'], http: [{"+to("a")+"}]}") +
				object("ServiceEntry", "ext", "{hosts: ['*.example.com'], resolution: NONE, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
			want: "*.example.com:9080 = *.example.com *.example.com.\n  default / -> outbound|9080||*.example.com\n" + ruled("default/x", a),
		},
		"a Service that is not exported is unknown": {
			yaml: reviews + strings.Replace(service("other/c", "10.0.0.4", "http 9080"), "{name: c,", "{annotations: {networking.istio.io/exportTo: '., third'}, name: c,", 1),
			want: reviewsDefault + anyOther,
		},
		"and one that is exported to the proxy's namespace is known": {
			yaml:    strings.Replace(reviews, "{name: reviews,", "{annotations: {networking.istio.io/exportTo: '., third'}, name: reviews,", 1),
			options: translate.Options{Namespace: "third"},
			want: "reviews.default.svc.cluster.local:9080 = reviews.default.svc.cluster.local reviews.default.svc.cluster.local. reviews.default reviews.default.svc 10.0.0.1\n" +
				"  default / -> outbound|9080||reviews.default.svc.cluster.local\n" + anyOther,
		},
		"VS-MESH-04: 0.0.0.0 is no address": {
			yaml: object("ServiceEntry", "ext", "{hosts: [api.example.com], addresses: [0.0.0.0], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}"),
			want: "api.example.com:9080 = api.example.com api.example.com.\n  default / -> outbound|9080||api.example.com\n" + anyOther,
		},
		"a UDP port of the same number is another port": {
			yaml: "---\n{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: default}, spec: {clusterIP: 10.0.0.1, ports: [{name: udp, port: 9080, protocol: UDP}, {name: http, port: 9080}]}}\n",
			want: reviewsDefault + anyOther,
		},
		"VS-MESH-05: REGISTRY_ONLY blocks what nothing knows": {
			yaml: reviews, options: translate.Options{OutboundTrafficPolicy: translate.RegistryOnly}, want: reviewsDefault + "block_all = *\n  block_all / -> 502\n",
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
			yaml: reviews + object("ServiceEntry", "ext", "{hosts: [reviews.default], resolution: DNS, ports: [{number: 9080, name: x, protocol: HTTP}]}") +
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
