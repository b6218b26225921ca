package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/verdict"
)

// VS-TO-10, VS-RETRY-01: a default route retries as Istio does by default, and has no timeout.
func TestSidecarDefaultRoute(t *testing.T) {
	p, _ := translateSidecar(t, reviews, translate.Options{})
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
`, translate.Options{})
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
  clusterIP: 10.0.0.2
  ports:
  - {name: grpc-web-x, port: 8001}
  - {name: whatever, port: 8002, appProtocol: kubernetes.io/ws}
  - {name: mysql, port: 3306}
  - {name: web, port: 8003}
  - {name: dns, port: 53}
  - {name: http, port: 8004, protocol: UDP}
  - {name: HTTP2-x, port: 8005}
  - {name: http-secure, port: 8006, appProtocol: https}
`, translate.Options{})
	var ports []uint32
	for _, l := range p.Listeners {
		ports = append(ports, l.Port)
	}
	assert.Equal(t, []uint32{8001, 8002, 8005, 9080}, ports)
	var notices []string
	for _, n := range problems {
		assert.Equal(t, diag.Notice, n.Severity)
		notices = append(notices, n.Field+": "+n.Message)
	}
	assert.Equal(t, []string{
		"spec.ports[2]: port 3306 speaks MYSQL, and a sidecar's listeners serve HTTP only; it is skipped",
		"spec.ports[3]: port 8003 declares no protocol, so it has no listener; give it appProtocol: http or a name that begins with http",
		"spec.ports[4]: port 53 speaks TCP, and a sidecar's listeners serve HTTP only; it is skipped",
		"spec.ports[5]: port 8004 speaks UDP, and a sidecar's listeners serve HTTP only; it is skipped",
		"spec.ports[7]: port 8006 speaks HTTPS, and a sidecar's listeners serve HTTP only; it is skipped",
	}, notices)
}

// A VirtualService holds on all ports of its service, each with the clusters of that port.
func TestSidecarSeveralPorts(t *testing.T) {
	p, problems := translateSidecar(t, service("default/reviews", "10.0.0.1", "http 9080", "http-admin 9081")+
		rules("default/x", 0, `{hosts: [reviews], http: [
    {match: [{port: 9081, uri: {prefix: /admin}}], route: [{destination: {host: reviews}}]},
    {route: [{destination: {host: reviews, port: {number: 9080}}}]}]}`), translate.Options{})
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
			want: []string{`warning: VirtualService default/x: spec.hosts[0]: "shop.example.com" is not a known service, so a sidecar serves it on port 80 only, where no service declares HTTP: nothing listens there (VS-MESH-03)`},
		},
		"VS-SPLIT-02: a destination without a port means the listener's, even if its service has one other port": {
			yaml: reviews + service("default/bin", "10.0.0.2", "http 8000") + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: bin}}]}]}"),
			want: []string{"warning: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|9080||bin.default.svc.cluster.local: its host has no port 9080 (it has 8000)"},
		},
		"a port that is written and missing is an error": {
			yaml: reviews + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews, port: {number: 1}}}]}]}"),
			want: []string{"warning: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|1||reviews.default.svc.cluster.local: its host has no port 1 (it has 9080)"},
		},
		"VS-MESH-03: port 80 knows the hosts of other ports, which is no more than a notice": {
			yaml: reviews + service("default/web", "10.0.0.9", "http 80") + rules("default/x", 0, "{hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}"),
			want: []string{"notice: VirtualService default/x: spec.http[0].route[0].destination: there is no cluster outbound|80||reviews.default.svc.cluster.local: its host has no port 80 (it has 9080)"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			_, problems := translateSidecar(t, c.yaml, translate.Options{})
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
		object("ServiceEntry", "ext", "{hosts: ['*.example.com'], ports: [{number: 9080, name: http, protocol: HTTP}]}"), translate.Options{})
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
		object("ServiceEntry", "ext", "{hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}]}") +
		rules("default/x", 0, `{hosts: [reviews], http: [
    {match: [{uri: {prefix: /v2}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: ratings.other.svc.cluster.local}}]},
    {match: [{headers: {end-user: {exact: jason}}}], route: [{destination: {host: reviews}}]}]}`) +
		rules("default/shop", 0, `{hosts: ["*.shop.test"], http: [{route: [{destination: {host: web}}]}]}`)
	for what, c := range map[string]struct {
		policy translate.OutboundTrafficPolicy
		port   uint32
		host   string
		path   string
		want   string
	}{
		"VS-MESH-04: the short name":                                  {port: 9080, host: "reviews", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local; fault: 100 % aborted with 418  (default/x.http[0].match[0])"},
		"VS-MESH-04: with the port":                                   {port: 9080, host: "reviews:9080", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local; fault: 100 % aborted with 418  (default/x.http[0].match[0])"},
		"VS-MESH-04: the full name, in capitals, with a dot":          {port: 9080, host: "Reviews.default.svc.cluster.local.:9080", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local; fault: 100 % aborted with 418  (default/x.http[0].match[0])"},
		"VS-MESH-04: the address":                                     {port: 9080, host: "10.0.0.1", path: "/v2", want: "outbound|9080||ratings.other.svc.cluster.local; fault: 100 % aborted with 418  (default/x.http[0].match[0])"},
		"VS-GW-06: a host with rules has no default route":            {port: 9080, host: "reviews", path: "/", want: "404 no route"},
		"VS-MESH-04: another namespace's service has no bare name":    {port: 9080, host: "ratings", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-04: but name.namespace":                              {port: 9080, host: "ratings.other", path: "/", want: "outbound|9080||ratings.other.svc.cluster.local  (default)"},
		"VS-MESH-04: the name of a pod of a headless service":         {port: 9080, host: "db-0.db", path: "/", want: "outbound|9080||db.default.svc.cluster.local  (default)"},
		"VS-MESH-03: a wildcard that is no service, on port 80":       {port: 80, host: "a.shop.test", path: "/", want: "outbound|80||web.default.svc.cluster.local  (default/shop.http[0])"},
		"a ServiceEntry with a wildcard":                              {port: 80, host: "x.example.com", path: "/", want: "outbound|80||*.example.com  (default)"},
		"VS-MESH-05: an unknown host passes":                          {port: 80, host: "example.org", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-05: under REGISTRY_ONLY it gets 502":                 {policy: translate.RegistryOnly, port: 80, host: "example.org", path: "/", want: "502 direct response  (block_all)"},
		"a service that has not the port is unknown there":            {port: 9080, host: "web", path: "/", want: "PassthroughCluster  (allow_any)"},
		"VS-MESH-03: a host of another port is half known on port 80": {port: 80, host: "reviews.default.svc.cluster.local", path: "/v2", want: "outbound|80||ratings.other.svc.cluster.local; fault: 100 % aborted with 418  (default/x.http[0].match[0])"},
		"a port that no service has":                                  {port: 1, host: "reviews", path: "/", want: "no listener on port 1; the listeners are 80 (*.example.com, *.shop.test, reviews.default.svc.cluster.local, web.default.svc.cluster.local and 1 more), 9080 (db.default.svc.cluster.local, ratings.other.svc.cluster.local, reviews.default.svc.cluster.local, *)"},
	} {
		t.Run(what, func(t *testing.T) {
			p, problems := translateSidecar(t, yaml, translate.Options{OutboundTrafficPolicy: c.policy})
			require.False(t, problems.HasErrors(), "%v", problems)
			j, err := verdict.New(p, effect.Intake{})
			require.NoError(t, err)
			var r verdict.Request
			text, err := json.Marshal(map[string]any{"gatewayPort": c.port, "authority": c.host, "path": c.path})
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &r))
			assert.Equal(t, "GET "+c.host+c.path+" -> "+c.want, j.Decide(r).Text(r))
		})
	}
}
