package filter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/hostcalls/hosttest"
)

// A stream gets the outcome of the root that it was made for, once, and of no other, in whatever order contexts are made,
// configured, asked for and deleted: a stream may be reset before its headers come, and a root may go before its streams.
func TestCallbacksInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same orders in every run
	routed := 0
	for round := range 60 {
		s := hosttest.New(t)
		p := New([2]uint64{1, 2})
		configured, streams := map[uint32]string{}, map[uint32]uint32{} // outcome by root; root by stream
		root := func() uint32 { return 1 + random.Uint32N(3) }
		stream := func() uint32 { return 10 + random.Uint32N(4) }
		var done strings.Builder
		for step := range 60 {
			switch random.IntN(7) {
			case 0:
				r := root()
				fmt.Fprintf(&done, "create root %d; ", r)
				p.CreateContext(r, 0)
				delete(configured, r)
			case 1:
				r, id := root(), fmt.Sprintf("k%d-%d", round, step)
				fmt.Fprintf(&done, "configure %d; ", r)
				text := strings.ReplaceAll(config, "kone", id)
				s.Level(hostcalls.Warn).Configuration(text)
				assert.True(t, p.Configure(r, uint32(len(text))))
				configured[r] = id
			case 2, 3:
				x, r := stream(), root()
				if _, known := streams[x]; known {
					continue // Envoy uses no id twice
				}
				fmt.Fprintf(&done, "create stream %d of %d; ", x, r)
				p.CreateContext(x, r)
				streams[x] = r
			case 4, 5:
				x := stream()
				fmt.Fprintf(&done, "ask %d; ", x)
				s.Headers(get("/one")...)
				if id := configured[streams[x]]; id != "" {
					s.Set("x-waymark-route", id)
					routed++
				}
				p.RequestHeaders(x)
				delete(streams, x)
			case 6:
				if x := stream(); random.IntN(4) > 0 {
					fmt.Fprintf(&done, "delete stream %d; ", x)
					p.DeleteContext(x)
					delete(streams, x)
				} else {
					r := root()
					fmt.Fprintf(&done, "delete root %d; ", r)
					p.DeleteContext(r)
					delete(configured, r)
				}
			}
			if t.Failed() {
				t.Fatal(done.String())
			}
		}
	}
	assert.Greater(t, routed, 100)
}
