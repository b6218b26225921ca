//go:build wasm

//lint:file-ignore U1000 The functions are called by the host.

// Command wasm is the filter as a module for Envoy: the exports of the proxy-wasm ABI 0.2.1, and nothing else.
// Callbacks that the filter does not need are not exported, since the host calls every export that it finds, for every
// request.
package main

import (
	"math/rand/v2"
	"unsafe"

	"waymark.dev/waymark/filter"
	"waymark.dev/waymark/hostcalls"
)

// The seed comes from the host's random source, one for each VM.
var plugin = filter.New([2]uint64{rand.Uint64(), rand.Uint64()})

// actionContinue sends the request on to the next filter.
const actionContinue = 0

// main never runs: Envoy calls only _initialize.
func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer { return hostcalls.AllocateForHost(size) }

//go:wasmexport proxy_on_context_create
func proxyOnContextCreate(id, parent uint32) {
	if !plugin.StreamBegins(id, parent) {
		createContext(id, parent)
	}
}

func createContext(id, parent uint32) {
	defer survive()
	plugin.CreateContext(id, parent)
}

//go:wasmexport proxy_on_vm_start
func proxyOnVMStart(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func proxyOnConfigure(root, size uint32) (ok uint32) {
	defer survive()
	if plugin.Configure(root, size) {
		return 1
	}
	return 0
}

//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(stream, _, _ uint32) uint32 {
	defer survive()
	plugin.RequestHeaders(stream)
	return actionContinue
}

//go:wasmexport proxy_on_delete
func proxyOnDelete(id uint32) {
	if !plugin.StreamEnded(id) {
		deleteContext(id)
	}
}

func deleteContext(id uint32) {
	defer survive()
	plugin.DeleteContext(id)
}

// survive keeps a panic from ending the VM: the request goes on without x-waymark-route, so it gets no route. In the small
// module it does nothing, since TinyGo cannot recover in WebAssembly; see RATIONALE.md, "Why are there two modules?".
func survive() {
	if r := recover(); r != nil {
		hostcalls.Log(hostcalls.Critical, "waymark: panic: "+filter.PanicText(r))
	}
}
