package plain

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/wasmfile"
)

// TestSomeoneElsesHost loads the module into the host emulator of another SDK, which knows modules of TinyGo alone: they
// export _start where Go exports _initialize, so a copy is given that name.
func TestSomeoneElsesHost(t *testing.T) {
	for _, m := range program.Modules(t) {
		t.Run(m.Name, func(t *testing.T) { inSomeoneElsesHost(t, m.Wasm) })
	}
}

func inSomeoneElsesHost(t *testing.T, wasm []byte) {
	renamed, err := wasmfile.Rename(wasm, wasmfile.Exports, "_initialize", "_start")
	require.NoError(t, err)
	// It plays the ABI 0.2.0, which has no such question; a function of the same type leaves the answer at 0, trace.
	renamed, err = wasmfile.Rename(renamed, wasmfile.Imports, "proxy_get_log_level", "proxy_set_tick_period_milliseconds")
	require.NoError(t, err)
	vm, err := proxytest.NewWasmVMContext(renamed)
	require.NoError(t, err)
	host, reset := proxytest.NewHostEmulator(proxytest.NewEmulatorOption().WithVMContext(vm).WithPluginConfiguration([]byte(smallConfig)))
	defer reset()
	require.Equal(t, types.OnVMStartStatusOK, host.StartVM())
	require.Equal(t, types.OnPluginStartStatusOK, host.StartPlugin())
	id := host.InitializeHttpContext()
	action := host.CallOnRequestHeaders(id, [][2]string{{":authority", "a.test"}, {":path", "/a"}, {":method", "GET"}, {"x-waymark-route", "forged"}}, true)
	assert.Equal(t, types.ActionContinue, action)
	assert.Contains(t, host.GetCurrentRequestHeaders(id), [2]string{"x-waymark-route", "kabc"})
}
