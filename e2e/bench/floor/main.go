//go:build wasm

//lint:file-ignore U1000 The functions are called by the host.

// Command floor is the least that a filter with a decision does: it reads all headers in one call, looks at each, and
// writes one header, the outcome that the request itself names. What Waymark costs beyond it is what the rules cost.
package main

import (
	"unsafe"

	"waymark.dev/waymark/hostcalls"
)

// told is the header that names the outcome.
const told = "x-told"

func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer { return hostcalls.AllocateForHost(size) }

//go:wasmexport proxy_on_context_create
func proxyOnContextCreate(_, _ uint32) {}

//go:wasmexport proxy_on_vm_start
func proxyOnVMStart(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func proxyOnConfigure(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(_, _, _ uint32) uint32 {
	hostcalls.Reset()
	data, _ := hostcalls.ReadHeaders(hostcalls.RequestHeaders)
	pairs, _ := hostcalls.ParsePairs(data)
	outcome := ""
	for {
		name, value, ok := pairs.Next()
		if !ok {
			break
		}
		if name == told {
			outcome = value
		}
	}
	hostcalls.SetHeader(hostcalls.RequestHeaders, "x-waymark-route", outcome)
	return 0
}

//go:wasmexport proxy_on_delete
func proxyOnDelete(_ uint32) {}
