// Package resources has rules that tests of several kinds serve, and writes files of them.
package resources

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// AllowAll lets every host pass.
const AllowAll = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: open}
spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}
`

// BadGateway is a server with TLS, whose settings are those that $TLS is replaced with.
const BadGateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8443, name: https, protocol: HTTPS}
    hosts: [a.test]
    tls: {mode: SIMPLE, $TLS}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}
`

// RulesFile is a file with rules in a folder of the test.
func RulesFile(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// RenameInto writes a file as a whole: by renaming another one.
func RenameInto(t testing.TB, file, text string) {
	require.NoError(t, os.WriteFile(file+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}
