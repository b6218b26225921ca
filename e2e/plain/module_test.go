package plain

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/repository"
	"waymark.dev/waymark/e2e/internal/wasmfile"
	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/proxy/vm"
)

// maxModule bounds a module, in bytes: every Envoy compiles it, on its main thread.
var maxModule = map[string]int{"standard": 2_600_000, "small": 200_000}

// offered are the functions that Envoy 1.36 lets a module import, of those that a Go module could want, with their
// types. (proxy-wasm-cpp-host of that release: include/proxy-wasm/exports.h; a missing one keeps the module from loading.)
var offered = map[string]string{
	"env.proxy_get_header_map_pairs":             "[i32 i32 i32] -> [i32]",
	"env.proxy_replace_header_map_value":         "[i32 i32 i32 i32 i32] -> [i32]",
	"env.proxy_remove_header_map_value":          "[i32 i32 i32] -> [i32]",
	"env.proxy_get_buffer_bytes":                 "[i32 i32 i32 i32 i32] -> [i32]",
	"env.proxy_log":                              "[i32 i32 i32] -> [i32]",
	"env.proxy_get_log_level":                    "[i32] -> [i32]",
	"wasi_snapshot_preview1.args_get":            "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.args_sizes_get":      "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.clock_time_get":      "[i32 i64 i32] -> [i32]",
	"wasi_snapshot_preview1.environ_get":         "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.environ_sizes_get":   "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_close":            "[i32] -> [i32]",
	"wasi_snapshot_preview1.fd_fdstat_get":       "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_fdstat_set_flags": "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_prestat_dir_name": "[i32 i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_prestat_get":      "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_read":             "[i32 i32 i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_seek":             "[i32 i64 i32 i32] -> [i32]",
	"wasi_snapshot_preview1.fd_write":            "[i32 i32 i32 i32] -> [i32]",
	"wasi_snapshot_preview1.path_open":           "[i32 i32 i32 i32 i32 i64 i64 i32 i32] -> [i32]",
	"wasi_snapshot_preview1.proc_exit":           "[i32] -> []",
	"wasi_snapshot_preview1.random_get":          "[i32 i32] -> [i32]",
	"wasi_snapshot_preview1.sched_yield":         "[] -> [i32]",
}

func TestModule(t *testing.T) {
	program.OnModules(t, func(t *testing.T, module program.Module) {
		assert.LessOrEqual(t, len(module.Wasm), maxModule[module.Name])
		m, err := wasmfile.Parse(module.Wasm)
		require.NoError(t, err)
		for _, f := range m.Imports {
			name := f.Module + "." + f.Name
			assert.Equal(t, offered[name], f.Type, "import %s", name)
			assert.NotEqual(t, "poll_oneoff", f.Name, "is answered inside the module")
		}
		var exports []string
		for _, f := range m.Exports {
			exports = append(exports, strings.TrimSpace(f.Name+" "+f.Type))
		}
		sort.Strings(exports)
		assert.Equal(t, []string{
			"_initialize [] -> []",
			"memory",
			"proxy_abi_version_0_2_1 [] -> []",
			"proxy_on_configure [i32 i32] -> [i32]",
			"proxy_on_context_create [i32 i32] -> []",
			"proxy_on_delete [i32] -> []",
			"proxy_on_memory_allocate [i32] -> [i32]",
			"proxy_on_request_headers [i32 i32 i32] -> [i32]",
			"proxy_on_vm_start [i32 i32] -> [i32]",
		}, exports, "what is not needed is not exported: the host would call it for every request")
	})
}

func TestModuleIsTheSameEverywhere(t *testing.T) { theSameEverywhere(t, "waymark.wasm.gz") }

// theSameEverywhere builds a module here, and again from a copy of the sources in another folder, with an empty cache. The
// committed one is the same, too, if this is the compiler that built it; other sources are found with every compiler, by the
// record in its header (build/module).
func theSameEverywhere(t *testing.T, committed string, flags ...string) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "filter", "hostcalls", "routing", "build"} {
		text, err := exec.Command("cp", "-r", filepath.Join(repository.Root, name), dir).CombinedOutput()
		require.NoError(t, err, "%s", text)
	}
	cache := filepath.Join(dir, "cache")
	compiler, here := buildModule(t, repository.Root, nil, flags...)
	_, again := buildModule(t, dir, []string{"GOCACHE=" + cache, "XDG_CACHE_HOME=" + cache}, flags...)
	assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256(here)), fmt.Sprintf("%x", sha256.Sum256(again)))
	assert.NotContains(t, string(here), dir)
	assert.NotContains(t, string(here), repository.Root)

	builtBy, module := readCompressed(t, filepath.Join(repository.Root, "filter", "embedded", committed))
	if builtBy != compiler {
		t.Logf("the committed module was built by %s, so this %s cannot tell whether its bytes are right", builtBy, compiler)
		return
	}
	assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256(here)), fmt.Sprintf("%x", sha256.Sum256(module)), "build/module builds it again")
}

// buildModule builds a module of a copy of the sources, and the files that its build replaces.
func buildModule(t *testing.T, dir string, env []string, flags ...string) (compiler string, module []byte) {
	out := filepath.Join(t.TempDir(), "waymark.wasm.gz")
	build := exec.Command("go", append([]string{"run", "./build/module", "-o", out}, flags...)...)
	build.Dir = dir
	build.Env = append(os.Environ(), append(env, "GOFLAGS=")...)
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s", text)
	return readCompressed(t, out)
}

// readCompressed reads what build/module has written: a module, and in the header the compiler that built it.
func readCompressed(t *testing.T, file string) (compiler string, module []byte) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }() // the file was only read
	r, err := gzip.NewReader(f)
	require.NoError(t, err)
	module, err = io.ReadAll(r)
	require.NoError(t, err)
	compiler, _, _ = strings.Cut(r.Comment, " ")
	return compiler, module
}

// compile is a module from which VMs under wazero are made.
func compile(t testing.TB, m program.Module) *vm.Module {
	ctx := context.Background()
	module, err := vm.Compile(ctx, m.Wasm)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, module.Close(ctx)) })
	return module
}

// onModules runs a test with each module.
func onModules(t *testing.T, test func(t *testing.T, m *vm.Module)) {
	program.OnModules(t, func(t *testing.T, m program.Module) { test(t, compile(t, m)) })
}

func newVM(t testing.TB, m *vm.Module) *vm.VM {
	v, err := m.New(context.Background(), hostcalls.Error, nil)
	require.NoError(t, err)
	return v
}

const smallConfig = `{"version":1,"name":"http.80","virtualHosts":[{"name":"a","domains":["a.test"],"rules":[
	{"rule":"r","path":{"prefix":"/a"},"headers":[{"name":"x","exact":"\u00ff","invert":true,"missingAsEmpty":true}],"outcome":"kabc"}]}]}`

func decide(t testing.TB, v *vm.VM, root uint32, h vm.Headers) string {
	require.NoError(t, v.RequestHeaders(context.Background(), root, &h))
	id, _ := h.Get("x-waymark-route")
	return id
}

func TestABadConfigurationNeverReplacesAGoodOne(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		v := newVM(t, m)
		ctx := context.Background()
		good, err := v.Configure(ctx, []byte(smallConfig))
		require.NoError(t, err)
		for what, config := range map[string]string{
			"broken":             smallConfig[:len(smallConfig)-1],
			"empty":              "",
			"too deep":           strings.Repeat(`{"a":`, 100_000),
			"duplicate keys":     strings.Replace(smallConfig, `"version":1`, `"version":1,"version":1`, 1),
			"a newer version":    strings.Replace(smallConfig, `"version":1`, `"version":2`, 1),
			"trailing bytes":     smallConfig + "x",
			"an unknown field":   strings.Replace(smallConfig, `"name":"a"`, `"naem":"a"`, 1),
			"a broken pattern":   `{"version":1,"programs":["TgAAAAD///8AAAA="],"virtualHosts":[]}`,
			"not even an object": "7",
		} {
			_, err := v.Configure(ctx, []byte(config))
			if assert.Error(t, err, what) {
				assert.Contains(t, err.Error(), "refused", what)
			}
			assert.Equal(t, "kabc", decide(t, v, good, vm.Headers{{":authority", "a.test"}, {":path", "/a"}, {":method", "GET"}}), what)
		}
	})
}

func TestStrangeRequestsNeverTrap(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		v := newVM(t, m)
		good, err := v.Configure(context.Background(), []byte(smallConfig))
		require.NoError(t, err)
		base := vm.Headers{{":authority", "a.test"}, {":path", "/a"}, {":method", "GET"}}
		many := append(vm.Headers{}, base...)
		for i := range 1000 {
			many = append(many, [2]string{fmt.Sprintf("x-%d", i), "v"})
		}
		for what, c := range map[string]struct {
			headers vm.Headers
			want    string
		}{
			"nothing at all":   {nil, ""},
			"no path":          {vm.Headers{{":authority", "a.test"}}, ""},
			"no authority":     {vm.Headers{{":path", "/a"}}, ""},
			"two hosts":        {append(vm.Headers{{":authority", "b.test"}}, base...), "kabc"},
			"a 60 KB header":   {append(vm.Headers{{"x-long", strings.Repeat("v", 60<<10)}}, base...), "kabc"},
			"a 60 KB path":     {vm.Headers{{":authority", "a.test"}, {":path", "/a" + strings.Repeat("/x", 30<<10)}}, "kabc"},
			"a 2 MB header":    {append(vm.Headers{{"x-long", strings.Repeat("v", 2<<20)}}, base...), "kabc"},
			"1000 headers":     {many, "kabc"},
			"invalid UTF-8":    {vm.Headers{{":authority", "a.test"}, {":path", "/a\xff\xfe"}, {"x\xff", "\xc3\x28"}}, "kabc"},
			"a host of dots":   {vm.Headers{{":authority", strings.Repeat(".", 5000)}, {":path", "/a"}}, ""},
			"a host of colons": {vm.Headers{{":authority", strings.Repeat(":", 5000)}, {":path", "/a"}}, ""},
		} {
			assert.Equal(t, c.want, decide(t, v, good, append(vm.Headers{}, c.headers...)), what)
		}
	})
}

// TestMatchingStaysGivenUp is the test of routing of the same name, where int has 64 bits and where it has 32.
func TestMatchingStaysGivenUp(t *testing.T) {
	config, r := routingtest.GivenUp()
	text, err := json.Marshal(config)
	require.NoError(t, err)
	onModules(t, func(t *testing.T, m *vm.Module) {
		v := newVM(t, m)
		root, err := v.Configure(context.Background(), text)
		require.NoError(t, err)
		assert.Empty(t, decide(t, v, root, linesOf(r)))
	})
}

// TestHostCalls counts what a request costs: one read and one write.
func TestHostCalls(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		v := newVM(t, m)
		good, err := v.Configure(context.Background(), []byte(smallConfig))
		require.NoError(t, err)
		v.Calls()
		decide(t, v, good, vm.Headers{{":authority", "a.test"}, {":path", "/a"}})
		assert.Equal(t, map[string]int{"proxy_get_header_map_pairs": 1, "proxy_replace_header_map_value": 1}, v.Calls())
	})
}

// TestSharesUnderWazero: over 100,000 requests each share is within the binomial 99.99 % interval, for weights that add up
// to 100 and for others, and two workers throw other dice (VS-SPLIT-06, VS-FAULT-02).
func TestSharesUnderWazero(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		ctx := context.Background()
		for what, c := range map[string]struct {
			rule   string
			shares map[string]float64
		}{
			"weights that add up to 100": {
				`"split":[{"outcome":"a","weight":60},{"outcome":"b","weight":30},{"outcome":"c","weight":10}]`,
				map[string]float64{"a": 0.6, "b": 0.3, "c": 0.1},
			},
			"weights that do not": {
				`"split":[{"outcome":"a","weight":5},{"outcome":"b","weight":2},{"outcome":"c","weight":1}]`,
				map[string]float64{"a": 5. / 8, "b": 2. / 8, "c": 1. / 8},
			},
			"a small share": {
				`"split":[{"outcome":"a","weight":999},{"outcome":"b","weight":1}]`,
				map[string]float64{"a": 0.999, "b": 0.001},
			},
			"faults": {
				`"split":[{"outcome":"a","weight":1},{"outcome":"b","weight":1}],"fault":{"delay":{"ms":1,"perMillion":125000},"abort":{"httpStatus":503,"perMillion":300000}}`,
				map[string]float64{"a": 0.5, "b": 0.5, "delay": 0.125, "abort": 0.3, "both": 0.125 * 0.3},
			},
		} {
			t.Run(what, func(t *testing.T) {
				config := []byte(`{"version":1,"virtualHosts":[{"name":"a","domains":["*"],"rules":[{"rule":"r",` + c.rule + `}]}]}`)
				var sequences []string
				for range 2 {
					v := newVM(t, m)
					root, err := v.Configure(ctx, config)
					require.NoError(t, err)
					const n = 100_000
					counts := map[string]float64{}
					var sequence bytes.Buffer
					for i := range n {
						h := vm.Headers{{":authority", "a"}, {":path", "/"}}
						require.NoError(t, v.RequestHeaders(ctx, root, &h))
						id, _ := h.Get("x-waymark-route")
						counts[id]++
						_, delayed := h.Get("x-envoy-fault-delay-request")
						_, aborted := h.Get("x-envoy-fault-abort-request")
						for what, is := range map[string]bool{"delay": delayed, "abort": aborted, "both": delayed && aborted} {
							if is {
								counts[what]++
							}
						}
						if i < 5000 {
							sequence.WriteString(id)
						}
					}
					for what, p := range c.shares {
						assert.InDelta(t, n*p, counts[what], 3.9*math.Sqrt(n*p*(1-p)), what)
					}
					sequences = append(sequences, sequence.String())
				}
				assert.NotEqual(t, sequences[0], sequences[1], "two workers")
			})
		}
	})
}
