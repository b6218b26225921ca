//go:build wasm

//lint:file-ignore U1000 The functions are called by the host.

// Command naive is the filter that one writes first: a host call for each header that a rule asks for, package regexp,
// and the rules one after the other. It reads the same plugin configuration and decides the same for the rules of the
// benchmark, which have neither splits nor faults.
package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"unsafe"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/routing"
)

// What the host writes its results into, and the memory that it asked for last.
var (
	address, size uint32
	last          []byte
)

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeaderMapValue(m uint32, name string, address, size *uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(b, start, most uint32, address, size *uint32) uint32

var (
	config  routing.Config
	regexes []*regexp.Regexp
)

func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) unsafe.Pointer {
	last = make([]byte, size)
	return unsafe.Pointer(unsafe.SliceData(last))
}

//go:wasmexport proxy_on_context_create
func proxyOnContextCreate(_, _ uint32) {}

//go:wasmexport proxy_on_vm_start
func proxyOnVMStart(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_delete
func proxyOnDelete(_ uint32) {}

//go:wasmexport proxy_on_configure
func proxyOnConfigure(_, most uint32) uint32 {
	size = 0
	proxyGetBufferBytes(uint32(hostcalls.PluginConfiguration), 0, most, &address, &size)
	config, regexes = routing.Config{}, nil
	if json.Unmarshal(last[:size], &config) != nil {
		return 0
	}
	for _, r := range config.Regexes {
		compiled, err := regexp.Compile(`\A(?:` + r.Pattern + `)\z`)
		if err != nil {
			return 0
		}
		regexes = append(regexes, compiled)
	}
	return 1
}

//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(_, _, _ uint32) uint32 {
	if id := decide(); id != "" {
		hostcalls.SetHeader(hostcalls.RequestHeaders, routing.RouteHeader, id)
	}
	return 0
}

// get asks the host for a header.
func get(name string) (string, bool) {
	size = 0
	if proxyGetHeaderMapValue(uint32(hostcalls.RequestHeaders), name, &address, &size) != 0 {
		return "", false
	}
	return string(last[:size]), true
}

func decide() string {
	authority, _ := get(":authority")
	path, _ := get(":path")
	path, query, _ := strings.Cut(path, "?")
	for _, h := range config.VirtualHosts {
		if !has(h.Domains, strings.ToLower(authority)) {
			continue
		}
		for i := range h.Rules {
			if matches(&h.Rules[i], path, query) {
				return h.Rules[i].Outcome
			}
		}
	}
	return ""
}

func has(domains []string, host string) bool {
	for _, d := range domains {
		if d == host || d == "*" {
			return true
		}
	}
	return false
}

func matches(r *routing.Rule, path, query string) bool {
	if p := r.Path; p != nil {
		if s := p.Separated; s != nil {
			if rest, ok := strings.CutPrefix(path, *s); !ok || rest != "" && rest[0] != '/' {
				return false
			}
		} else if !takes(&p.StringMatch, path) {
			return false
		}
	}
	for i := range r.Headers {
		if value, ok := get(r.Headers[i].Name); !ok || !takes(&r.Headers[i].StringMatch, value) {
			return false
		}
	}
	for i := range r.Query {
		if value, ok := parameter(query, r.Query[i].Name); !ok || !takes(&r.Query[i].StringMatch, value) {
			return false
		}
	}
	return true
}

func takes(m *routing.StringMatch, value string) bool {
	switch {
	case m.Exact != nil:
		return value == *m.Exact
	case m.Prefix != nil:
		return strings.HasPrefix(value, *m.Prefix)
	case m.Regex != nil:
		return regexes[*m.Regex].MatchString(value)
	default:
		return true
	}
}

func parameter(query, name string) (string, bool) {
	for _, p := range strings.Split(query, "&") {
		if key, value, _ := strings.Cut(p, "="); key == name {
			return value, true
		}
	}
	return "", false
}
