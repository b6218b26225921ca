package plain

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/repository"
)

const modulePath = "waymark.dev/waymark/"

// reach is what a package may depend on, itself or through others; the standard library is open to all.
type reach struct {
	own      []string // packages of this module
	external []string // packages of other modules, with all below them
}

var (
	gjson     = []string{"github.com/tidwall"}
	protobufs = []string{"google.golang.org/protobuf", "google.golang.org/genproto", "github.com/golang/protobuf"}
	envoyAPI  = slices.Concat(protobufs, []string{"github.com/envoyproxy", "github.com/cncf/xds", "cel.dev/expr"})
	istioAPI  = slices.Concat(protobufs, []string{
		"istio.io/api", "k8s.io", "sigs.k8s.io", "go.yaml.in/yaml", "github.com/agnivade/levenshtein", // and what these need:
		"gopkg.in/inf.v0", "golang.org/x", "github.com/fxamacker/cbor", "github.com/go-logr/logr", "github.com/json-iterator/go",
		"github.com/modern-go", "github.com/x448/float16",
	})
	// What the client library of Kubernetes needs beside that.
	kubernetesAPI = slices.Concat(istioAPI, []string{
		"github.com/davecgh/go-spew", "github.com/emicklei/go-restful", "github.com/go-openapi", "github.com/google/gnostic-models", "github.com/google/uuid",
		"github.com/munnerz/goautoneg", "github.com/pmezard/go-difflib", "github.com/spf13/pflag", "gopkg.in/evanphx/json-patch.v4",
	})
	grpcAPI     = slices.Concat(envoyAPI, []string{"google.golang.org/grpc", "golang.org/x"})
	prometheus  = slices.Concat(protobufs, []string{"github.com/prometheus", "github.com/beorn7/perks", "github.com/cespare/xxhash", "github.com/munnerz/goautoneg", "github.com/klauspost/compress", "golang.org/x", "go.yaml.in/yaml"})
	junitReport = []string{"github.com/jstemmer/go-junit-report"}
	system      = []string{"golang.org/x/sys"}
	wazero      = slices.Concat(system, []string{"github.com/tetratelabs/wazero"})
	model       = []string{"diag", "plan"}
	works       = []string{"diag", "plan", "effect", "pluginconfig", "envoy/version", "routing", "routing/regex"}
	reads       = []string{"gateway", "istio/advise", "istio/names", "istio/resource", "istio/translate", "istio/validate", "internal/keypair"}
	solves      = append([]string{"envoy", "space", "verdict"}, works...)
)

// reaches says which way the arrows run. It has every package that another one could import, tests and programs aside.
var reaches = map[string]reach{
	"waymark.dev/waymark":   {nil, nil},
	"routing":               {nil, nil},
	"routing/regex":         {[]string{"routing"}, nil},
	"hostcalls":             {nil, nil},
	"hostcalls/hosttest":    {[]string{"hostcalls"}, nil},
	"filter":                {[]string{"hostcalls", "routing"}, nil},
	"filter/embedded":       {nil, nil},
	"diag":                  {nil, nil},
	"plan":                  {[]string{"diag"}, nil},
	"effect":                {[]string{"diag", "plan", "envoy/version", "routing", "routing/regex"}, nil},
	"pluginconfig":          {[]string{"diag", "plan", "envoy/version", "routing", "routing/regex"}, nil},
	"istio/names":           {nil, istioAPI},
	"istio/resource":        {[]string{"diag"}, istioAPI},
	"istio/validate":        {[]string{"diag", "plan", "effect", "pluginconfig", "envoy/version", "routing", "routing/regex", "istio/names", "istio/resource"}, istioAPI},
	"istio/translate":       {append([]string{"istio/names", "istio/resource", "internal/keypair"}, model...), istioAPI},
	"istio/advise":          {[]string{"diag", "istio/names", "istio/resource"}, istioAPI},
	"gateway":               {[]string{"istio/advise", "diag", "plan", "effect", "pluginconfig", "envoy/version", "routing", "routing/regex", "istio/names", "istio/resource", "istio/validate", "istio/translate", "internal/keypair"}, istioAPI},
	"envoy":                 {works, envoyAPI},
	"envoy/version":         {nil, nil},
	"envoy/process":         {[]string{"envoy/process/scratch", "internal/lines", "internal/listening"}, system},
	"envoy/process/scratch": {nil, system},
	"envoy/files":           {append([]string{"envoy"}, works...), envoyAPI},
	"envoy/xds":             {append([]string{"envoy"}, works...), grpcAPI},
	"fleet":                 {slices.Concat([]string{"envoy", "envoy/xds", "explain", "verdict"}, works, reads), slices.Concat(grpcAPI, istioAPI, prometheus)},
	"verdict":               {append([]string{"envoy"}, works...), envoyAPI},
	"docs":                  {nil, nil},
	"cluster":               {[]string{"diag", "istio/resource"}, kubernetesAPI},
	"cluster/webhook":       {append(slices.Clone(works), reads...), istioAPI},
	"space":                 {append([]string{"envoy", "verdict"}, works...), envoyAPI},
	"lint":                  {slices.Concat(solves, reads), slices.Concat(envoyAPI, istioAPI)},
	"diff":                  {append([]string{"explain", "istio/names", "istio/resource"}, solves...), slices.Concat(envoyAPI, istioAPI)},
	"explain":               {append([]string{"envoy", "verdict", "istio/names", "istio/resource"}, works...), slices.Concat(envoyAPI, istioAPI)},
	"suite":                 {append([]string{"envoy", "verdict", "explain", "istio/names", "istio/resource", "istio/translate", "internal/keypair"}, works...), slices.Concat(envoyAPI, istioAPI, junitReport)},
	"proxy":                 {append([]string{"hostcalls", "proxy/vm", "internal/keypair", "internal/listening"}, works...), wazero},
	"proxy/vm":              {[]string{"hostcalls"}, wazero},
	"proxy/standin":         {works, nil},
	"internal/ask":          {append([]string{"envoy", "verdict"}, works...), slices.Concat(gjson, envoyAPI)},
	"internal/bruteforce":   {append([]string{"envoy", "verdict"}, works...), envoyAPI},
	"internal/keypair":      {nil, nil},
	"internal/lines":        {nil, nil},
	"internal/listening":    {nil, system},
	"internal/envoymodel":   {[]string{"envoy/version", "routing", "routing/regex"}, envoyAPI},
	"internal/routingtest":  {[]string{"diag", "plan", "routing", "routing/regex"}, nil},
}

// allows says whether a package may be depended on. Packages of the standard library have no dot in their first element.
func (r reach) allows(pkg string) bool {
	if own, ok := strings.CutPrefix(pkg, modulePath); ok {
		return slices.Contains(r.own, own)
	}
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") || slices.ContainsFunc(r.external, func(prefix string) bool {
		return pkg == prefix || strings.HasPrefix(pkg, prefix+"/")
	})
}

func goList(t *testing.T, env []string, args ...string) []string {
	c := exec.Command("go", append([]string{"list"}, args...)...)
	c.Dir, c.Env, c.Stderr = repository.Root, append(os.Environ(), env...), os.Stderr
	text, err := c.Output()
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// requirements are the modules that a go.mod names: those that it says are imported, and all.
func requirements(t *testing.T, dir string) (direct, all []string) {
	c := exec.Command("go", "mod", "edit", "-json")
	c.Dir, c.Stderr = dir, os.Stderr
	text, err := c.Output()
	require.NoError(t, err)
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	for _, r := range file.Require {
		all = append(all, r.Path)
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct, all
}

// TestImports checks the directions of imports, of tests inside packages not included; and that what only the tests of
// this module need is not required by the product.
func TestImports(t *testing.T) {
	missing := map[string]bool{}
	for name := range reaches {
		missing[name] = true
	}
	for _, line := range goList(t, nil, "-f", `{{.ImportPath}} {{.Name}} {{join .Deps " "}}`, "./...") {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], modulePath)
		if fields[1] == "main" {
			continue
		}
		r, known := reaches[name]
		if !assert.True(t, known, "%s: say in this test what it may depend on", name) {
			continue
		}
		delete(missing, name)
		astray := slices.DeleteFunc(fields[2:], r.allows)
		if len(astray) > 0 { // one says enough: a wrong arrow brings all that is behind it
			t.Errorf("%s depends on %s and %d more: no arrow runs this way", name, astray[0], len(astray)-1)
		}
	}
	assert.Empty(t, missing, "packages that are gone")

	needed := goList(t, nil, "-deps", "-test", "-f", `{{with .Module}}{{.Path}}{{end}}`, "./...")
	_, product := requirements(t, repository.Root)
	tests, _ := requirements(t, filepath.Join(repository.Root, "e2e"))
	require.Contains(t, tests, "github.com/tetratelabs/proxy-wasm-go-sdk")
	for _, module := range tests {
		assert.True(t, slices.Contains(needed, module) || !slices.Contains(product, module), "%s: only e2e needs it, and go.mod of the product requires it", module)
	}
}

// TestArchitectureNamesThePackages checks that the document in which people look for a package has each of them.
func TestArchitectureNamesThePackages(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository.Root, "docs", "architecture.md"))
	require.NoError(t, err)
	for name := range reaches {
		assert.Contains(t, string(text), "`"+name+"`", "docs/architecture.md says nothing of it")
	}
}

// TestNothingHeavyIsCompiledToWasm looks at what the module is built of, with the replacements of its build.
func TestNothingHeavyIsCompiledToWasm(t *testing.T) {
	buildModule(t, repository.Root, nil) // writes the files that replace
	deps := goList(t, []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="}, "-deps", "-overlay=.cache/module/overlay.json", "./filter/wasm")
	assert.Contains(t, deps, modulePath+"filter")
	allowed := reach{[]string{"filter", "filter/wasm", "hostcalls", "routing"}, nil}
	for _, pkg := range deps {
		assert.True(t, allowed.allows(pkg), "the module depends on %s", pkg)
	}
	for _, heavy := range []string{"encoding/json", "fmt", "log", "net/url", "os", "reflect", "regexp"} {
		assert.False(t, slices.Contains(deps, heavy), "the module holds %s: every Envoy compiles it, on its main thread", heavy)
	}
}
