package envoy

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/istio/translate"
)

const grpcWebRules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: $WEB, name: web, protocol: GRPC-Web}, bind: 127.0.0.1, hosts: ["*"]}
  - {port: {number: $PLAIN, name: plain, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: default}
spec:
  hosts: ["*"]
  gateways: [gw]
  http: [{route: [{destination: {host: web.svc}}]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec: {hosts: [web.svc], resolution: STATIC, endpoints: [{address: 127.0.0.1}], ports: [{number: $UP, name: grpc, protocol: GRPC}]}
`

// A server that speaks gRPC-Web makes gRPC of it; another server of the same Gateway does not.
func TestGRPCWeb(t *testing.T) {
	module, _ := program.ReadModule(t)
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		for _, module := range []string{module, ""} {
			up := startUpstream(t, "web", nil)
			n := names{"UP": up.port}.ports(t, "WEB", "PLAIN")
			p, _ := translateYAML(t, n.expand(t, grpcWebRules), translate.Options{})
			openDoor(t, b, p, envoy.Options{Module: module})
			post := func(port string) (seen *http.Request) {
				message := base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x00\x00"))
				r, err := http.NewRequest(http.MethodPost, "http://"+n.address(port)+"/a.B/C", strings.NewReader(message))
				require.NoError(t, err)
				r.Header.Set("content-type", "application/grpc-web-text")
				up.observed.Store(nil)
				response, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, response.Body) // the upstream speaks no gRPC, so whatever comes back will do
				require.NoError(t, response.Body.Close())
				seen = up.observed.Load()
				require.NotNil(t, seen)
				return seen
			}
			seen := post("WEB")
			assert.Equal(t, "application/grpc", seen.Header.Get("content-type"))
			assert.Equal(t, "trailers", seen.Header.Get("te"))
			assert.Equal(t, "application/grpc-web-text", post("PLAIN").Header.Get("content-type"))
		}
	})
}
