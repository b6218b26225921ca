package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

const plainRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: one, namespace: default, creationTimestamp: "2025-01-01T00:00:00Z"}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $HTTP, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: [a.test, "other/b.test"]}
  - {port: {number: $HTTP, name: h2, protocol: HTTP2}, bind: 127.0.0.1, hosts: ["*.h2.test"]}
  - {port: {number: $HTTP, name: http-other, protocol: HTTP}, bind: 127.0.0.2, hosts: [bound.test]}
  - {port: {number: $HTTP, name: secure, protocol: HTTP}, bind: 127.0.0.1, hosts: [secure.test, empty.test], tls: {httpsRedirect: true}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: two, namespace: other}
spec:
  selector: {istio: ingressgateway, app: istio-ingressgateway}
  servers:
  - {port: {number: $HTTP, name: grpc, protocol: GRPC}, bind: 127.0.0.1, hosts: ["*/grpc.test", "./c.test"]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: foreign, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: $FOREIGN, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tcp, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $TCP, name: tcp, protocol: TCP}, bind: 127.0.0.1, hosts: ["*"]}
  - {port: {number: $SPLIT, name: mongo, protocol: MONGO}, bind: 127.0.0.1, hosts: ["*"]}
  - {port: {number: $SILENT, name: silent, protocol: TCP}, bind: 127.0.0.1, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [a.test, b.test, x.h2.test, bound.test, secure.test, grpc.test, c.test]
  gateways: [one, other/two]
  http: [{name: web, route: [{destination: {host: web.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: other}
spec:
  hosts: [b.test, c.test, grpc.test]
  gateways: [default/one, two]
  http: [{name: other, route: [{destination: {host: other.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp, namespace: default}
spec:
  hosts: ["*"]
  gateways: [tcp]
  tcp:
  - {match: [{port: $TCP}], route: [{destination: {host: left.svc}, weight: 0}]}
  - match: [{port: $SPLIT, destinationSubnets: [10.0.0.0/8], sourceLabels: {app: nobody}}]
    route: [{destination: {host: left.svc}, weight: 20}, {destination: {host: right.svc}, weight: 80}, {destination: {host: never.svc}, weight: 0}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: left, namespace: istio-system}
spec: {host: left.svc, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 0.5s}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $WEB, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other, namespace: default}
spec: {hosts: [other.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $OTHER, name: grpc, protocol: GRPC}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: left, namespace: default}
spec: {hosts: [left.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $LEFT, name: tcp, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: right, namespace: default}
spec: {hosts: [right.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $RIGHT, name: tcp, protocol: TCP}]}
`

// GW-PROTO-02, GW-MERGE-01, GW-PORT-03, GW-SEL-01, GW-404-01, GW-REDIR-01, GW-REDIR-02, TCP-01 to TCP-05: servers without
// TLS, several of them and several Gateways on one port.
func TestServersWithoutTLS(t *testing.T) {
	module, _ := program.ReadModule(t)
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		if b != defaultEnvoy(t) {
			module = "" // natively: each engine once
		}
		n := names{
			"WEB": startUpstream(t, "web", nil).port, "OTHER": startUpstream(t, "other", nil).port,
			"LEFT": tcpUpstream(t, "left", nil), "RIGHT": tcpUpstream(t, "right", nil),
		}.ports(t, "HTTP", "FOREIGN", "TCP", "SPLIT", "SILENT")
		p, problems := translateYAML(t, n.expand(t, plainRules), translate.Options{})
		assert.Contains(t, fmt.Sprint(problems), "Gateway default/foreign: spec.selector: does not select this proxy")
		openDoor(t, b, p, envoy.Options{Module: module})

		h2 := h2Client(t, n.address("HTTP"))
		for sentence, q := range map[string]struct {
			host, upstream string
			address        string
			status         int
			location       string
			grpc           bool
		}{
			"a host of the first Gateway":                              {host: "a.test", upstream: "web"},
			"a host with a namespace is for its VirtualServices alone": {host: "b.test", upstream: "other"},
			"a wildcard of a server of HTTP2":                          {host: "x.h2.test", upstream: "web"},
			"an unknown host gets 404":                                 {host: "unknown.test", status: 404},
			"a host of a wildcard without rules gets 404":              {host: "y.h2.test", status: 404},
			"the rules of all namespaces, for */":                      {host: "grpc.test", upstream: "web"},
			"the rules of the Gateway's namespace, for ./":             {host: "c.test", upstream: "other"},
			"another address on the same port":                         {host: "bound.test", address: fmt.Sprintf("127.0.0.2:%d", n["HTTP"]), upstream: "web"},
			"a host of another address gets 404":                       {host: "bound.test", status: 404},
			"httpsRedirect":                                            {host: "secure.test", status: 301, location: "https://secure.test/x?y"},
			"httpsRedirect keeps the port of the Host":                 {host: "secure.test:80", status: 301, location: "https://secure.test:80/x?y"},
			"httpsRedirect of a host without rules":                    {host: "empty.test", status: 301, location: "https://empty.test/x?y"},
		} {
			t.Run(sentence, func(t *testing.T) {
				address := q.address
				if address == "" {
					address = n.address("HTTP")
				}
				status := q.status
				if status == 0 {
					status = http.StatusOK
				}
				c := &client{address: address}
				got, _ := ask(t, c, q.host, "/x?y", nil)
				assert.Equal(t, status, got.status)
				assert.Equal(t, q.upstream, got.headers.Get("X-Upstream"))
				assert.Equal(t, q.location, got.headers.Get("Location"))
				if q.address != "" {
					return
				}
				r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+q.host+"/x?y", nil)
				require.NoError(t, err)
				response, err := h2.Transport.RoundTrip(r)
				require.NoError(t, err, "HTTP/2 with prior knowledge")
				require.NoError(t, response.Body.Close())
				assert.Equal(t, 2, response.ProtoMajor)
				assert.Equal(t, status, response.StatusCode)
				assert.Equal(t, q.upstream, response.Header.Get("X-Upstream"))
				if q.upstream == "other" {
					assert.Equal(t, "HTTP/2.0", response.Header.Get("X-Upstream-Protocol"), "a port of GRPC is spoken to in HTTP/2 (SE-07)")
				}
			})
		}
		for port, sentence := range map[string]string{"FOREIGN": "a Gateway that selects other proxies is not served", "SILENT": "a TCP server without a rule is not there (TCP-02)"} {
			_, err := net.DialTimeout("tcp", n.address(port), time.Second)
			assert.Error(t, err, sentence)
		}

		t.Run("TCP", func(t *testing.T) {
			got, err := greet(n.address("TCP"), nil)
			require.NoError(t, err)
			assert.Equal(t, "left", got, "one destination's weight means nothing (TCP-03)")
			conn, err := net.Dial("tcp", n.address("TCP"))
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
			_, err = io.ReadAll(conn)
			require.NoError(t, err, "a connection that is idle is closed (TCP-04)")
		})
		t.Run("TCP by weight", func(t *testing.T) {
			const all = 500
			counts := map[string]int{}
			for range all {
				got, err := greet(n.address("SPLIT"), nil)
				require.NoError(t, err)
				counts[got]++
			}
			assert.Equal(t, all, counts["left"]+counts["right"], counts)
			assert.InDelta(t, all/5, counts["left"], 3.9*8.95, "one in five, within the binomial 99.99 % interval")
		})
	})
}
