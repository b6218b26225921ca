package hostcalls

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func collect(t *testing.T, data []byte) [][2]string {
	p, ok := ParsePairs(data)
	require.True(t, ok)
	var out [][2]string
	for {
		name, value, ok := p.Next()
		if !ok {
			return out
		}
		out = append(out, [2]string{name, value})
	}
}

func TestPairsComeBackAsTheyWereWritten(t *testing.T) {
	for name, headers := range map[string][][2]string{
		"none":          nil,
		"one":           {{":path", "/a"}},
		"empty parts":   {{"", ""}, {"x", ""}, {"", "y"}},
		"zero bytes":    {{"a\x00b", "\x00"}},
		"invalid UTF-8": {{"x", "\xff\xfe"}},
		"a long value":  {{"x", strings.Repeat("v", 60<<10)}, {"y", "z"}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, headers, collect(t, AppendPairs(nil, headers)))
		})
	}
}

func TestBytesThatAreNoPairsAreRefused(t *testing.T) {
	good := AppendPairs(nil, [][2]string{{"a", "b"}, {"c", "d"}})
	for name, data := range map[string][]byte{
		"cut at the end":        good[:len(good)-1],
		"a byte too many":       append(append([]byte{}, good...), 0),
		"half a count":          good[:3],
		"a count beyond it":     {0xff, 0xff, 0xff, 0xff},
		"a length beyond it":    {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0},
		"lengths that overflow": {2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := ParsePairs(data)
			assert.False(t, ok)
		})
	}
	_, ok := ParsePairs(nil)
	assert.True(t, ok, "no bytes are no pairs")
}

func FuzzParsePairs(f *testing.F) {
	f.Add(AppendPairs(nil, [][2]string{{":path", "/"}, {"x", ""}}))
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, ok := ParsePairs(data)
		if !ok {
			return
		}
		var headers [][2]string
		for {
			name, value, ok := p.Next()
			if !ok {
				break
			}
			headers = append(headers, [2]string{name, value})
		}
		if len(data) > 0 && string(AppendPairs(nil, headers)) != string(mask(data)) {
			t.Errorf("%x comes back as %x", data, AppendPairs(nil, headers))
		}
	})
}

// mask sets the separators, which nobody reads, to zero.
func mask(data []byte) []byte {
	out := append([]byte{}, data...)
	p, _ := ParsePairs(data)
	sizes := 4
	at := sizes + 8*p.left
	for range p.left {
		n, v := int(uint32At(data[sizes:])), int(uint32At(data[sizes+4:]))
		sizes += 8
		out[at+n], out[at+n+1+v] = 0, 0
		at += n + v + 2
	}
	return out
}

func TestAllocate(t *testing.T) {
	Reset()
	a, b := Allocate(10), Allocate(20)
	a[9], b[0] = 1, 2
	assert.Equal(t, byte(1), a[9], "pieces do not overlap")
	assert.Len(t, Allocate(0), 0, "a size of 0 is allowed")
	assert.Len(t, Allocate(arenaLimit+1), arenaLimit+1, "a piece beyond the arena gets memory of its own")

	Reset()
	first := Allocate(8)
	Reset()
	assert.Same(t, &first[0], &Allocate(8)[0], "the arena is used again")

	Reset()
	old := Allocate(100)
	copy(old, "still here")
	Allocate(arenaLimit / 2) // grows the arena
	assert.Equal(t, "still here", string(old[:10]), "what was handed out stays")
	assert.LessOrEqual(t, len(shared.arena), arenaLimit)
	assert.Zero(t, testing.AllocsPerRun(100, func() { Reset(); Allocate(1000) }))
}
