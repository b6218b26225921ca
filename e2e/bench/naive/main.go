//go:build wasm

//lint:file-ignore U1000 The functions are called by the host.

// Command naive is the filter that one writes first: a host call for each header, package regexp, and the rules one after
// the other. It reads the same plugin configuration and decides the same for the rules of the benchmark, which have neither
// splits nor faults. It is not made worse than need be: a header that many rules name is asked for once in a request.
package main

import (
	"encoding/json"
	"regexp"
	"slices"
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

// header is the value of a header, if it is there.
type header struct {
	value string
	ok    bool
}

// ask asks the host for a header.
func ask(name string) (h header) {
	size = 0
	if h.ok = proxyGetHeaderMapValue(uint32(hostcalls.RequestHeaders), name, &address, &size) == 0; h.ok {
		h.value = string(last[:size])
	}
	return h
}

// request is what is known of the request at hand.
type request struct {
	method      header
	path, query string
	headers     map[string]header // those that rules asked for so far
}

func decide() string {
	authority, path := ask(":authority"), ask(":path")
	r := request{method: ask(":method")}
	r.path, r.query, _ = strings.Cut(path.value, "?")
	host := strings.ToLower(authority.value)
	for i := range config.VirtualHosts {
		h := &config.VirtualHosts[i]
		if !slices.Contains(h.Domains, host) {
			continue
		}
		for k := range h.Rules {
			if r.meets(&h.Rules[k]) {
				return h.Rules[k].Outcome
			}
		}
	}
	return ""
}

// header is one that a rule asks for.
func (r *request) header(name string) header {
	if name == ":method" {
		return r.method
	}
	h, known := r.headers[name]
	if !known {
		if r.headers == nil {
			r.headers = map[string]header{}
		}
		h = ask(name)
		r.headers[name] = h
	}
	return h
}

func (r *request) meets(rule *routing.Rule) bool {
	if p := rule.Path; p != nil {
		if s := p.Separated; s != nil {
			if rest, ok := strings.CutPrefix(r.path, *s); !ok || rest != "" && rest[0] != '/' {
				return false
			}
		} else if !takes(&p.StringMatch, r.path) {
			return false
		}
	}
	for i := range rule.Headers {
		if h := r.header(rule.Headers[i].Name); !h.ok || !takes(&rule.Headers[i].StringMatch, h.value) {
			return false
		}
	}
	for i := range rule.Query {
		if value, ok := parameter(r.query, rule.Query[i].Name); !ok || !takes(&rule.Query[i].StringMatch, value) {
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
