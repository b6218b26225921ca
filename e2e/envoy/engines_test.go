package envoy

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/e2e/internal/vectors"
	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/proxy"
	"waymark.dev/waymark/verdict"
)

// envoys are those that every vector runs on.
func envoys(t testing.TB) []envoytest.Binary {
	all, err := envoytest.All()
	require.NoError(t, err)
	return all
}

// defaultEnvoy is for what runs on one Envoy.
func defaultEnvoy(t testing.TB) envoytest.Binary {
	b, err := envoytest.Default()
	require.NoError(t, err)
	return b
}

// startEnvoy runs an Envoy with a plan until the test ends. With the filter where its module is given, else with native
// routes.
func startEnvoy(t testing.TB, b envoytest.Binary, r *testbed, module string, changes ...func(*envoy.Options)) *process.Process {
	ports, err := process.FreePorts(1)
	require.NoError(t, err)
	o := envoy.Options{AdminPort: ports[0], Minor: b.Minor, Module: module, Matching: envoy.MatchingFilter}
	if module == "" {
		o.Matching = envoy.MatchingNative
	}
	for _, change := range changes {
		change(&o)
	}
	resources, err := envoy.Bootstrap(r.plan, o)
	require.NoError(t, err)
	text, err := envoy.JSON(resources)
	require.NoError(t, err)
	p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: text, AdminPort: o.AdminPort, Concurrency: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

// noSuchScheme says that a request over a connection without TLS cannot have its scheme.
func noSuchScheme(q verdict.Request) bool { return q.Scheme != "" && q.Scheme != "http" }

// unsendable are requests that no client can send over plain HTTP/1.1: with a method that Envoy's codec refuses, or with
// another scheme than http.
func unsendable(q verdict.Request) bool {
	return !slices.Contains(vectors.StandardMethods, q.Method) || noSuchScheme(q)
}

func TestReplayOnEnvoy(t *testing.T) {
	path, _ := program.ReadModule(t)
	for _, b := range envoys(t) {
		t.Run(b.Version, func(t *testing.T) { replayOnEnvoy(t, b, path) })
		t.Run(b.Version+" small", func(t *testing.T) { replayOnEnvoy(t, b, program.Modules(t)[1].Path) })
	}
	b := defaultEnvoy(t)
	t.Run(b.Version+" native", func(t *testing.T) { replayOnEnvoy(t, b, "") })
	t.Run(b.Version+" auto", func(t *testing.T) { replayOnEnvoy(t, b, path, matchingOf(envoy.MatchingAuto)) })
	for _, b := range envoys(t) {
		t.Run(b.Version+" trees", func(t *testing.T) { replayOnEnvoy(t, b, path, matchingOf(treesAlone)) })
	}
}

// replayOnEnvoy replays all vectors. Before 1.39, those that depend on the reading of repeated headers are expected as
// our own verdict says, whose difference from Istio's has a test of its own.
func replayOnEnvoy(t *testing.T, b envoytest.Binary, module string, changes ...func(*envoy.Options)) {
	cases := vectors.Load(t, vectors.Open(t))
	expect := func(file string, i int) vectors.Expectation {
		c := cases[slices.IndexFunc(cases, func(c *vectors.File) bool { return c.Name == file })]
		return c.Expected[i]
	}
	if b.Minor < 39 {
		joined := vectors.Joined(t)
		judges := map[string]*verdict.Judge{}
		for _, c := range cases {
			j, err := verdict.New(c.Plan, effect.Intake{Minor: 38})
			require.NoError(t, err)
			judges[c.Name] = j
		}
		each := expect
		expect = func(file string, i int) vectors.Expectation {
			if !slices.Contains(joined[file], i) {
				return each(file, i)
			}
			c := cases[slices.IndexFunc(cases, func(c *vectors.File) bool { return c.Name == file })]
			return vectors.ExpectationOf(t, judges[file].Decide(c.Requests[i]))
		}
	}
	r := buildTestbed(t, cases)
	plain := func(o *envoy.Options) { o.Profile = envoy.ProfilePlain } // as Istio's own, the vectors have no profile
	startEnvoy(t, b, r, module, append(slices.Clone(changes), plain)...)
	n := r.replay(t, cases, expect, unsendable)
	t.Logf("%d requests compared on Envoy %s", n, b.Version)
	assert.Greater(t, n, 5000)
}

func TestReplayOnWazero(t *testing.T) { program.OnModules(t, replayOnWazero) }

func replayOnWazero(t *testing.T, m program.Module) {
	cases := vectors.Load(t, vectors.Open(t))
	r := buildTestbed(t, cases)
	ctx := context.Background()
	p, err := proxy.New(ctx, m.Wasm, proxy.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(ctx)) })
	require.NoError(t, p.Apply(ctx, r.plan))
	n := r.replay(t, cases, func(file string, i int) vectors.Expectation {
		return cases[slices.IndexFunc(cases, func(c *vectors.File) bool { return c.Name == file })].Expected[i]
	}, func(q verdict.Request) bool {
		agent, has := q.Headers["User-Agent"]
		return unsendable(q) || has && len(agent) == 1 && agent[0] == "" // net/http sends no empty User-Agent
	})
	t.Logf("%d requests compared under wazero", n)
	assert.Greater(t, n, 5000)
}
