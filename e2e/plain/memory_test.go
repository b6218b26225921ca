package plain

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/e2e/internal/program"
	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/proxy/vm"
	"waymark.dev/waymark/routing"
)

// heapStep is by how much a module has linear memory grow at least, once it is in use.
const heapStep = 768 << 10

// TestMemoryStaysFlat configures one VM 500 times, each time with other rules. The listener before goes when the next one
// stands, so there are two for a moment. As long as there are as many rules, memory stays as it is to the byte. Where their
// number goes up and down, holes that the next ones do not fit into may cost one step more.
func TestMemoryStaysFlat(t *testing.T) {
	onModules(t, func(t *testing.T, m *vm.Module) {
		for what, c := range map[string]struct {
			rules func(change int) int
			more  uint32 // bytes, after 500 changes against after ten
		}{
			"as many rules each time": {func(int) int { return 2000 }, 0},
			"more rules, and fewer":   {func(change int) int { return 1000 - 70*(change%10) }, heapStep},
		} {
			t.Run(what, func(t *testing.T) {
				v := newVM(t, m)
				ctx := context.Background()
				var old, afterTen uint32
				for change := range 501 {
					first, n := 10_000+170*change, c.rules(change)
					config, err := json.Marshal(routingtest.Shaped("mixed").From(first, n))
					require.NoError(t, err)
					next, err := v.Configure(ctx, config)
					require.NoError(t, err)
					if old != 0 {
						require.NoError(t, v.Delete(ctx, old))
					}
					old = next
					switch change {
					case 10:
						afterTen = v.MemorySize()
					case 500:
						last := first + n - 1
						sent := linesOf(routingtest.Shaped("mixed").Request(last))
						assert.Equal(t, fmt.Sprintf("k%012d", last), decide(t, v, old, sent), "the rules in force are the last ones")
					}
				}
				t.Logf("%d bytes of memory after 10 changes, %d after 500", afterTen, v.MemorySize())
				assert.LessOrEqual(t, v.MemorySize(), afterTen+c.more)
			})
		}
	})
}

// TestMemoryOfTenThousandRules bounds what a listener costs at its peak, while it is read: linear memory never shrinks. The
// aim is four times the configuration; where each rule asks for a header that no other one asks for, the standard module
// misses it.
func TestMemoryOfTenThousandRules(t *testing.T) {
	program.OnModules(t, func(t *testing.T, module program.Module) {
		const n, aim = 10_000, 4
		over := map[string]float64{"standard/same-path-header-name": 4.5}
		m := compile(t, module)
		configs := map[string]func() *routing.Config{
			"prefix and header": func() *routing.Config {
				return routingtest.List(func(*routingtest.Rulebook) (rules []routing.Rule) {
					for i := range n {
						u := routingtest.Path(routing.StringMatch{Prefix: routingtest.Text("/team-%d/service/", i)})
						u.Headers = []routing.HeaderMatch{routingtest.Header("x-version", routing.StringMatch{Exact: routingtest.Text("v%d", i%7)})}
						rules = append(rules, u)
					}
					return rules
				})
			},
		}
		for i := range routingtest.Shapes {
			s := &routingtest.Shapes[i]
			configs[s.Name] = func() *routing.Config { return s.Config(n) }
		}
		for name, config := range configs {
			t.Run(name, func(t *testing.T) {
				v := newVM(t, m)
				before := v.MemorySize()
				text, err := json.Marshal(config())
				require.NoError(t, err)
				_, err = v.Configure(context.Background(), text)
				require.NoError(t, err)
				times := float64(v.MemorySize()-before) / float64(len(text))
				t.Logf("%d bytes of configuration: memory grows from %d to %d bytes, by %.2f times the configuration; all of it is %.2f times", len(text), before, v.MemorySize(), times, float64(v.MemorySize())/float64(len(text)))
				assert.LessOrEqual(t, times, max(aim, over[module.Name+"/"+name]))
			})
		}
	})
}

// TestAChangeStallsNoLongerWithTheSmallModule configures both modules in turns with 10,000 rules of every shape, as a change
// does: the worker serves nobody meanwhile.
func TestAChangeStallsNoLongerWithTheSmallModule(t *testing.T) {
	const n, tries = 10_000, 3
	ctx := context.Background()
	var texts [][]byte
	for i := range routingtest.Shapes {
		text, err := json.Marshal(routingtest.Shapes[i].Config(n))
		require.NoError(t, err)
		texts = append(texts, text)
	}
	// changes configures a VM with one shape after the other.
	changes := func(m program.Module) func() {
		v := newVM(t, compile(t, m))
		var old uint32
		return func() {
			for _, text := range texts {
				next, err := v.Configure(ctx, text)
				require.NoError(t, err)
				if old != 0 {
					require.NoError(t, v.Delete(ctx, old))
				}
				old = next
			}
		}
	}
	modules := program.Modules(t)
	standard, small := changes(modules[0]), changes(modules[1])
	var x, y time.Duration
	for range tries {
		if x, y = routingtest.InTurns(3, 1, standard, small); y < x {
			break
		}
	}
	t.Logf("%d changes: standard %v, small %v, ratio %.2f", len(texts), x, y, float64(y)/float64(x))
	assert.Less(t, y, x)
}
