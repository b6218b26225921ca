package space

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"waymark.dev/waymark/effect"
	"waymark.dev/waymark/plan"
)

// TestDomain holds the language of a domain's authorities against the domain that the proxy finds for them.
func TestDomain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	in := 0
	for _, name := range []string{"a.b", "*.b", "*.a.a", "*aab", "[::1]", "a", "*-a.b", "*.B"} {
		h := &plan.VirtualHost{Domains: []string{strings.ToLower(name)}}
		l := newDomain(name)
		for range 20_000 {
			var text []byte
			for range r.IntN(9) {
				text = append(text, "aaabbB.:1[]-/"[r.IntN(13)])
			}
			if r.IntN(3) == 0 {
				text = append(text, strings.TrimPrefix(name, "*")...)
			}
			if r.IntN(3) == 0 {
				text = append(text, ':', '8')
			}
			authority := string(text)
			want := effect.Domain(h, authority) != "" && !strings.Contains(authority, "/")
			if want {
				in++
			}
			if !assert.Equal(t, want, has(l, authority), "%s %q", name, authority) {
				return
			}
			state, classes := l.start(), l.classes()
			for _, b := range text {
				next := l.next(state, b)
				for other := range 256 {
					if classes[other] == classes[b] && next != l.next(state, byte(other)) {
						t.Fatalf("%s: bytes %q and %q are not one class", name, b, byte(other))
					}
				}
				if state = next; state == dead {
					break
				}
			}
		}
	}
	assert.Greater(t, in, 1_000)
}
