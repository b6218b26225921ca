package main

import (
	_ "embed" // of the recipe
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// small is the module that TinyGo builds. Its target is WebAssembly with the WASI functions that Envoy offers, but
// without a C library, which is not needed: the filter has no C code.
var small = kind{
	file:      "filter/embedded/waymark-small.wasm.gz",
	target:    "module-small",
	tags:      "tinygo,tinygo.wasm,scheduler.none,gc.precise",
	recipe:    fmt.Sprint(target, tinyGoVersion, changes),
	compile:   compileSmall,
	toolchain: smallToolchain,
}

//go:embed small/target.json
var target string

//go:embed small/wasm-opt.sh
var wasmOpt string

// change is a change to a file of TinyGo's own packages: every occurrence of old becomes new. The build fails where
// there is none.
type change struct{ file, old, new string }

// changes are what the filter needs and TinyGo does not do for a WebAssembly module without a C library.
var changes = []change{
	// The random numbers of math/rand come from the host. TinyGo takes them from the C library.
	{"runtime/runtime_tinygowasm.go", `func hardwareRand() (n uint64, ok bool) {
	n |= uint64(libc_arc4random())
	n |= uint64(libc_arc4random()) << 32
	return n, true
}
`, `func hardwareRand() (n uint64, ok bool) {
	if random_get(unsafe.Pointer(&randomBits), 8) != 0 {
		return 0, false
	}
	return randomBits, true
}

var randomBits uint64

//go:wasmimport wasi_snapshot_preview1 random_get
func random_get(address unsafe.Pointer, size uint32) (errno uint32)
`},
	// The message of a panic goes to standard error, which Envoy logs as an error; standard output it logs as information.
	{"runtime/runtime_tinygowasm.go", "stdout            = 1\n", "stdout            = 2\n"},
	// The heap grows by an eighth, or by what is needed, and not to its double: it never shrinks. See RATIONALE.md, "How
	// does the small module use memory?".
	{"runtime/arch_tinygowasm.go", "func growHeap() bool {\n", "func growHeap(needed uintptr) bool {\n"},
	{"runtime/arch_tinygowasm.go", `	// Grow memory by the available size, which means the heap size is doubled.
	memorySize := wasm_memory_size(wasmMemoryIndex)
`, `	memorySize := max(wasm_memory_size(wasmMemoryIndex)/8, int32((needed+needed/32)/wasmPageSize)) + 1
`},
	{"runtime/gc_blocks.go", "growHeap()", "growHeap(size)"},
	// A pointer into the middle of an object leads to its beginning by a search backwards, which is long where thousands
	// of texts are parts of one configuration. The last long search is kept: all its blocks are of the same object.
	{"runtime/gc_blocks.go", "func (b gcBlock) findHead() gcBlock {\n\tfor {\n", `// searched are the blocks of the last long search, from the beginning of an object to where the search began.
var searched struct{ head, from gcBlock }

func (b gcBlock) findHead() gcBlock {
	from := b
	for {
		if b > searched.head && b <= searched.from {
			b = searched.head
			break
		}
`},
	{"runtime/gc_blocks.go", `	if gcAsserts {
		if b.state() != blockStateHead`, `	if from-b > 64 {
		searched.head, searched.from = b, from
	}
	if gcAsserts {
		if b.state() != blockStateHead`},
	{"runtime/gc_blocks.go", "	// Mark phase: mark", "	searched.from = 0 // other objects may be there now\n	// Mark phase: mark"},
	// Functions for processors without a minimum of floating-point numbers would be exports of the module.
	{"runtime/float.go", "//export f", "// f"},
}

func compileSmall(out, pkg, tools string) error {
	compiler, source, err := installTinyGo(tools)
	if err != nil {
		return err
	}
	root, err := filepath.Abs(filepath.Join(scratch, "tinygo"))
	if err != nil {
		return err
	}
	if err := writeTinyGoRoot(root, source); err != nil {
		return err
	}
	build := exec.Command(compiler, "build", "-target="+filepath.Join(root, "target.json"), "-opt=2", "-no-debug", "-o", out, pkg)
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=", "GOARCH=", "TINYGOROOT="+root, "WASMOPT="+filepath.Join(root, "wasm-opt"))
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	return build.Run()
}

// writeTinyGoRoot writes the folder that TinyGo takes its own packages from: those of its source, with our changes.
func writeTinyGoRoot(root, source string) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(root, "src"), os.DirFS(filepath.Join(source, "src"))); err != nil {
		return err
	}
	// The module of TinyGo has no folder net, which is another repository, and TinyGo does not start without one.
	if err := os.Mkdir(filepath.Join(root, "src", "net"), 0o755); err != nil {
		return err
	}
	for _, c := range changes {
		file := filepath.Join(root, "src", c.file)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), c.old) {
			return fmt.Errorf("%s of TinyGo %s: the expected text is not in it; adapt build/module/small.go: %q", c.file, tinyGoVersion, c.old)
		}
		if err := os.Chmod(file, 0o644); err != nil { // files of Go's module cache are read-only
			return err
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), c.old, c.new)), 0o644); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "target.json"), []byte(target), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "wasm-opt"), []byte(wasmOpt), 0o755)
}

// versions matches what 'tinygo version' prints.
var versions = regexp.MustCompile(`^tinygo version (\S+) \S+ \(using go version (\S+) and LLVM version (\S+)\)\n$`)

func smallToolchain(tools string) (string, error) {
	compiler, _, err := installTinyGo(tools)
	if err != nil {
		return "", err
	}
	text, err := exec.Command(compiler, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", compiler, err)
	}
	m := versions.FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s version: %q has none of the expected form", compiler, text)
	}
	return fmt.Sprintf("tinygo%s-%s-llvm%s", m[1], m[2], m[3]), nil
}
