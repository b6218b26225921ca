package envoy

import (
	"slices"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
)

// Capabilities are what Envoy and the filter's module may do with each other, by the names of the proxy-wasm ABI and of
// WASI: the functions that the module imports, and the callbacks that it exports. Everything else is refused: a module
// that was replaced by another one cannot call out, keep data, or read other requests' bodies.
func Capabilities() []string { return slices.Clone(allowed) }

var allowed = []string{
	// What Envoy calls.
	"proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure", "proxy_on_request_headers", "proxy_on_delete",
	// What the filter calls.
	"proxy_get_header_map_pairs", "proxy_replace_header_map_value", "proxy_remove_header_map_value", "proxy_get_buffer_bytes",
	"proxy_log", "proxy_get_log_level",
	// What Go's runtime calls when it starts, ends, looks at the clock, or reports a crash.
	"args_get", "args_sizes_get", "clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get", "sched_yield",
}

// capabilities in Envoy's form.
func capabilities() *wasmv3.CapabilityRestrictionConfig {
	out := &wasmv3.CapabilityRestrictionConfig{AllowedCapabilities: map[string]*wasmv3.SanitizationConfig{}}
	for _, name := range allowed {
		out.AllowedCapabilities[name] = &wasmv3.SanitizationConfig{}
	}
	return out
}
