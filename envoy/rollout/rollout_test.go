package rollout_test

import (
	"context"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/rollout"
)

// watcher remembers what it was told.
type watcher map[rollout.File]bool

func (w watcher) Before(_ context.Context, _ rollout.Step, files []rollout.File) error {
	for _, f := range files {
		w[f] = true
	}
	return nil
}

func (watcher) Taken(context.Context, rollout.Step, []rollout.File) error { return nil }

// The name of a file is a shortened form of what it holds; what Envoy is asked about is the whole name.
func TestLongNamesReachTheWatcherWhole(t *testing.T) {
	name := "https.443." + strings.Repeat("p", 63) + "." + strings.Repeat("g", 63) + "." + strings.Repeat("n", 63)
	w := watcher{}
	d := &rollout.Dir{Path: t.TempDir(), Watcher: w}
	require.NoError(t, d.Apply(t.Context(), &envoy.Files{
		Bootstrap: &bootstrapv3.Bootstrap{},
		Routes:    map[string]*routev3.RouteConfiguration{"routes/short.json": {Name: name}},
		Plugins:   map[string]*corev3.TypedExtensionConfig{"plugins/short.json": {Name: "waymark." + name}},
	}))
	assert.Equal(t, watcher{
		{Path: "routes/short.json", Name: name}: true, {Path: "plugins/short.json", Name: "waymark." + name}: true,
		{Path: envoy.ListenersFile}: true, {Path: envoy.ClustersFile}: true, {Path: envoy.BootstrapFile}: true,
	}, w)
}

// Taken comes back when the counter of that very name has moved.
func TestAdminWaitsForLongNames(t *testing.T) {
	name := strings.Repeat("n", 120)
	taken := "0"
	asked := 0
	a := &rollout.Admin{Ask: func(context.Context, string) (string, error) {
		if asked++; asked == 3 {
			taken = "1"
		}
		return "extension_config_discovery.http_filter." + name + ".update_attempt: 1\n" +
			"extension_config_discovery.http_filter." + name + ".config_reload: " + taken + "\n", nil
	}}
	files := []rollout.File{{Path: "plugins/short.json", Name: name}}
	require.NoError(t, a.Before(t.Context(), rollout.Plugins, files))
	require.NoError(t, a.Taken(t.Context(), rollout.Plugins, files))
	assert.GreaterOrEqual(t, asked, 3)
}
