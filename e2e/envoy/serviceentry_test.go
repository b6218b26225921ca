package envoy

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

const destinationRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: default}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - {match: [{uri: {exact: /static}}], route: [{destination: {host: static.test, port: {number: 80}}}]}
  - {match: [{uri: {exact: /admin}}], route: [{destination: {host: static.test, port: {number: 81}}}]}
  - {match: [{uri: {exact: /external}}], route: [{destination: {host: external.test}}]}
  - {match: [{uri: {exact: /dns}}], route: [{destination: {host: dns.localhost}}]}
  - {match: [{uri: {exact: /names}}], route: [{destination: {host: names.test}}]}
  - {match: [{uri: {exact: /robin}}], route: [{destination: {host: robin.test}}]}
  - {match: [{uri: {exact: /workloads}}], route: [{destination: {host: workloads.test}}]}
  - {match: [{uri: {exact: /v2}}], route: [{destination: {host: workloads.test, subset: v2}}]}
  - {match: [{uri: {exact: /v3}}], route: [{destination: {host: workloads.test, subset: v3}}]}
  - {match: [{uri: {exact: /unix}}], route: [{destination: {host: unix.test}}]}
  - {match: [{uri: {exact: /sliced}}], route: [{destination: {host: sliced}}]}
  - {match: [{uri: {exact: /headless}}], route: [{destination: {host: headless}}]}
  - {match: [{uri: {exact: /unready}}], route: [{destination: {host: unready}}]}
  - {match: [{uri: {exact: /alias}}], route: [{destination: {host: alias}}]}
  - {match: [{uri: {exact: /alias-of-alias}}], route: [{destination: {host: alias2}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: static, namespace: default}
spec:
  hosts: [static.test, unused.test]
  addresses: [240.0.0.1, 240.1.0.0/16]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: $A}}]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: admin, protocol: HTTP, targetPort: $B}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: external, namespace: default}
spec: {hosts: [external.test], location: MESH_EXTERNAL, resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $A, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: dns, namespace: default}
spec: {hosts: [dns.localhost], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: $A}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: names, namespace: default}
spec: {hosts: [names.test], resolution: DNS, endpoints: [{address: localhost, ports: {http: $A}}, {address: 127.0.0.1, ports: {http: $B}}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: robin, namespace: default}
spec: {hosts: [robin.test], resolution: DNS_ROUND_ROBIN, endpoints: [{address: localhost, ports: {http: $B}}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: workloads, namespace: default}
spec: {hosts: [workloads.test], resolution: STATIC, workloadSelector: {labels: {app: w}}, ports: [{number: 80, name: http, protocol: HTTP, targetPort: $A}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w1, namespace: default}
spec: {address: 127.0.0.1, labels: {app: w, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w2, namespace: default}
spec: {address: 127.0.0.1, labels: {app: w, version: v2}, ports: {http: $B}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: w3, namespace: other}
spec: {address: 127.0.0.1, labels: {app: w, version: v3}, ports: {http: 1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: workloads, namespace: default}
spec: {host: workloads.test, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}, subsets: [{name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: unix, namespace: default}
spec: {hosts: [unix.test], resolution: STATIC, endpoints: [{address: "unix://$SOCKET"}], ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: sliced, namespace: default}
spec: {clusterIP: 10.0.0.1, selector: {app: sliced}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: default}
spec: {clusterIP: None, selector: {app: headless}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: unready, namespace: default}
spec: {clusterIP: 10.0.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: sliced-1, namespace: default, labels: {kubernetes.io/service-name: sliced}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
ports: [{name: http, port: $A}, {name: other, port: 1}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: sliced-2, namespace: default, labels: {kubernetes.io/service-name: sliced}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}, {addresses: [127.0.0.9], conditions: {ready: false}}]
ports: [{name: http, port: $B}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: headless-1, namespace: default, labels: {kubernetes.io/service-name: headless}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{name: http, port: $B}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: unready-1, namespace: default, labels: {kubernetes.io/service-name: unready}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1], conditions: {ready: false}}]
ports: [{name: http, port: $B}]
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: external.test, ports: [{name: http, port: $A}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias2, namespace: default}
spec: {type: ExternalName, externalName: alias.default.svc.cluster.local, ports: [{name: http, port: $A}]}
`

// SE-01 to SE-10, VS-SPLIT-04
func TestDestinations(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		require.NoError(t, err)
		unix := &http.Server{Handler: &httpUpstream{name: "unix"}, ReadHeaderTimeout: time.Minute}
		go func() { _ = unix.Serve(l) }() // ends when closed
		defer func() { require.NoError(t, unix.Close()) }()
		n := names{"A": startUpstream(t, "a", nil).port, "B": startUpstream(t, "b", nil).port, "SOCKET": socket}.ports(t, "HTTP")
		p, _ := translateYAML(t, n.expand(t, destinationRules), translate.Options{})
		openDoor(t, b, p, envoy.Options{})
		a := asker{t, &client{address: n.address("HTTP")}}
		defer a.close()
		for path, want := range map[string]string{
			"/static": "a", "/admin": "b", "/external": "a", "/dns": "a", "/names": "a b", "/robin": "b", "/workloads": "a b", "/v2": "b", "/v3": "503",
			"/unix": "unix", "/sliced": "a b", "/headless": "b", "/unready": "503", "/alias": "a", "/alias-of-alias": "a",
		} {
			seen := map[string]bool{}
			for range 20 {
				got := a.ask("any.test", path, nil)
				who := got.headers.Get("X-Upstream")
				if got.status != http.StatusOK {
					who = http.StatusText(got.status)
				}
				seen[who] = true
			}
			if want == "503" {
				want = http.StatusText(http.StatusServiceUnavailable)
				assert.Equal(t, map[string]bool{want: true}, seen, "%s: no endpoint is there", path)
				continue
			}
			expected := map[string]bool{}
			for _, who := range strings.Fields(want) {
				expected[who] = true
			}
			assert.Equal(t, expected, seen, path)
		}
	})
}

// SE-02: what has no address for a gateway to send to is said, not answered with 503.
func TestDestinationsWithoutAddress(t *testing.T) {
	const gw = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: [a.test], gateways: [gw], http: [{route: [{destination: {host: $HOST}}]}]}
---
`
	for what, c := range map[string]struct{ host, more, say string }{
		"resolution NONE": {"none.test", `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: none, namespace: default}
spec: {hosts: [none.test], ports: [{number: 80, name: http, protocol: HTTP}]}
`, "VirtualService default/a: spec.http[0].route[0].destination: there is no cluster outbound|80||none.test: resolution NONE of ServiceEntry default/none gives no address to send to (SE-02)"},
		"an external name that is no service": {"alias", `apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: real.test, ports: [{name: http, port: 80}]}
`, "there is no cluster outbound|80||real.test: no Service or ServiceEntry has the host real.test; give its address with --endpoint real.test=ADDRESS:PORT"},
		"an external name of its own": {"alias", `apiVersion: v1
kind: Service
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: alias.default.svc.cluster.local, ports: [{name: http, port: 80}]}
`, "there is no cluster outbound|80||alias.default.svc.cluster.local: its external name leads back to itself"},
	} {
		t.Run(what, func(t *testing.T) {
			_, stderr, status := program.Run(t, names{"HOST": c.host}.expand(t, gw)+c.more, "translate", "-f", "-", "--strict")
			assert.Equal(t, 65, status)
			assert.Contains(t, stderr, c.say)
			assert.Equal(t, 3, strings.Count(stderr, "\n"), "one sentence, the line of the file and a caret: %s", stderr)
		})
	}
}
