package envoy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/echo"
	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/version"
	"waymark.dev/waymark/gateway"
	"waymark.dev/waymark/istio/resource"
	"waymark.dev/waymark/istio/translate"
	"waymark.dev/waymark/plan"
)

// soakRules is the number of rules, and soakRequests that of requests; 'make soak' sends a million.
const soakRules = 10_000

func soakRequests(t testing.TB) int {
	text := os.Getenv("WAYMARK_SOAK_REQUESTS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// soakYAML are rules that only a header tells apart; the change gives every hundredth another timeout.
func soakYAML(change int) string {
	var b strings.Builder
	b.WriteString(gatewayRules + `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: soak}
spec:
  hosts: [a.test]
  gateways: [gw]
  http:
`)
	for i := range soakRules {
		timeout := 5
		if i%100 == change%100 {
			timeout = 6
		}
		fmt.Fprintf(&b, "  - {match: [{uri: {prefix: /shop/}, headers: {x-tenant: {exact: t%d}}}], timeout: %ds, route: [{destination: {host: up.test}}]}\n", i, timeout)
	}
	return b.String()
}

// soak sends requests through an Envoy whose rules change every five seconds, and returns the latency that 99.9 % stay
// below, in groups of requests before and after, with the memory after each.
func soak(t *testing.T, what string, matching envoy.Matching, module string, requests int) (p999 time.Duration) {
	b := defaultEnvoy(t)
	server, err := echo.Start()
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	ports, err := process.FreePorts(2)
	require.NoError(t, err)
	dir := t.TempDir()
	ip, port := server.Address("up")
	resources := func(change int) *envoy.Resources {
		file := filepath.Join(t.TempDir(), "rules.yaml")
		require.NoError(t, os.WriteFile(file, []byte(soakYAML(change)), 0o600))
		in := gateway.Load([]string{file}, resource.Options{}, version.All)
		require.False(t, in.Findings.HasErrors(), "%v", in.Findings)
		p, _ := translate.Plan(in.Set, translate.Options{})
		p.Listeners[0].Bind, p.Listeners[0].Port = "127.0.0.1", ports[0]
		p.Clusters = []*plan.Cluster{{Name: "outbound|80||up.test", Localities: []plan.Locality{{Endpoints: []plan.Endpoint{{Address: ip, Port: port}}}}}}
		f, err := envoy.Build(p, envoy.Options{Minor: b.Minor, Module: module, Matching: matching, AdminPort: ports[1], Dir: dir})
		require.NoError(t, err)
		return f
	}
	d := &files.Dir{Path: dir}
	require.NoError(t, d.Apply(context.Background(), resources(0)))
	bootstrap, err := os.ReadFile(filepath.Join(dir, envoy.BootstrapFile))
	require.NoError(t, err)
	p, err := process.Start(context.Background(), process.Options{Binary: b.Path, Bootstrap: bootstrap, AdminPort: ports[1], Concurrency: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()
	d.Watcher = &files.Admin{Ask: p.Admin, Limit: time.Minute}

	var sent atomic.Int64
	var failures atomic.Int64
	var mu sync.Mutex
	var latencies []time.Duration
	var load sync.WaitGroup
	const workers = 4
	for worker := range workers {
		load.Go(func() {
			c := &client{address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
			defer c.close()
			var own []time.Duration
			for i := 0; sent.Add(1) <= int64(requests); i++ {
				tenant := fmt.Sprintf("t%d", (i*7919+worker)%soakRules)
				begun := time.Now()
				got, err := c.send(request("/shop/17", map[string]string{"x-tenant": tenant}))
				own = append(own, time.Since(begun))
				if err != nil || got.status != 200 {
					failures.Add(1)
				}
			}
			mu.Lock()
			latencies = append(latencies, own...)
			mu.Unlock()
		})
	}
	var memory []int64
	stopped := make(chan struct{})
	go func() {
		load.Wait()
		close(stopped)
	}()
	changes := 0
	every := time.NewTicker(5 * time.Second)
	defer every.Stop()
	for running := true; running; {
		select {
		case <-stopped:
			running = false
		case <-every.C: // at once, where the change before took longer than that
			changes++
			require.NoError(t, d.Apply(context.Background(), resources(changes)))
			rss, err := envoytest.RSS(p)
			require.NoError(t, err)
			memory = append(memory, rss)
		}
	}
	assert.Zero(t, failures.Load(), "failed requests")
	slices.Sort(latencies)
	p999 = latencies[len(latencies)*999/1000]
	t.Logf("%s: %d requests, %d changes, p50 %s, p99 %s, p99.9 %s", what, len(latencies), changes, latencies[len(latencies)/2], latencies[len(latencies)*99/100], p999)
	if n := len(memory); n > 10 { // after warm-up
		t.Logf("memory after the tenth change %d MiB, at the end %d MiB", memory[9]>>20, memory[n-1]>>20)
		assert.Less(t, float64(memory[n-1]), 1.1*float64(memory[9]), "memory is flat after warm-up")
	}
	return p999
}

// enoughNative is how many requests tell the tail without the filter: each takes milliseconds in a list of 10,000 rules.
const enoughNative = 50_000

// TestSoak sends requests through the filter with 10,000 rules while they change, and through the same Envoy without it.
func TestSoak(t *testing.T) {
	n := soakRequests(t)
	native := soak(t, "native", envoy.MatchingNative, "", min(n, enoughNative))
	program.OnModules(t, func(t *testing.T, m program.Module) {
		filter := soak(t, m.Name+" module", envoy.MatchingFilter, m.Path, n)
		t.Logf("p99.9 with the filter is %.2f times that without", float64(filter)/float64(native))
		assert.Less(t, filter, 3*native)
	})
}
