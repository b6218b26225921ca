//go:build wasm

package hostcalls

import "unsafe"

// What the host writes its results into. Never on the stack: see the package comment.
var (
	address uint32
	size    uint32
	level   uint32
)

//go:wasmimport env proxy_get_header_map_pairs
func proxyGetHeaderMapPairs(m uint32, address, size *uint32) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeaderMapValue(m uint32, name, value string) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeaderMapValue(m uint32, name string) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(b, start, most uint32, address, size *uint32) uint32

//go:wasmimport env proxy_log
func proxyLog(level uint32, message string) uint32

//go:wasmimport env proxy_get_log_level
func proxyGetLogLevel(level *uint32) uint32

func getHeaderMapPairs(m Map) ([]byte, Status) {
	address, size = 0, 0
	status := Status(proxyGetHeaderMapPairs(uint32(m), &address, &size))
	return result(status)
}

func getBufferBytes(b Buffer, start, most uint32) ([]byte, Status) {
	address, size = 0, 0
	status := Status(proxyGetBufferBytes(uint32(b), start, most, &address, &size))
	return result(status)
}

// result is what the host wrote: nothing, or bytes in the piece of memory that it asked for last.
func result(status Status) ([]byte, Status) {
	if status != OK || size == 0 {
		return nil, status
	}
	if int(size) > len(last) || address != uint32(uintptr(unsafe.Pointer(unsafe.SliceData(last)))) {
		return nil, InvalidMemoryAccess
	}
	return last[:size], OK
}

func replaceHeaderMapValue(m Map, name, value string) Status {
	return Status(proxyReplaceHeaderMapValue(uint32(m), name, value))
}

func removeHeaderMapValue(m Map, name string) Status {
	return Status(proxyRemoveHeaderMapValue(uint32(m), name))
}

func log(level Level, message string) { proxyLog(uint32(level), message) }

func getLogLevel() (Level, Status) {
	status := Status(proxyGetLogLevel(&level))
	return Level(level), status
}

// AllocateForHost is the body of proxy_on_memory_allocate.
func AllocateForHost(size uint32) unsafe.Pointer {
	piece := Allocate(size)
	if len(piece) == 0 {
		return unsafe.Pointer(unsafe.SliceData(arena))
	}
	return unsafe.Pointer(unsafe.SliceData(piece))
}
