package envoy

import (
	"context"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/xds"
)

// startControlled is an Envoy that gets what changes over ADS.
func startControlled(t *testing.T, b envoytest.Binary) *rolling {
	r := startRolling(t, b)
	r.socket = filepath.Join(r.dir, "xds.sock")
	r.serve(t, xds.Options{})
	return r
}

// serve starts the control plane; the end of the test ends it.
func (r *rolling) serve(t *testing.T, o xds.Options) *grpc.Server {
	socket, err := net.Listen("unix", r.socket)
	require.NoError(t, err)
	r.server = xds.New(o)
	g := r.server.GRPC()
	go func() { _ = g.Serve(socket) }()
	t.Cleanup(g.Stop)
	return g
}

// update gives Envoy resources, starts it where it does not run, and waits until it has taken them.
func (r *rolling) update(t *testing.T, resources *envoy.Resources) {
	number, err := r.server.Update(func(xds.Group) (*envoy.Resources, error) { return resources, nil })
	require.NoError(t, err)
	if r.envoy == nil {
		r.startOn(t)
	}
	s := r.settled(t, number)
	require.Empty(t, s.Refusals)
}

func (r *rolling) startOn(t *testing.T) {
	bootstrap, err := envoy.ControlledBootstrap(r.options())
	require.NoError(t, err)
	text, err := envoy.JSON(bootstrap)
	require.NoError(t, err)
	r.envoy, err = process.Start(context.Background(), process.Options{Binary: r.binary.Path, Bootstrap: text, AdminPort: r.admin, Concurrency: 2})
	require.NoError(t, err)
	p := r.envoy
	t.Cleanup(func() { _ = p.Stop() }) // it may have been killed
}

// settled waits until a configuration is taken or refused.
func (r *rolling) settled(t *testing.T, number uint64) xds.Status {
	limit := time.After(30 * time.Second)
	for {
		changed := r.server.Changed()
		for _, s := range r.server.Status() {
			if s.Number == number && (s.InSync || len(s.Refusals) > 0) {
				return s
			}
		}
		select {
		case <-changed:
		case <-limit:
			require.Fail(t, "not settled", "%+v", r.server.Status())
		}
	}
}

// TestChangesUnderLoadOverADS makes 200 changes of rules, endpoints, destinations and certificates under a constant load, each
// once the proxy has taken the one before: no request fails, and none is answered by what was over before it was sent, or by
// what was never rolled out.
func TestChangesUnderLoadOverADS(t *testing.T) { onModernEnvoys(t, changesUnderLoadOverADS) }

func changesUnderLoadOverADS(t *testing.T, b envoytest.Binary) {
	for _, way := range []envoy.Matching{filterAlone, treesAlone, listsAlone} {
		t.Run(string(way), func(t *testing.T) {
			r := startControlled(t, b)
			g := generation{matching: way}
			load := r.press(t, g, "/rule", "/stable", "/endpoint", "/split")
			for i := range changes / 2 {
				switch i % 4 {
				case 0:
					g.rule++
				case 1:
					g.endpoint++
				case 2:
					g.destination++
				case 3:
					g.certificate++
				}
				load.roll(t, g)
			}
			load.end(t)
			t.Logf("%d requests", load.sent.Load())
		})
	}
}

// TestWaysChangeUnderLoadOverADS is TestWaysChangeUnderLoad over ADS.
func TestWaysChangeUnderLoadOverADS(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		r := startControlled(t, b)
		changeWays(t, r)
	})
}

// TestKilledWhileItChangesOverADS kills Envoy at random moments of changes. Each time it starts again, and serves rules of
// before or after.
func TestKilledWhileItChangesOverADS(t *testing.T) {
	r := startControlled(t, defaultEnvoy(t))
	var g generation
	r.apply(t, g)
	dice := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		next := generation{rule: g.rule + 1, endpoint: g.endpoint + 1, destination: g.destination + 1, certificate: g.certificate + 1}
		after := time.Duration(dice.IntN(600)) * time.Millisecond
		resources := r.files(t, next)
		number, err := r.server.Update(func(xds.Group) (*envoy.Resources, error) { return resources, nil })
		require.NoError(t, err)
		time.Sleep(after)
		require.NoError(t, syscall.Kill(r.envoy.PID(), syscall.SIGKILL)) // ours, by its id
		<-r.envoy.Done()
		r.startOn(t)
		c := r.client()
		for _, path := range []string{"/rule", "/stable", "/endpoint", "/split/1"} {
			got, err := c.retry(request(path, nil))
			assert.Empty(t, judge(path, got, err, g, next), "killed after %s", after)
		}
		c.close()
		require.Empty(t, r.settled(t, number).Refusals)
		c = r.client()
		got, err := c.retry(request("/rule", nil))
		assert.Empty(t, judge("/rule", got, err, next, next))
		c.close()
		g = next
	}
}

// TestRefusedChangesOverADS makes changes that Envoy refuses, in each kind of step. What was taken of it by then, or what was
// there before, goes on being served, also by an Envoy that starts meanwhile, and the next change is taken whole.
func TestRefusedChangesOverADS(t *testing.T) {
	onModernEnvoys(t, func(t *testing.T, b envoytest.Binary) {
		r := startControlled(t, b)
		g := generation{}
		r.apply(t, g)
		serves := func(t *testing.T, from, to generation) {
			c := r.client()
			defer c.close()
			for _, path := range []string{"/rule", "/stable", "/split/1"} {
				got, err := c.retry(request(path, nil))
				assert.Empty(t, judge(path, got, err, from, to))
			}
		}
		envoys := t
		for kind, change := range spoil {
			t.Run(kind, func(t *testing.T) {
				next := generation{rule: g.rule + 1, endpoint: g.endpoint + 1, destination: g.destination + 1, certificate: g.certificate + 1}
				bad := r.files(t, next)
				change(t, bad)
				number, err := r.server.Update(func(xds.Group) (*envoy.Resources, error) { return bad, nil })
				require.NoError(t, err)
				s := r.settled(t, number)
				require.NotEmpty(t, s.Refusals)
				t.Logf("%s: %s", s.Refusals[0].Names, s.Refusals[0].Message)
				in := g // in force
				if kind == "listeners" {
					in = next // they are the last step
				}
				serves(t, in, in)

				require.NoError(t, syscall.Kill(r.envoy.PID(), syscall.SIGKILL)) // ours, by its id
				<-r.envoy.Done()
				r.startOn(envoys)
				serves(t, g, in)
				r.apply(t, next)
				serves(t, next, next)
				g = next
			})
		}
	})
}

// TestControlPlaneRestarts ends the control plane, and starts another one: an Envoy that has everything gets nothing, and a
// change is taken by one that lost its control plane in the middle of another.
func TestControlPlaneRestarts(t *testing.T) {
	r := startRolling(t, defaultEnvoy(t))
	r.socket = filepath.Join(r.dir, "xds.sock")
	options := xds.Options{Dir: filepath.Join(r.dir, "state")}
	first := r.serve(t, options)
	g := generation{}
	load := r.press(t, g, "/rule", "/stable", "/split")
	reloads := func() string {
		text, err := r.envoy.Admin(context.Background(), "/stats?filter=config_reload$|lds.update_success|cds.update_success")
		require.NoError(t, err)
		return text
	}
	for i := range 5 {
		g.rule++
		load.roll(t, g)
		before := reloads()
		first.Stop()
		first = r.serve(t, options)
		resources := r.files(t, g)
		number, err := r.server.Update(func(xds.Group) (*envoy.Resources, error) { return resources, nil })
		require.NoError(t, err)
		require.Empty(t, r.settled(t, number).Refusals)
		assert.Equal(t, before, reloads(), "nothing is new")

		g.rule++
		g.destination++
		load.begun.Store(&g)
		next := r.files(t, g)
		_, err = r.server.Update(func(xds.Group) (*envoy.Resources, error) { return next, nil })
		require.NoError(t, err)
		time.Sleep(time.Duration(i*70) * time.Millisecond) // in the middle
		first.Stop()
		first = r.serve(t, options)
		g.rule++
		load.roll(t, g)
	}
	load.end(t)
}
