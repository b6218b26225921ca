package kubernetes

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects of every kind reach Envoys of three versions and answer requests, and so do changes of them. Envoy 1.36 gets its
// virtual hosts with its routes, the others one by one.
func TestObjectsReachEnvoys(t *testing.T) {
	f := startFleet(t, 3)
	s := f.serve(t, "only")
	for i, version := range []string{"1.36.4", "1.39.3", "1.40.0"} {
		f.join(t, i, version, s.xds)
	}
	f.arrives(t, generation{}, f.members...)
	for _, g := range []generation{{rule: 1}, {rule: 1, endpoint: 1}, {2, 1, 1, 0}, {2, 1, 1, 1}, {3, 2, 2, 2}} {
		f.write(t, g)
		f.arrives(t, g, f.members...)
	}
	s.Eventually(t, "all in sync", func() bool { return s.status(t).Proxies.InSync == 3 })
	assert.Contains(t, s.text(t), "taken by 3 of 3 proxies")
	for i, singly := range []bool{false, true, true} {
		dump, err := f.members[i].envoy.Admin(context.Background(), "/config_dump?resource=dynamic_route_configs")
		require.NoError(t, err)
		assert.Equal(t, singly, strings.Contains(dump, `"vhds"`), f.members[i].name)
	}
}

// condition is the message of one of Waymark's conditions of the VirtualService.
func (f *aFleet) condition(t *testing.T, name, of string) string {
	o, err := virtualServices(t, f.Admin()).Get(t.Context(), of, meta.GetOptions{})
	require.NoError(t, err)
	for _, c := range conditions(o) {
		if message, ok := strings.CutPrefix(c, "waymark.dev/"+name+" "); ok {
			return message
		}
	}
	return ""
}

// An Envoy that is stopped misses a change, and takes it when it goes on. The other one does not wait for it. Meanwhile the
// control plane and the status of the object tell that it waits, until its connection counts as lost.
func TestAnEnvoyThatIsStopped(t *testing.T) {
	f := startFleet(t, 2)
	s := f.serve(t, "only")
	f.join(t, 0, "1.39.3", s.xds)
	f.join(t, 1, "1.40.0", s.xds)
	f.arrives(t, generation{}, f.members...)
	s.Eventually(t, "the status says so", func() bool { return strings.Contains(f.condition(t, "Programmed", "a"), "True taken by every proxy") })

	stopped := f.members[1].envoy.PID()
	require.NoError(t, syscall.Kill(stopped, syscall.SIGSTOP)) // ours, by its id
	t.Cleanup(func() { _ = syscall.Kill(stopped, syscall.SIGCONT) })
	g := generation{rule: 1, destination: 1}
	f.write(t, g)
	f.arrives(t, g, f.members[0])
	s.Eventually(t, "it waits", func() bool { return strings.Contains(s.text(t), "waiting for ") })
	s.Eventually(t, "the other one does not", func() bool { return strings.Contains(s.text(t), "taken by 1 of 2 proxies") })
	s.Eventually(t, "the status says so", func() bool {
		return strings.Contains(f.condition(t, "Programmed", "a"), "Unknown taken by 1 of 2 proxies")
	})
	s.Eventually(t, "its connection counts as lost", func() bool { return s.status(t).Proxies.Connected == 1 })
	s.Eventually(t, "the status says so", func() bool { return strings.Contains(f.condition(t, "Programmed", "a"), "True taken by every proxy") })

	require.NoError(t, syscall.Kill(stopped, syscall.SIGCONT)) // as above
	f.arrives(t, g, f.members[1])
	s.Eventually(t, "it is back", func() bool { return s.status(t).Proxies.InSync == 2 })
}

// changes is how many go under load.
const changes = 200

// Rules, endpoints, destinations and certificates change 200 times under a constant load, in Envoys that match by the filter,
// by a tree and by a list: of at least 100,000 requests none fails, and none is answered by what was over before it was sent,
// or by what was never written.
func TestChangesUnderLoadThroughKubernetes(t *testing.T) {
	f := startFleet(t, 3)
	strategies := []string{"filter", "auto", "native"}
	for i, matching := range strategies {
		s := f.serve(t, matching, "--matching", matching)
		f.join(t, i, "1.40.0", s.xds)
	}
	begun := time.Now()
	load := f.press(t, f.members...)
	for i, strategy := range []string{"filter", "tree", "list"} {
		assert.Equal(t, strategy, f.members[i].strategy(t))
	}
	var g generation
	for i := range changes {
		switch i % 4 {
		case 0:
			g.rule++
		case 1:
			g.endpoint++
		case 2:
			g.destination++
			g.rule++
		case 3:
			g.certificate++
		}
		load.roll(t, g)
	}
	took := time.Since(begun)
	require.Eventually(t, func() bool { return load.total() >= 100_000 }, 5*time.Minute, 100*time.Millisecond)
	load.end(t)
	t.Logf("%d changes in %s; %d requests through the filter, %d through a tree, %d through a list", changes, took.Round(time.Second), load.sent[0].Load(), load.sent[1].Load(), load.sent[2].Load())
}

// strategy is how an Envoy matches: read out of what it has.
func (m *member) strategy(t *testing.T) string {
	dump, err := m.envoy.Admin(context.Background(), "/config_dump")
	require.NoError(t, err)
	switch {
	case strings.Contains(dump, "HttpRequestHeaderMatchInput") && strings.Contains(dump, `"header_name": "x-waymark-route"`):
		return "filter"
	case strings.Contains(dump, `"matcher_tree"`):
		return "tree"
	default:
		return "list"
	}
}

// A rule is changed as soon as an API server is back that was killed. Until then, and meanwhile, Envoys serve what they have;
// then they get the change. No request fails.
func TestARuleChangesWhileTheAPIServerRestarts(t *testing.T) {
	f := startFleet(t, 2)
	s := f.serve(t, "only")
	f.join(t, 0, "1.36.4", s.xds)
	f.join(t, 1, "1.40.0", s.xds)
	load := f.press(t, f.members...)
	var g generation
	for range 2 {
		g.rule++
		load.roll(t, g)
		g.rule++
		g.destination++
		load.write(t, g)
		f.Kill(t) // in the middle of it, or before anybody knows of it
		g.rule++
		g.endpoint++
		next := g
		load.begun.Store(&next)
		written := make(chan error, 1)
		go func() { written <- f.soon(t, f.endpoint(t, next.endpoint), f.rule(next)) }()
		time.Sleep(time.Second)
		require.Empty(t, written, "nobody takes it")
		f.Restart(t)
		require.NoError(t, <-written)
		f.written = &next
		load.settle(t)
		s.Eventually(t, "all in sync", func() bool { return s.status(t).Proxies.InSync == 2 })
	}
	load.end(t)
	t.Logf("%d requests", load.total())
}

// soon writes objects as soon as the API server takes them.
func (f *aFleet) soon(t *testing.T, texts ...string) (err error) {
	for _, text := range texts {
		for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(10 * time.Millisecond) {
			if err = f.put(t.Context(), text); err == nil {
				break
			}
		}
	}
	return err
}

// A control plane that starts again, and finds nothing new, sends Envoys nothing. With a folder of what they were given, it
// knows as well what they still have of before a change, which goes with the next one; without, that would go at once.
func TestNothingIsNewAfterARestart(t *testing.T) {
	f := startFleet(t, 2)
	for name, changes := range map[string]int{"without a folder": 0, "with a folder": 2} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if changes > 0 {
				args = []string{"--state-dir", t.TempDir()}
			}
			s := f.serve(t, "only", args...)
			f.join(t, 0, "1.36.4", s.xds)
			f.join(t, 1, "1.40.0", s.xds)
			f.arrives(t, *f.written, f.members...)
			g := *f.written
			for range changes {
				g.rule, g.destination = g.rule+1, g.destination+1
				f.write(t, g)
				f.arrives(t, g, f.members...)
			}
			inSync := func() bool { return s.status(t).Proxies.InSync == 2 }
			s.Eventually(t, "all in sync", inSync)
			updates := func() (out []string) {
				for _, m := range f.members {
					text, err := m.envoy.Admin(context.Background(), "/stats?filter=^(cluster.outbound|cluster_manager|listener_manager|http|extension|sds).*(config_reload|update_success|update_rejected|listener_manager.listener_(added|modified)|cluster_manager.cluster_(added|modified))$")
					require.NoError(t, err)
					out = append(out, text)
				}
				return out
			}
			before := updates()
			require.NoError(t, s.Cmd.Process.Kill())
			require.Error(t, s.Cmd.Wait(), "it was killed")
			s.start(t)
			s.Eventually(t, "it serves", func() bool { return strings.Contains(s.Output(), "given to proxies") && inSync() })
			assert.Equal(t, before, updates())
			g.rule++
			f.write(t, g)
			f.arrives(t, g, f.members...)
			assert.NotEqual(t, before, updates())
		})
	}
}
