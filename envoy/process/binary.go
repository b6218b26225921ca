package process

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// inVersion matches the version in "envoy  version: COMMIT/1.39.3/Clean/RELEASE/BoringSSL".
var inVersion = regexp.MustCompile(`version: [0-9a-f]+/(\d+\.(\d+)\.[^/]+)/`)

// Version runs the program binary with --version, and returns the version of its Envoy, such as 1.39.3, and the minor
// version, such as 39. It is an error if the program is not an Envoy.
func Version(ctx context.Context, binary string) (version string, minor int, err error) {
	text, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", 0, fmt.Errorf("%s --version: %w", binary, err)
	}
	m := inVersion.FindSubmatch(text)
	if m == nil {
		return "", 0, fmt.Errorf("%s is not an Envoy: it does not print a version of Envoy", binary)
	}
	minor, err = strconv.Atoi(string(m[2]))
	return string(m[1]), minor, err
}

// wasmProbe is a bootstrap with a filter whose module is empty: an Envoy with Wasm refuses the module, an Envoy without
// refuses the filter.
const wasmProbe = `{"static_resources": {"listeners": [{"name": "probe", "address": {"pipe": {"path": "@probe"}}, "filter_chains": [{"filters": [{
  "name": "http", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "probe", "route_config": {},
    "http_filters": [
      {"name": "wasm", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"inline_bytes": "AGFzbQEAAAA="}}}}}},
      {"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]}}`

// HasWasm reports whether an Envoy was built with Wasm. Some builds do not have it, and some only in some releases.
func HasWasm(ctx context.Context, binary string) (bool, error) {
	text, _ := exec.CommandContext(ctx, binary, "--mode", "validate", "-l", "warning", "--config-yaml", wasmProbe).CombinedOutput() // it always refuses
	return !strings.Contains(string(text), "compiled without support") && !strings.Contains(string(text), "envoy.extensions.filters.http.wasm.v3.Wasm"), nil
}
