package envoy

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/envoytest"
	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/xds"
)

// TestChangesThatInterruptEachOther makes changes faster than a proxy takes them: workers may have the plugin configuration of
// a change that was never taken as a whole, and find the routes of it all the same.
func TestChangesThatInterruptEachOther(t *testing.T) { onModernEnvoys(t, changesThatInterrupt) }

func changesThatInterrupt(t *testing.T, b envoytest.Binary) {
	for _, gap := range []time.Duration{60 * time.Millisecond, 160 * time.Millisecond} {
		r := startControlled(t, b)
		g := generation{matching: filterAlone}
		r.update(t, r.files(t, g))
		var over atomic.Bool
		sent, bad := 0, 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c := r.client()
			defer c.close()
			for ; !over.Load(); sent++ {
				if got, err := c.retry(request("/rule", nil)); err != nil || got.status != http.StatusOK {
					bad++
				}
			}
		}()
		var number uint64
		for range 20 {
			g.rule++
			resources := r.files(t, g)
			var err error
			number, err = r.server.Update(func(xds.Group) (*envoy.Resources, error) { return resources, nil })
			require.NoError(t, err)
			time.Sleep(gap)
		}
		require.Empty(t, r.settled(t, number).Refusals)
		over.Store(true)
		<-ended
		assert.Zero(t, bad, "of %d requests, with a change each %s", sent, gap)
	}
}
