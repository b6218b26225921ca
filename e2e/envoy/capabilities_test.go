package envoy

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/wasmfile"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
)

// TestCapabilitiesAreThoseOfTheModule derives the list from the standard module: what it imports, and the callbacks that it
// exports. The small module needs nothing else.
func TestCapabilitiesAreThoseOfTheModule(t *testing.T) {
	modules := program.Modules(t)
	listed := envoy.Capabilities()
	slices.Sort(listed)
	assert.Equal(t, capabilitiesOf(t, modules[0].Wasm), listed)
	assert.Subset(t, listed, capabilitiesOf(t, modules[1].Wasm))
}

// capabilitiesOf are the capabilities that a module needs, sorted.
func capabilitiesOf(t *testing.T, wasm []byte) (used []string) {
	m, err := wasmfile.Parse(wasm)
	require.NoError(t, err)
	for _, f := range m.Imports {
		used = append(used, f.Name)
	}
	for _, f := range m.Exports {
		if strings.HasPrefix(f.Name, "proxy_on_") && f.Name != "proxy_on_memory_allocate" { // which no list restricts
			used = append(used, f.Name)
		}
	}
	slices.Sort(used)
	return used
}

// missing says what a configuration without one capability does: Envoy does not start, or no request gets a route. The
// rest is for what a working filter does not do: it has no arguments, no environment, and no reason to end or to crash.
var missing = map[string]string{
	"proxy_on_context_create": "no route", "proxy_on_configure": "no route", "proxy_on_request_headers": "no route",
	"proxy_get_header_map_pairs": "no route", "proxy_replace_header_map_value": "no route",
	"proxy_get_buffer_bytes": "no start", "args_sizes_get": "no start", "environ_sizes_get": "no start", "clock_time_get": "no start",

	"proxy_on_vm_start": "works: Envoy takes it for granted", "proxy_on_delete": "works, and keeps the Tables of old configurations",
	"proxy_remove_header_map_value": "works, as long as Envoy removes forged headers before the filter does",
	"proxy_log":                     "works, and is silent", "proxy_get_log_level": "works, and logs nothing but errors",
	"random_get": "works, with dice that can be foreseen", "args_get": "works: there are none", "environ_get": "works: there are none",
	"fd_write": "works, until a crash is to be reported", "proc_exit": "works, until a crash", "sched_yield": "works: nothing else runs",
}

// TestCapabilities starts Envoys that lack one each: none of them lets a request past the filter.
func TestCapabilities(t *testing.T) {
	module, _ := program.ReadModule(t)
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) {
			r := rulesTestbed(t, faultRules)
			p := startEnvoy(t, b, r, module)
			got, err := r.client().retry(request("/abort", nil))
			require.NoError(t, err)
			assert.Equal(t, http.StatusTeapot, got.status)
			assert.NotContains(t, p.Log(), "capability_restriction_config", "not in the form that is deprecated")
			withoutCapability(t, b, module, "proxy_on_configure")
		})
	}
	b := defaultEnvoy(t)
	require.Len(t, missing, len(envoy.Capabilities()))
	for _, name := range envoy.Capabilities() {
		t.Run("without "+name, func(t *testing.T) { withoutCapability(t, b, module, name) })
	}
}

// withoutCapability takes one away from a configuration and looks at what an Envoy does with it.
func withoutCapability(t *testing.T, b envoytest.Binary, module, name string) {
	r := rulesTestbed(t, faultRules)
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	resources, err := envoy.Bootstrap(r.plan, envoy.Options{AdminPort: ports[0], Minor: b.Minor, Module: module})
	require.NoError(t, err)
	text, err := envoy.JSON(resources)
	require.NoError(t, err)
	entry := regexp.MustCompile(`,?\s*"` + name + `": *\{\}`)
	require.Len(t, entry.FindAll(text, -1), 1)
	text = regexp.MustCompile(`\{,`).ReplaceAll(entry.ReplaceAll(text, nil), []byte("{")) // the first one's comma stays
	p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: ports[0], Concurrency: 1})
	if missing[name] == "no start" {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()
	for path, status := range map[string]int{"/plain": http.StatusOK, "/abort": http.StatusTeapot, "/none": http.StatusNotFound} {
		if missing[name] == "no route" {
			status = http.StatusNotFound
		} else {
			assert.True(t, strings.HasPrefix(missing[name], "works"), missing[name])
		}
		got, err := r.client().retry(request(path, nil))
		require.NoError(t, err)
		assert.Equal(t, status, got.status, path)
	}
}
