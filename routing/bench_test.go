package routing_test

import (
	"fmt"
	"testing"

	"waymark.dev/waymark/internal/routingtest"
	"waymark.dev/waymark/routing"
	"waymark.dev/waymark/routing/regex"
)

// hit is the rule that a request meets, of n.
var hits = []struct {
	name string
	of   func(n int) int
}{{"first", func(int) int { return 0 }}, {"last", func(n int) int { return n - 1 }}, {"none", func(n int) int { return n }}}

// BenchmarkDecide stands beside the plain list, which is the baseline.
//
//	go test ./routing -run '^$' -bench 'BenchmarkDecide/shape=prefix/'
func BenchmarkDecide(b *testing.B) {
	for i := range routingtest.Shapes {
		s := &routingtest.Shapes[i]
		for _, n := range []int{10, 1000, 10_000} {
			c := s.Config(n)
			table, plain := compile(b, c), routingtest.NewPlain(c, regex.Latin1)
			for _, hit := range hits {
				r := s.Request(hit.of(n))
				name := fmt.Sprintf("shape=%s/rules=%d/hit=%s", s.Name, n, hit.name)
				b.Run(name+"/engine=index", func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						table.Decide(r, routing.Dice{})
					}
				})
				b.Run(name+"/engine=list", func(b *testing.B) {
					for b.Loop() {
						plain.Decide(r)
					}
				})
			}
		}
	}
}
