package plain

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/hostcalls"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/proxy/vm"
)

// TestTheWorstRequestsToTheModule asks the module what routing's TestTheWorstRequests asks the engine natively, whole
// requests, headers read and written: with a hundred rules, and with a hundred times as many or as the case says.
func TestTheWorstRequestsToTheModule(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		ctx := context.Background()
		for i := range routingtest.Worsts {
			w := &routingtest.Worsts[i]
			t.Run(w.Name, func(t *testing.T) {
				const few, bound, tries = 100, 3, 3
				v, err := m.New(ctx, hostcalls.Error, func(_ hostcalls.Level, line string) { t.Error(line) })
				require.NoError(t, err)
				defer func() { require.NoError(t, v.Close(ctx)) }()
				// asked makes n rules and sends the worst request to them.
				asked := func(n int) (send func()) {
					c := w.Rules(n)
					text, err := json.Marshal(c)
					require.NoError(t, err)
					root, err := v.Configure(ctx, text)
					require.NoError(t, err)
					want := ""
					if u := w.Rule(n); u >= 0 {
						want = c.VirtualHosts[0].Rules[u].Outcome
					}
					lines := linesOf(w.Request(n))
					h := make(vm.Headers, 0, len(lines)+1)
					return func() {
						h = append(h[:0], lines...)
						if id := decide(t, v, root, h); id != want {
							require.Equal(t, want, id)
						}
					}
				}
				small, large := asked(few), asked(w.Most)
				small()
				begun := time.Now()
				large()
				calls := int(min(20, 1+time.Millisecond/(1+time.Since(begun))))
				var x, y time.Duration
				for range tries {
					if x, y = routingtest.InTurns(9, calls, small, large); y < bound*x {
						break
					}
				}
				t.Logf("%d rules %v  %d rules %v  ratio %.2f  %s", few, x, w.Most, y, float64(y)/float64(x), w.Grows)
				assert.Less(t, y, 2*time.Second, "a bound for a busy machine")
				if w.Grows == "" {
					assert.Less(t, y, bound*x)
				}
			})
		}
	})
}
