// Package hostcalls is the proxy-wasm ABI 0.2.1, as much of it as the filter needs: the host's functions, the codec of
// header pairs, and the memory that the host writes into. It is the only package that knows pointers and status codes.
//
// It never keeps state between requests but for that memory, starts no goroutine and sets no timer: Envoy forbids
// almost every host call while it is inside the allocator, and a goroutine could run just then.
//
// The hard case is memory. When the filter asks for headers, the host calls back into the module for room
// (proxy_on_memory_allocate), writes there, and then writes address and size into variables whose addresses it was given.
// Such a variable must not live on the Go stack: the call back may grow the stack and move it, and the host would write
// to where it was. So the variables are the package's own, and the room is one long-lived arena: see [Allocate].
//
// Without Wasm the package works on a [Host] of Go, so that the filter is tested natively, call by call: see hosttest.
package hostcalls
