// Package hostcalls is the part of the proxy-wasm ABI 0.2.1 that the filter needs: the functions of the host, the codec
// of header pairs, and the memory that the host writes into. It is the only package of the filter that deals with
// addresses for the host.
//
// It keeps no state between requests but that memory, starts no goroutine and sets no timer: Envoy forbids almost every
// host call while the module allocates memory for it, and a goroutine could run just then.
//
// The hard case is memory. When the filter reads headers, the host calls back into the module to allocate memory
// (proxy_on_memory_allocate), writes the headers there, and then writes their address and size into variables whose
// addresses were arguments of the call. Such a variable must not be on the Go stack: the callback may grow the stack
// and move it, and the host would write to the old address. So the variables are package variables, and the memory is
// one long-lived arena: see [Allocate].
//
// Without Wasm the package calls a [Host] written in Go, so that the filter is tested natively, call by call: see
// hosttest.
package hostcalls
