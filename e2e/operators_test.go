package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
)

// operatorArguments are for those command operators that need some.
var operatorArguments = map[string]string{
	"REQ": "(x)", "RESP": "(x)", "TRAILER": "(x)", "DYNAMIC_METADATA": "(a:b)", "METADATA": "(ROUTE:a)", "FILTER_STATE": "(a)",
	"UPSTREAM_FILTER_STATE": "(a)", "ENVIRONMENT": "(A)", "QUERY_PARAM": "(a)", "PER_REQUEST_STATE": "(a)",
	"UPSTREAM_METADATA": `(["a","b"])`, "COMMON_DURATION": "(DS_RX_BEG:DS_TX_END:ms)", "DOWNSTREAM_PEER_CERT_V_START": "(%Y)",
}

// TestEnvoysKnowTheOperators holds the list of command operators against real Envoys: each takes those of its version,
// and refuses one that is not on the list.
func TestEnvoysKnowTheOperators(t *testing.T) {
	for _, v := range envoys(t) {
		t.Run(v.Version, func(t *testing.T) {
			validate := func(names []string) (string, error) {
				var additions []any
				for i, name := range names {
					value := "%" + name + operatorArguments[name] + "%"
					additions = append(additions, map[string]any{"header": map[string]any{"key": fmt.Sprintf("x-%d", i), "value": value}})
				}
				text, err := json.Marshal(additions)
				require.NoError(t, err)
				bootstrap := strings.Replace(answeringWithHeaders, "ADDITIONS", string(text), 1)
				file := filepath.Join(t.TempDir(), "bootstrap.json")
				require.NoError(t, os.WriteFile(file, []byte(bootstrap), 0o600))
				return command(v.Path, "--mode", "validate", "-l", "error", "-c", file)
			}
			text, err := validate(envoy.Operators(v.Minor))
			require.NoError(t, err, text)
			assert.Greater(t, len(envoy.Operators(v.Minor)), 100)
			for _, name := range envoy.Operators(40) {
				if !slices.Contains(envoy.Operators(v.Minor), name) {
					_, err := validate([]string{name})
					assert.Error(t, err, "%s is taken by Envoy %s", name, v.Version)
				}
			}
			_, err = validate([]string{"NO_SUCH_OPERATOR"})
			assert.Error(t, err)
		})
	}
}

const answeringWithHeaders = `{"static_resources": {"listeners": [{"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 14999}},
 "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
  "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
  "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
  "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [
   {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "request_headers_to_add": ADDITIONS}]}]}}}]}]}]}}`
