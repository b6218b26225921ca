// Package vm is a small proxy-wasm host on wazero: it loads the filter's module, the same one that Envoy loads, and
// calls it for decisions. It has the host functions of the ABI 0.2.1 that the module imports, and they behave as in
// Envoy. It is for the embedded data plane, for tests and for benchmarks.
package vm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"waymark.dev/waymark/hostcalls"
)

// Module is a compiled module, from which VMs are made.
type Module struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// Compile compiles a module, which takes about a second. VMs are then made in milliseconds.
func Compile(ctx context.Context, wasm []byte) (*Module, error) {
	r := wazero.NewRuntime(ctx)
	m := &Module{runtime: r}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	b := r.NewHostModuleBuilder("env")
	for i, f := range hostFunctions {
		call := api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			v := ctx.Value(contextKey{}).(*VM)
			v.calls[i]++
			stack[0] = uint64(f.call(ctx, v, stack))
		})
		params := slices.Repeat([]api.ValueType{api.ValueTypeI32}, f.params)
		b.NewFunctionBuilder().WithGoModuleFunction(call, params, []api.ValueType{api.ValueTypeI32}).Export(f.name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return nil, err
	}
	var err error
	if m.compiled, err = r.CompileModule(ctx, wasm); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	return m, nil
}

// Close ends all VMs and frees the module.
func (m *Module) Close(ctx context.Context) error { return m.runtime.Close(ctx) }

// VM is one instance with its own memory: one worker. It must not be used by two goroutines at once.
type VM struct {
	module                                                 api.Module
	allocate, create, start, configure, headers, deleteCtx api.Function

	contexts uint32 // the last id of a context
	config   []byte
	request  *Headers
	encoded  []byte
	stack    [3]uint64
	level    hostcalls.Level
	log      func(level hostcalls.Level, message string)
	errors   []string // the lines at error level and above since the last Configure began
	calls    []int    // how often each of hostFunctions was called
}

// New makes a VM. log is called for each line that the module logs at level or above; it may be nil.
func (m *Module) New(ctx context.Context, level hostcalls.Level, log func(level hostcalls.Level, message string)) (*VM, error) {
	v := &VM{level: level, log: log, calls: make([]int, len(hostFunctions))}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithRandSource(rand.Reader).
		WithSysWalltime().WithSysNanotime().WithStderr(v).WithStdout(v)
	var err error
	if v.module, err = m.runtime.InstantiateModule(withVM(ctx, v), m.compiled, config); err != nil {
		return nil, err
	}
	for name, f := range map[string]*api.Function{
		"proxy_on_memory_allocate": &v.allocate, "proxy_on_context_create": &v.create, "proxy_on_vm_start": &v.start,
		"proxy_on_configure": &v.configure, "proxy_on_request_headers": &v.headers, "proxy_on_delete": &v.deleteCtx,
	} {
		if *f = v.module.ExportedFunction(name); *f == nil {
			return nil, fmt.Errorf("the module exports no %s", name)
		}
	}
	return v, nil
}

// Write logs what the module prints to standard output and error: messages of the Go runtime before it exits.
func (v *VM) Write(line []byte) (int, error) {
	v.emit(hostcalls.Error, strings.TrimRight(string(line), "\n"))
	return len(line), nil
}

func (v *VM) emit(level hostcalls.Level, message string) {
	if level >= hostcalls.Error {
		v.errors = append(v.errors, message)
	}
	if level >= v.level && v.log != nil {
		v.log(level, message)
	}
}

// Close ends the VM.
func (v *VM) Close(ctx context.Context) error { return v.module.Close(ctx) }

// MemorySize is the size of the VM's linear memory in bytes. It never shrinks.
func (v *VM) MemorySize() uint32 { return v.module.Memory().Size() }

// Calls returns how often each host function was called since the last call of Calls, by name.
func (v *VM) Calls() map[string]int {
	c := map[string]int{}
	for i, n := range v.calls {
		if n > 0 {
			c[hostFunctions[i].name] = n
		}
	}
	clear(v.calls)
	return c
}

func (v *VM) call(ctx context.Context, f api.Function, args ...uint64) (uint64, error) {
	stack := v.stack[:]
	copy(stack, args)
	if err := f.CallWithStack(withVM(ctx, v), stack); err != nil {
		return 0, err
	}
	return stack[0], nil
}

// Configure makes a root context and configures it. If the module refuses the configuration, the error has the lines
// that it logged.
func (v *VM) Configure(ctx context.Context, config []byte) (root uint32, err error) {
	v.contexts++
	root = v.contexts
	v.config, v.errors = config, nil
	defer func() { v.config = nil }()
	if _, err := v.call(ctx, v.create, uint64(root), 0); err != nil {
		return 0, err
	}
	if ok, err := v.call(ctx, v.start, uint64(root), 0); err != nil || ok == 0 {
		return 0, errors.Join(err, errors.New("the module did not start"))
	}
	ok, err := v.call(ctx, v.configure, uint64(root), uint64(len(config)))
	if err != nil {
		return 0, err
	}
	if uint32(ok) == 0 {
		return 0, errors.Join(errors.New(strings.Join(v.errors, "; ")), v.Delete(ctx, root))
	}
	return root, nil
}

// Delete ends a context.
func (v *VM) Delete(ctx context.Context, id uint32) error {
	_, err := v.call(ctx, v.deleteCtx, uint64(id))
	return err
}

// RequestHeaders makes a stream of a root context, calls the module with the headers, which it may change, and ends the
// stream.
func (v *VM) RequestHeaders(ctx context.Context, root uint32, h *Headers) error {
	ctx = withVM(ctx, v)
	v.contexts++
	stream := v.contexts
	if _, err := v.call(ctx, v.create, uint64(stream), uint64(root)); err != nil {
		return err
	}
	v.request = h
	_, err := v.call(ctx, v.headers, uint64(stream), uint64(len(*h)), 1)
	v.request = nil
	return errors.Join(err, v.Delete(ctx, stream))
}

type contextKey struct{}

func withVM(ctx context.Context, v *VM) context.Context {
	if ctx.Value(contextKey{}) == v {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, v)
}

// hostFunction is one function of the module "env". params is the number of its parameters, of 32 bits each.
type hostFunction struct {
	name   string
	params int
	call   func(ctx context.Context, v *VM, s []uint64) hostcalls.Status
}

// hostFunctions are the functions that a module may import: those of the filter's module and common ones that others
// need. Envoy 1.36 has all of them.
var hostFunctions = []hostFunction{
	{"proxy_get_header_map_pairs", 3, func(ctx context.Context, v *VM, s []uint64) hostcalls.Status {
		if v.request == nil || hostcalls.Map(s[0]) != hostcalls.RequestHeaders {
			return v.give(ctx, nil, s[1], s[2])
		}
		v.encoded = hostcalls.AppendPairs(v.encoded[:0], *v.request)
		return v.give(ctx, v.encoded, s[1], s[2])
	}},
	{"proxy_get_header_map_value", 5, func(ctx context.Context, v *VM, s []uint64) hostcalls.Status {
		if v.request == nil || hostcalls.Map(s[0]) != hostcalls.RequestHeaders {
			return hostcalls.BadArgument
		}
		value, ok := v.request.Get(strings.ToLower(v.text(s[1], s[2])))
		if !ok {
			return hostcalls.NotFound
		}
		return v.give(ctx, []byte(value), s[3], s[4])
	}},
	{"proxy_replace_header_map_value", 5, func(_ context.Context, v *VM, s []uint64) hostcalls.Status {
		if v.request == nil || hostcalls.Map(s[0]) != hostcalls.RequestHeaders {
			return hostcalls.BadArgument
		}
		v.request.Set(strings.ToLower(v.text(s[1], s[2])), v.text(s[3], s[4]))
		return hostcalls.OK
	}},
	{"proxy_remove_header_map_value", 3, func(_ context.Context, v *VM, s []uint64) hostcalls.Status {
		if v.request == nil || hostcalls.Map(s[0]) != hostcalls.RequestHeaders {
			return hostcalls.BadArgument
		}
		v.request.Remove(strings.ToLower(v.text(s[1], s[2])))
		return hostcalls.OK
	}},
	{"proxy_get_buffer_bytes", 5, func(ctx context.Context, v *VM, s []uint64) hostcalls.Status {
		if hostcalls.Buffer(s[0]) != hostcalls.PluginConfiguration || v.config == nil {
			return hostcalls.NotFound
		}
		start, most := min(int(uint32(s[1])), len(v.config)), int(uint32(s[2]))
		return v.give(ctx, v.config[start:min(len(v.config), start+most)], s[3], s[4])
	}},
	{"proxy_log", 3, func(_ context.Context, v *VM, s []uint64) hostcalls.Status {
		v.emit(hostcalls.Level(s[0]), v.text(s[1], s[2]))
		return hostcalls.OK
	}},
	{"proxy_get_log_level", 1, func(_ context.Context, v *VM, s []uint64) hostcalls.Status {
		if !v.module.Memory().WriteUint32Le(uint32(s[0]), uint32(v.level)) {
			return hostcalls.InvalidMemoryAccess
		}
		return hostcalls.OK
	}},
}

// text copies a string out of the module's memory. It is empty if the address is outside of the memory.
func (v *VM) text(address, size uint64) string {
	b, _ := v.module.Memory().Read(uint32(address), uint32(size))
	return string(b)
}

// give lets the module allocate memory, writes data there, and then writes its address and size to addressAt and
// sizeAt. For no data both are 0, and nothing is allocated.
func (v *VM) give(ctx context.Context, data []byte, addressAt, sizeAt uint64) hostcalls.Status {
	var address uint64
	if len(data) > 0 {
		var stack [1]uint64
		stack[0] = uint64(len(data))
		if err := v.allocate.CallWithStack(ctx, stack[:]); err != nil {
			return hostcalls.InternalFailure
		}
		address = stack[0]
		if !v.module.Memory().Write(uint32(address), data) {
			return hostcalls.InvalidMemoryAccess
		}
	}
	a, ok := v.module.Memory().Read(uint32(addressAt), 4)
	if !ok {
		return hostcalls.InvalidMemoryAccess
	}
	binary.LittleEndian.PutUint32(a, uint32(address))
	if !v.module.Memory().WriteUint32Le(uint32(sizeAt), uint32(len(data))) {
		return hostcalls.InvalidMemoryAccess
	}
	return hostcalls.OK
}

// Headers are header lines in order, names in lower case.
type Headers [][2]string

// Get returns the first value of a name.
func (h *Headers) Get(name string) (string, bool) {
	for _, line := range *h {
		if line[0] == name {
			return line[1], true
		}
	}
	return "", false
}

// Set replaces the first line of a name and removes the others, or appends a line if there is none.
func (h *Headers) Set(name, value string) {
	for i := range *h {
		if (*h)[i][0] == name {
			(*h)[i][1] = value
			h.removeFrom(i+1, name)
			return
		}
	}
	*h = append(*h, [2]string{name, value})
}

// Remove removes all lines of a name.
func (h *Headers) Remove(name string) { h.removeFrom(0, name) }

func (h *Headers) removeFrom(i int, name string) {
	kept := (*h)[:i]
	for _, line := range (*h)[i:] {
		if line[0] != name {
			kept = append(kept, line)
		}
	}
	*h = kept
}
