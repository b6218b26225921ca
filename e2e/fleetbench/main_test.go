package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
)

// TestMain lets the test be the processes that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-role" {
		main()
		return
	}
	os.Exit(m.Run())
}

var few = options{proxies: 3, rules: 20, hosts: 5, rounds: 2, servers: []string{waymark, linear, snapshot}}

// Each server brings each proxy what the builders made, and something was sent for it.
func TestEveryServerIsMeasured(t *testing.T) {
	for _, matching := range []envoy.Matching{envoy.MatchingFilter, envoy.MatchingNative, envoy.MatchingAuto} {
		t.Run(string(matching), func(t *testing.T) {
			rows, err := fleetsOf(&few, string(matching))
			require.NoError(t, err)
			require.Len(t, rows, len(few.servers))
			for i, r := range rows {
				assert.Equal(t, few.servers[i], r.Server)
				assert.Greater(t, r.First.Bytes, r.Change.Bytes, "%s: a change is less than everything", r.Server)
				assert.Positive(t, r.Change.Bytes, r.Server)
				assert.Positive(t, r.First.Seconds, r.Server)
				assert.Less(t, r.Return.Bytes, 200.0, "%s: there is nothing new", r.Server)
				assert.Positive(t, r.Return.Wire, "%s: proxies came back", r.Server)
				assert.Positive(t, r.Heap, r.Server)
			}
		})
	}
}

// What proxies do not have is an error, and no figure.
func TestWhatIsMissingIsAnError(t *testing.T) {
	book, err := newRulebook(few.rules, few.hosts)
	require.NoError(t, err)
	_, r, err := build(book.input(), envoy.MatchingFilter)
	require.NoError(t, err)
	key := r.OfType(envoy.HostType)[0].Key
	for name, spoil := range map[string]func(sums){
		"another content":         func(s sums) { s[key]++ },
		"a resource that is gone": func(s sums) { s[envoy.Key{Type: envoy.ClusterType, Name: "nowhere"}] = 1 },
		"nothing is expected":     func(s sums) { clear(s) },
	} {
		t.Run(name, func(t *testing.T) {
			want, err := sumsOf(r)
			require.NoError(t, err)
			spoil(want)
			f, err := launch(&few, waymark, string(envoy.MatchingFilter), want)
			require.NoError(t, err)
			_, err = f.connect()
			require.NoError(t, err)
			_, err = f.proxies.ask(command{Op: "await", Seconds: 1})
			assert.ErrorContains(t, err, "0 of 3 proxies have what they are to have")
			assert.NoError(t, f.end())
		})
	}
}

// A server that has gone is an error, too.
func TestAServerThatIsGoneIsAnError(t *testing.T) {
	want := sums{{Type: envoy.ClusterType, Name: "nowhere"}: 1}
	f, err := launch(&few, waymark, string(envoy.MatchingNative), want)
	require.NoError(t, err)
	_, err = f.connect()
	require.NoError(t, err)
	require.NoError(t, f.server.end())
	f.server = nil
	_, err = f.proxies.ask(command{Op: "await", Seconds: 60})
	assert.ErrorContains(t, err, "edge-")
	assert.NoError(t, f.end())
}
