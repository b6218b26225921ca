package files_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
)

// knowing is an Envoy that has taken all that is there.
type knowing struct{}

func (knowing) Lacking(context.Context, []files.File) ([]string, bool, error) { return nil, true, nil }

// watcher remembers what it was told, without versions.
type watcher map[files.File]bool

func (watcher) Lacking(context.Context, []files.File) ([]string, bool, error) { return nil, true, nil }

func (w watcher) Before(_ context.Context, _ envoy.StepKind, replaced []files.File) error {
	for _, f := range replaced {
		f.Version = ""
		w[f] = true
	}
	return nil
}

func (watcher) Taken(context.Context, envoy.StepKind, []files.File) error { return nil }

// resources are a configuration of some messages.
func resources(messages ...proto.Message) *envoy.Resources {
	r := &envoy.Resources{Bootstrap: &bootstrapv3.Bootstrap{}}
	r.Set(messages...)
	return r
}

// The name of a file is a shortened form of its resource's; what Envoy is asked about is the whole name.
func TestLongNamesReachTheWatcherWhole(t *testing.T) {
	name := "https.443." + strings.Repeat("p", 63) + "." + strings.Repeat("g", 63) + "." + strings.Repeat("n", 63)
	routes, plugin := envoy.Key{Type: envoy.RouteType, Name: name}, envoy.Key{Type: envoy.ExtensionType, Name: "waymark." + name}
	w := watcher{}
	d := &files.Dir{Path: t.TempDir(), Watcher: w}
	require.NoError(t, d.Apply(t.Context(), resources(&routev3.RouteConfiguration{Name: name}, &corev3.TypedExtensionConfig{Name: plugin.Name})))
	assert.Equal(t, watcher{
		{Path: envoy.Path(routes), Key: routes}: true, {Path: envoy.Path(plugin), Key: plugin}: true,
		{Path: envoy.ListenersFile, Key: envoy.Key{Type: envoy.ListenerType}}: true, {Path: envoy.ClustersFile, Key: envoy.Key{Type: envoy.ClusterType}}: true,
		{Path: envoy.BootstrapFile}: true,
	}, w)
}

// Taken comes back when Envoy has the version under that very name.
func TestAdminWaitsForLongNames(t *testing.T) {
	name := strings.Repeat("n", 120)
	taken := "old"
	asked := 0
	a := &files.Admin{Ask: func(context.Context, string) (string, error) {
		if asked++; asked == 3 {
			taken = "new"
		}
		return "extension_config_discovery.http_filter." + name + ".update_attempt: 1\n" +
			"extension_config_discovery.http_filter." + name + `.version_text: "` + taken + "\"\n", nil
	}}
	replaced := []files.File{{Path: "plugins/short.json", Key: envoy.Key{Type: envoy.ExtensionType, Name: name}, Version: "new"}}
	require.NoError(t, a.Before(t.Context(), envoy.Plugins, replaced))
	require.NoError(t, a.Taken(t.Context(), envoy.Plugins, replaced))
	assert.GreaterOrEqual(t, asked, 3)
}

// refusing is an Envoy that refuses one kind of step, the nth time it comes.
type refusing struct {
	knowing
	step envoy.StepKind
	nth  int
	kind error
}

func (*refusing) Before(context.Context, envoy.StepKind, []files.File) error { return nil }

func (w *refusing) Taken(_ context.Context, step envoy.StepKind, taken []files.File) error {
	if step != w.step {
		return nil
	}
	if w.nth--; w.nth != 0 {
		return nil
	}
	return w.kind
}

// generation is a configuration in which every file is another one than in the generations before.
func generation(n int) *envoy.Resources {
	name := func(kind string) string { return fmt.Sprintf("%s-%d", kind, n) }
	r := resources(
		&listenerv3.Listener{Name: name("listener")},
		&clusterv3.Cluster{Name: name("cluster")},
		&routev3.RouteConfiguration{Name: "a", VirtualHosts: []*routev3.VirtualHost{{Name: name("host"), Domains: []string{name("domain")}}}},
		&routev3.RouteConfiguration{Name: name("new")},
		&endpointv3.ClusterLoadAssignment{ClusterName: "a", Endpoints: []*endpointv3.LocalityLbEndpoints{{Priority: uint32(n)}}},
		&corev3.TypedExtensionConfig{Name: "a", TypedConfig: &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Duration", Value: []byte{8, byte(n)}}},
		&tlsv3.Secret{Name: "a", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{PrivateKey: inline(name("key"))}}},
	)
	r.Bootstrap.Node = &corev3.Node{Id: name("node")}
	return r
}

func inline(text string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
}

// file is the path of a resource.
func file(t envoy.Type, name string) string { return envoy.Path(envoy.Key{Type: t, Name: name}) }

// tree is what a folder holds.
func tree(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	}))
	return out
}

// Whatever Envoy refuses, and wherever a change ends, the folder holds what it held before; the next change is taken.
func TestWhatIsRefusedIsPutBack(t *testing.T) {
	for _, step := range []envoy.StepKind{envoy.Certificates, envoy.Endpoints, envoy.Clusters, envoy.Routes, envoy.Plugins, envoy.Listeners, envoy.Cleanup} {
		for what, kind := range map[string]error{"refused": &files.RefusedError{File: "x"}, "ended": errors.New("envoy ended")} {
			for nth := range 2 {
				t.Run(fmt.Sprintf("%s %s %d", step, what, nth+1), func(t *testing.T) {
					t.Parallel() // each waits for the disk
					dir := t.TempDir()
					require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
					before := tree(t, dir)
					d := &files.Dir{Path: dir, Watcher: &refusing{step: step, nth: nth + 1, kind: kind}}
					err := d.Apply(t.Context(), generation(2))
					if nth == 1 && step != envoy.Cleanup { // it comes once
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, kind)
					assert.Equal(t, before, tree(t, dir))

					d.Watcher = watcher{}
					require.NoError(t, d.Apply(t.Context(), generation(3)))
					want := t.TempDir()
					require.NoError(t, (&files.Dir{Path: want}).Apply(t.Context(), generation(3)))
					assert.Equal(t, tree(t, want), tree(t, dir), "nothing of what was refused is merged")
				})
			}
		}
	}
}

// refusesPlugins is an Envoy that runs, and that refuses the plugin configuration.
type refusesPlugins struct{ steps }

func (*refusesPlugins) Taken(_ context.Context, step envoy.StepKind, _ []files.File) error {
	if step == envoy.Plugins {
		return &files.RefusedError{File: "x"}
	}
	return nil
}

// On the way back from what Envoy has refused, it is waited for in reverse order, so that each step back works, too.
func TestEnvoyIsWaitedForOnTheWayBack(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	w := &refusesPlugins{}
	require.Error(t, (&files.Dir{Path: dir, Watcher: w}).Apply(t.Context(), generation(2)))
	var kinds []string
	for _, step := range w.steps {
		kind, _, _ := strings.Cut(step, ":")
		kinds = append(kinds, kind)
	}
	assert.Equal(t, []string{"certificates", "endpoints", "clusters", "routes", "plugin configuration", "routes", "clusters", "endpoints", "certificates"}, slices.Compact(kinds))
}

// Where no Envoy watches, files that were left over are not merged with, whatever is in them, and each is written once.
func TestNothingIsMergedWhereNobodyWatches(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, file(envoy.RouteType, "a")), []byte("half"), 0o600))
	var changed []string
	require.NoError(t, (&files.Dir{Path: dir, Changed: func(path string) { changed = append(changed, path) }}).Apply(t.Context(), generation(2)))
	slices.Sort(changed)
	assert.Len(t, changed, 9)
	assert.Equal(t, slices.Compact(slices.Clone(changed)), changed)
	assert.NotContains(t, tree(t, dir)[file(envoy.RouteType, "a")], "domain-1")
	assert.NotContains(t, tree(t, dir)[envoy.ClustersFile], "cluster-1")
}

// Files that somebody else put into the folder stay, under whatever name; those of Waymark go when nothing names them,
// also what an end in the middle left behind.
func TestOnlyOwnFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	secret := func(name string) string { return file(envoy.SecretType, name) }
	with := func(names ...string) *envoy.Resources {
		r := resources()
		for _, name := range names {
			r.Set(&tlsv3.Secret{Name: name})
		}
		return r
	}
	d := &files.Dir{Path: dir}
	require.NoError(t, d.Apply(t.Context(), with("kept", "gone")))
	foreign := map[string]string{
		"mine.json": `{}`, "routes/mine.json": `{}`, "secrets/tls.json": `{"resources":[{"name":"tls"}]}`,
		"endpoints/web.0a0a0a0a.json": `{"resources":[{"cluster_name":"web"}]}`, "secrets/a.0a0a0a0a.json": "no JSON", "secrets/.tls.json.new": "",
		"plugins/deeper/a.0a0a0a0a.json": `{"resources":[{"name":"a"}]}`,
	}
	for name, text := range foreign {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	unfinished := filepath.Join(dir, "secrets", "."+filepath.Base(secret("gone"))+".new")
	require.NoError(t, os.WriteFile(unfinished, []byte("half"), 0o600))
	require.NoError(t, d.Apply(t.Context(), with("kept")))
	got := tree(t, dir)
	for name, text := range foreign {
		assert.Equal(t, text, got[name], name)
	}
	assert.Contains(t, got, secret("kept"))
	assert.NotContains(t, got, secret("gone"))
	assert.NoFileExists(t, unfinished)
}

// steps remembers in which order files are replaced.
type steps []string

func (*steps) Lacking(context.Context, []files.File) ([]string, bool, error) { return nil, true, nil }

func (s *steps) Before(_ context.Context, step envoy.StepKind, replaced []files.File) error {
	for _, f := range replaced {
		*s = append(*s, string(step)+": "+f.Path)
	}
	return nil
}

func (*steps) Taken(context.Context, envoy.StepKind, []files.File) error { return nil }

// Files are replaced in the order of the sequence, those of listeners and clusters as a whole; where nothing changes, none is.
func TestFilesFollowTheSequence(t *testing.T) {
	dir, s := t.TempDir(), &steps{}
	d := &files.Dir{Path: dir, Watcher: s}
	apply := func(r *envoy.Resources) []string {
		*s = nil
		require.NoError(t, d.Apply(t.Context(), r))
		return *s
	}
	a, first, second := file(envoy.RouteType, "a"), file(envoy.RouteType, "new-1"), file(envoy.RouteType, "new-2")
	assert.Equal(t, []string{
		"certificates: " + file(envoy.SecretType, "a"), "endpoints: " + file(envoy.EndpointType, "a"), "clusters: clusters.json", "routes: " + a, "routes: " + first,
		"plugin configuration: " + file(envoy.ExtensionType, "a"), "listeners: listeners.json", "bootstrap: bootstrap.json",
	}, apply(generation(1)))
	assert.Empty(t, apply(generation(1)))
	assert.Equal(t, []string{
		"certificates: " + file(envoy.SecretType, "a"), "endpoints: " + file(envoy.EndpointType, "a"), "clusters: clusters.json", "routes: " + a, "routes: " + second,
		"plugin configuration: " + file(envoy.ExtensionType, "a"), "listeners: listeners.json", "what nothing needs any more: listeners.json",
		"what nothing needs any more: " + a, "what nothing needs any more: clusters.json", "bootstrap: bootstrap.json",
	}, apply(generation(2)))
	assert.Equal(t, []string{"what nothing needs any more: listeners.json", "what nothing needs any more: clusters.json", "bootstrap: bootstrap.json"}, apply(resources()), "nothing is left")
	require.NoError(t, os.Remove(filepath.Join(dir, envoy.ListenersFile)))
	assert.Equal(t, []string{"bootstrap: listeners.json"}, apply(resources()), "Envoy does not start without it")
}

// Files get the mode that is asked for, whatever the mask; folders can be entered by those who may read.
func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	for _, mode := range []fs.FileMode{0, 0o640, 0o644} {
		require.NoError(t, (&files.Dir{Path: dir, Mode: mode}).Apply(t.Context(), generation(1)))
		for name, want := range map[string][2]fs.FileMode{"clusters.json": {0o600, 0}, file(envoy.SecretType, "a"): {0o600, 0o700}} {
			if mode != 0 {
				want = [2]fs.FileMode{mode, mode | mode&0o444>>2 | 0o700}
			}
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.Equal(t, want[0], info.Mode().Perm(), name)
			if name != "clusters.json" {
				info, err = os.Stat(filepath.Join(dir, filepath.Dir(name)))
				require.NoError(t, err)
				assert.Equal(t, want[1], info.Mode().Perm(), name)
			}
		}
	}
}

// A new file has the mode when Envoy is told of it.
func TestModesOfNewFiles(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir, Mode: 0o644}).Apply(t.Context(), generation(1)))
	for _, name := range []string{envoy.ClustersFile, file(envoy.SecretType, "a"), file(envoy.RouteType, "a")} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o644), info.Mode().Perm(), name)
	}
}

// Clusters that are warming are waited for, but not for long: a name server that does not answer holds up no change.
func TestClustersThatAreWarming(t *testing.T) {
	for stats, most := range map[string]time.Duration{"cluster_manager.warming_clusters: 1\n": 6 * time.Second, "cluster_manager.warming_clusters: 0\n": time.Second, "": time.Second} {
		synctest.Test(t, func(t *testing.T) {
			a := &files.Admin{Ask: func(context.Context, string) (string, error) {
				return "cluster_manager.cds.version_text: \"v\"\ncluster_manager.cds.update_attempt: 1\n" + stats, nil
			}}
			replaced := []files.File{{Path: envoy.ClustersFile, Key: envoy.Key{Type: envoy.ClusterType}, Version: "v"}}
			require.NoError(t, a.Before(t.Context(), envoy.Clusters, replaced))
			begun := time.Now()
			require.NoError(t, a.Taken(t.Context(), envoy.Clusters, replaced))
			took := time.Since(begun)
			assert.Less(t, took, most, stats)
			assert.Equal(t, most > time.Second, took > 4*time.Second, "%q took %s", stats, took)
		})
	}
}

// The mode of a file that does not change is changed with the others, also where it has no resources.
func TestModesOfFilesThatDoNotChange(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), resources()))
	require.NoError(t, (&files.Dir{Path: dir, Mode: 0o640}).Apply(t.Context(), resources()))
	for _, name := range []string{envoy.BootstrapFile, envoy.ClustersFile, envoy.ListenersFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o640), info.Mode().Perm(), name)
	}
}

// What Envoy cannot read is told from what it refuses: another user's Envoy needs another mode.
func TestAFileThatEnvoyCannotRead(t *testing.T) {
	failures := 0
	a := &files.Admin{Ask: func(context.Context, string) (string, error) {
		failures++
		return fmt.Sprintf("sds.kubernetes_a.update_attempt: 1\nsds.kubernetes_a.update_failure: %d\n", failures), nil
	}}
	replaced := []files.File{{Path: "secrets/a.json", Key: envoy.Key{Type: envoy.SecretType, Name: "kubernetes://a"}, Version: "v"}}
	require.NoError(t, a.Before(t.Context(), envoy.Certificates, replaced))
	err := a.Taken(t.Context(), envoy.Certificates, replaced)
	require.ErrorContains(t, err, "envoy cannot read secrets/a.json")
	require.ErrorContains(t, err, "--file-mode")
}

// An Envoy that does not answer holds up a change for a limited time.
func TestAnEnvoyThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	before := tree(t, dir)
	d := &files.Dir{Path: dir, Watcher: &files.Admin{Limit: 50 * time.Millisecond, Ask: func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}}
	begun := time.Now()
	require.Error(t, d.Apply(t.Context(), generation(2)))
	assert.Less(t, time.Since(begun), 5*time.Second)
	assert.Equal(t, before, tree(t, dir))
}
