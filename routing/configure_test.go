package routing_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
)

// walk visits every value of a document, as a reader on top of a library would.
func walk(v gjson.Result) (values int) {
	if !v.IsObject() && !v.IsArray() {
		return 1
	}
	v.ForEach(func(_, v gjson.Result) bool {
		values += walk(v)
		return true
	})
	return values
}

// BenchmarkConfigure stands beside reading the same bytes by a library: a worker stands still meanwhile.
//
//	go test ./routing -run '^$' -bench BenchmarkConfigure
func BenchmarkConfigure(b *testing.B) {
	text := marshal(b, routingtest.Shaped("mixed").Config(10_000))
	b.Run("engine=compile", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := routing.Compile(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("engine=gjson", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if !gjson.ValidBytes(text) || walk(gjson.ParseBytes(text)) < 10_000 {
				b.Fatal("the baseline reads nothing")
			}
		}
	})
}

// allocated counts what a function allocates, whether it is still in use or not. Both numbers are counts, which vary by a
// few objects of the runtime's own, while no other test runs.
func allocated(f func()) (objects, bytes int) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.Mallocs - before.Mallocs), int(after.TotalAlloc - before.TotalAlloc)
}

// TestConfiguringAllocatesLittle: a worker stands still meanwhile, and linear memory never shrinks. It holds the number of
// objects and of bytes against the bytes that are read: nothing is made for each rule, and nothing is made twice.
func TestConfiguringAllocatesLittle(t *testing.T) {
	const n = 10_000
	text := marshal(t, routingtest.Shaped("mixed").Config(n))
	assert.LessOrEqual(t, len(text), 200*n, "bytes of configuration, for 10,000 rules")
	objects, bytes := allocated(func() {
		_, err := routing.Compile(text)
		require.NoError(t, err)
	})
	t.Logf("%d bytes, %d for each rule; %d objects and %d bytes are allocated", len(text), len(text)/n, objects, bytes)
	assert.Less(t, objects, n/20)
	assert.Less(t, bytes, 2*len(text))
}

func TestTheSameRulesGiveTheSameBytes(t *testing.T) {
	for _, name := range []string{"mixed", "regex-alone", "header-regex"} {
		s := routingtest.Shaped(name)
		require.Equal(t, marshal(t, s.Config(300)), marshal(t, s.Config(300)), name)
	}
}
