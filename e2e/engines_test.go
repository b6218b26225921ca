package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/plan"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

// envoyVersions are those that every vector runs on; the minor version says which configuration is written.
var envoyVersions = []struct {
	version string
	minor   int
}{{"1.36.4", 36}, {"1.38.2", 38}, {"1.39.3", 39}, {"1.40.0", 40}}

// root is the root of the repository.
const root = ".."

// module builds the filter's module once and returns its path.
var module = sync.OnceValues(func() (string, error) {
	out, err := filepath.Abs(filepath.Join(root, "bin", "waymark.wasm"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "run", "./build/module", "-o", out)
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		return "", &buildError{string(text), err}
	}
	return out, nil
})

type buildError struct {
	text string
	err  error
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.text }

func readModule(t testing.TB) (path string, wasm []byte) {
	path, err := module()
	require.NoError(t, err)
	wasm, err = os.ReadFile(path)
	require.NoError(t, err)
	return path, wasm
}

// envoyBinary is the Envoy of a version: ENVOY_BIN where it is that version, else the pinned one that 'make envoy'
// installs. A version that is missing fails the test: README promises all of them.
func envoyBinary(t testing.TB, version string) string {
	if bin := os.Getenv("ENVOY_BIN"); bin != "" {
		text, err := exec.Command(bin, "--version").Output()
		require.NoError(t, err, "ENVOY_BIN")
		if strings.Contains(string(text), "/"+version+"/") {
			return bin
		}
	}
	bin, err := filepath.Abs(filepath.Join(root, ".cache", "envoy", version, "envoy"))
	require.NoError(t, err)
	_, err = os.Stat(bin)
	require.NoError(t, err, "Envoy %s is not installed; run 'make envoy'", version)
	return bin
}

// startEnvoy runs Envoy with a plan until the test ends.
func startEnvoy(t testing.TB, version string, r *road, o envoy.Options) *process.Process {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	o.AdminPort = ports[0]
	b, err := envoy.Bootstrap(r.plan, o)
	require.NoError(t, err)
	text, err := envoy.JSON(b)
	require.NoError(t, err)
	p, err := process.Start(context.Background(), process.Options{Binary: envoyBinary(t, version), Bootstrap: text, AdminPort: o.AdminPort, Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

// standardMethods are those that Envoy's HTTP/1 codec lets through.
var standardMethods = []string{"", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}

// noSuchScheme says that a request over a connection without TLS cannot have its scheme.
func noSuchScheme(q verdict.Request) bool { return q.Scheme != "" && q.Scheme != "http" }

// unsendable are requests that no client can send over plain HTTP/1.1: with a method that Envoy's codec refuses, or with
// another scheme than http.
func unsendable(q verdict.Request) bool {
	return !slices.Contains(standardMethods, q.Method) || noSuchScheme(q)
}

func TestReplayOnEnvoy(t *testing.T) {
	path, _ := readModule(t)
	for _, v := range envoyVersions {
		t.Run(v.version, func(t *testing.T) {
			replayOnEnvoy(t, v.version, envoy.Options{Matching: envoy.MatchingFilter, Minor: v.minor, Module: path})
		})
	}
	t.Run("1.39.3 native", func(t *testing.T) {
		replayOnEnvoy(t, "1.39.3", envoy.Options{Matching: envoy.MatchingNative, Minor: 39})
	})
}

// replayOnEnvoy replays all vectors. Before 1.39, those that depend on the reading of repeated headers are expected as
// our own verdict says, whose difference from Istio's has a test of its own.
func replayOnEnvoy(t *testing.T, version string, o envoy.Options) {
	cases := loadCases(t, vectors(t))
	expect := func(file string, i int) expectation {
		c := cases[slices.IndexFunc(cases, func(c *caseFile) bool { return c.name == file })]
		return c.expected[i]
	}
	if o.Era() == plan.Before139 {
		joined := joinedVectors(t)
		judges := map[string]*verdict.Judge{}
		for _, c := range cases {
			j, err := verdict.New(c.plan, verdict.Options{Era: plan.Before139})
			require.NoError(t, err)
			judges[c.name] = j
		}
		each := expect
		expect = func(file string, i int) expectation {
			if !slices.Contains(joined[file], i) {
				return each(file, i)
			}
			c := cases[slices.IndexFunc(cases, func(c *caseFile) bool { return c.name == file })]
			return expectationOf(t, judges[file].Decide(c.requests[i]))
		}
	}
	r := buildRoad(t, cases)
	startEnvoy(t, version, r, o)
	n := r.replay(t, cases, expect, unsendable)
	t.Logf("%d requests compared on Envoy %s, matching %s", n, version, o.Matching)
	assert.Greater(t, n, 5000)
}

func TestReplayOnWazero(t *testing.T) {
	_, wasm := readModule(t)
	cases := loadCases(t, vectors(t))
	r := buildRoad(t, cases)
	ctx := context.Background()
	p, err := proxy.New(ctx, wasm, proxy.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
	require.NoError(t, p.Apply(ctx, r.plan))
	n := r.replay(t, cases, func(file string, i int) expectation {
		return cases[slices.IndexFunc(cases, func(c *caseFile) bool { return c.name == file })].expected[i]
	}, func(q verdict.Request) bool {
		agent, has := q.Headers["User-Agent"]
		return noSuchScheme(q) || has && len(agent) == 1 && agent[0] == "" // net/http sends no empty User-Agent
	})
	t.Logf("%d requests compared under wazero", n)
	assert.Greater(t, n, 5000)
}
