package kubernetes

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/cluster"
	"waymark.dev/waymark/e2e/internal/apiserver"
)

// replica takes part in elections.
type replica struct {
	leads, ended atomic.Bool // what runs while it leads has begun, has ended
	stop         context.CancelFunc
	done         chan error
}

func elect(t *testing.T, s *apiserver.Server, identity string, duration time.Duration, others ...*replica) *replica {
	ctx, stop := context.WithCancel(t.Context())
	r := &replica{stop: stop, done: make(chan error, 1)}
	go func() {
		r.done <- cluster.Lead(ctx, s.Admin(), cluster.Lease{Namespace: "default", Name: "waymark", Identity: identity, Duration: duration}, func(ctx context.Context) {
			for _, other := range others {
				assert.True(t, !other.leads.Load() || other.ended.Load(), "two lead")
			}
			r.ended.Store(false)
			r.leads.Store(true)
			<-ctx.Done()
			time.Sleep(300 * time.Millisecond) // what it does at the end
			r.ended.Store(true)
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-r.done)
	})
	return r
}

// One replica leads. When it ends, another one does at once, and not before the first one has finished.
func TestTheNextReplicaLeads(t *testing.T) {
	s := apiserver.Start(t)
	first := elect(t, s, "first", time.Minute)
	require.Eventually(t, first.leads.Load, 10*time.Second, 10*time.Millisecond)
	second := elect(t, s, "second", time.Minute, first)
	time.Sleep(2 * time.Second)
	require.False(t, second.leads.Load(), "the first one leads")
	first.stop()
	require.Eventually(t, second.leads.Load, 40*time.Second, 10*time.Millisecond, "the Lease was given up: it would last for a minute")
	assert.True(t, first.ended.Load())
}

// A leader that cannot renew its Lease stops leading, and leads again once it can.
func TestALeaderWithoutAnAPIServer(t *testing.T) {
	s := apiserver.Start(t)
	only := elect(t, s, "only", 4*time.Second)
	require.Eventually(t, only.leads.Load, 10*time.Second, 10*time.Millisecond)
	s.Kill(t)
	require.Eventually(t, only.ended.Load, 10*time.Second, 10*time.Millisecond)
	only.leads.Store(false)
	s.Restart(t)
	require.Eventually(t, only.leads.Load, 20*time.Second, 10*time.Millisecond)
}
