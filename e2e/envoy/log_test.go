package envoy

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/resources"
)

// manyRoutes are rules to destinations whose names are resolved by DNS, after one that answers with a status.
func manyRoutes(n, status int) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(resources.AllowAll, `spec: {hosts: ["*"], gateways: [gw], http: [{directResponse: {status: 200}}]}`,
		fmt.Sprintf("spec:\n  hosts: [\"*\"]\n  gateways: [gw]\n  http:\n  - {match: [{uri: {exact: /status}}], directResponse: {status: %d}}", status)))
	for i := range n {
		fmt.Fprintf(&b, "  - {match: [{uri: {prefix: /%d/}}], timeout: %ds, route: [{destination: {host: d%d.test}}]}\n", i, status-199, i%5)
	}
	for i := range 5 {
		fmt.Fprintf(&b, "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: d%d}\n"+
			"spec: {hosts: [d%d.test], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: localhost}]}\n", i, i)
	}
	return b.String()
}

// Envoy's log stays readable: a change of many routes and destinations writes no line for each of them. A field that is
// deprecated and has no successor that does the same is warned of once, and counted.
func TestLogOfManyRoutes(t *testing.T) {
	all := envoys(t)
	for _, b := range []envoytest.Binary{all[0], all[len(all)-1]} {
		t.Run(b.Version, func(t *testing.T) {
			file := resources.RulesFile(t, manyRoutes(400, http.StatusOK))
			r := program.Serve(t, file, "--engine", "envoy", "--envoy", b.Path, "--settle", "0")
			for status := http.StatusOK; status <= http.StatusAccepted; status++ {
				if status != http.StatusOK {
					resources.RenameInto(t, file, manyRoutes(400, status))
				}
				r.Eventually(t, fmt.Sprintf("status %d", status), func() bool {
					got, err := r.Get("a.test", "/status")
					return err == nil && got == status
				})
			}
			require.NoError(t, r.Cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, r.Exit(t, 15*time.Second))
			var log, deprecated []string
			for line := range strings.Lines(r.Output()) {
				if !strings.Contains(line, `"/status"`) { // the access log
					log = append(log, line)
				}
				if strings.Contains(line, "Deprecated field") {
					deprecated = append(deprecated, line)
				}
			}
			size := len(strings.Join(log, ""))
			t.Logf("%d bytes of log, %d of them warnings", size, len(strings.Join(deprecated, "")))
			assert.Less(t, size, 10_000)
			require.Len(t, deprecated, 1)
			assert.Contains(t, deprecated[0], "max_grpc_timeout", "its successor would switch the timeout of the route off (VS-TO-02)")
			assert.Regexp(t, `the warning of the deprecated option 'envoy\.config\.route\.v3\.RouteAction\.max_grpc_timeout' was left out \d{3,} more times`, r.Output())
		})
	}
}
