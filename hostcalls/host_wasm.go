//go:build wasm

package hostcalls

import "unsafe"

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
	shared.address, shared.size = 0, 0
	status := Status(proxyGetHeaderMapPairs(uint32(m), &shared.address, &shared.size))
	return result(status)
}

func getBufferBytes(b Buffer, start, most uint32) ([]byte, Status) {
	shared.address, shared.size = 0, 0
	status := Status(proxyGetBufferBytes(uint32(b), start, most, &shared.address, &shared.size))
	return result(status)
}

// result returns what the host wrote: nothing, or bytes in the piece of memory that was allocated last.
//
// In range: size is compared with the length of the piece.
func result(status Status) ([]byte, Status) {
	if status != OK || shared.size == 0 {
		return nil, status
	}
	piece := last()
	if shared.size > uint32(len(piece)) || shared.address != uint32(uintptr(unsafe.Pointer(unsafe.SliceData(piece)))) {
		return nil, InvalidMemoryAccess
	}
	return piece[:shared.size], OK
}

func replaceHeaderMapValue(m Map, name, value string) Status {
	return Status(proxyReplaceHeaderMapValue(uint32(m), name, value))
}

func removeHeaderMapValue(m Map, name string) Status {
	return Status(proxyRemoveHeaderMapValue(uint32(m), name))
}

func log(level Level, message string) { proxyLog(uint32(level), message) }

func getLogLevel() (Level, Status) {
	status := Status(proxyGetLogLevel(&shared.level))
	return Level(shared.level), status
}

// AllocateForHost is the body of proxy_on_memory_allocate.
func AllocateForHost(size uint32) unsafe.Pointer {
	piece := Allocate(size)
	if len(piece) == 0 {
		return unsafe.Pointer(unsafe.SliceData(shared.arena))
	}
	return unsafe.Pointer(unsafe.SliceData(piece))
}
