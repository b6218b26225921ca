package files_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
)

// recording is an Envoy that lacks some files, and that remembers the steps that it is shown.
type recording struct {
	lacking []string
	unknown bool
	steps   []string
}

func (r *recording) Lacking(_ context.Context, asked []files.File) (lacking []string, known bool, err error) {
	for _, f := range asked {
		for _, path := range r.lacking {
			if f.Path == path {
				lacking = append(lacking, path)
			}
		}
	}
	return lacking, !r.unknown, nil
}

func (r *recording) Before(_ context.Context, step envoy.StepKind, _ []files.File) error {
	r.steps = append(r.steps, string(step))
	return nil
}

func (*recording) Taken(context.Context, envoy.StepKind, []files.File) error { return nil }

// killedAt applies a change in a process that ends after some files were written, without a chance to put anything back. It
// reports whether there were so many.
func killedAt(t *testing.T, dir string, w files.Watcher, next *envoy.Resources, written int) bool {
	killed := true
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := &files.Dir{Path: dir, Watcher: w, Changed: func(string) {
			if written--; written < 0 {
				runtime.Goexit()
			}
		}}
		assert.NoError(t, d.Apply(context.Background(), next))
		killed = false
	}()
	<-done
	return killed
}

// A process that is killed after any file leaves the rest to the next one, which puts everything back, in reverse order,
// before it begins its own change. So nothing of what was killed is merged with.
func TestWhatAKilledProcessLeftIsPutBack(t *testing.T) {
	last := 0
	for written := 0; ; written++ {
		dir := t.TempDir()
		require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
		before := tree(t, dir)
		if !killedAt(t, dir, &recording{}, generation(2), written) {
			break
		}
		last = written
		left := tree(t, dir)
		require.NotEqual(t, before, left)
		if left[".state.json"] == "" { // Envoy has taken all, and only a file that nothing needs is left
			require.NoError(t, (&files.Dir{Path: dir, Watcher: &recording{}}).Apply(t.Context(), generation(2)))
			assert.NotContains(t, tree(t, dir), file(envoy.RouteType, "new-1"))
			continue
		}

		w := &recording{}
		stop := errors.New("stop")
		var notices []string
		d := &files.Dir{Path: dir, Watcher: &stopping{w, stop}, Notice: func(text string) { notices = append(notices, text) }}
		require.ErrorIs(t, d.Apply(t.Context(), generation(3)), stop)
		assert.Equal(t, before, tree(t, dir), "after %d files", written)
		require.Len(t, notices, 1)
		assert.Contains(t, notices[0], "was not finished; the files before it are put back first")
	}
	assert.Greater(t, last, 8, "the change has this many files")
}

// stopping is an Envoy that ends when a change of its own begins, which is that of the certificates.
type stopping struct {
	*recording
	err error
}

func (s *stopping) Before(ctx context.Context, step envoy.StepKind, replaced []files.File) error {
	if strings.Contains(strings.Join(s.steps, ","), "!") {
		return s.err
	}
	return s.recording.Before(ctx, step, replaced)
}

func (s *stopping) Lacking(ctx context.Context, asked []files.File) ([]string, bool, error) {
	s.steps = append(s.steps, "!") // asked once, after what was left is put back
	return s.recording.Lacking(ctx, asked)
}

// The way back after a kill is the way there in reverse, with a wait for Envoy after each step.
func TestTheWayBackAfterAKill(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	w := &recording{}
	require.True(t, killedAt(t, dir, w, generation(2), 6))
	require.Equal(t, []string{"certificates", "endpoints", "clusters", "routes", "plugin configuration", "listeners"}, w.steps)
	back := &recording{}
	require.Error(t, (&files.Dir{Path: dir, Watcher: &stopping{back, errors.New("stop")}}).Apply(t.Context(), generation(3)))
	assert.Equal(t, []string{"listeners", "plugin configuration", "routes", "clusters", "endpoints", "certificates", "!"}, back.steps)
}

// Where Envoy could not be asked, the files before are kept until it can be: then they are forgotten, or put back.
func TestAChangeThatNobodyHasConfirmed(t *testing.T) {
	for sentence, c := range map[string]struct {
		first, second files.Watcher
		putBack, kept bool
	}{
		"nobody watched, and Envoy has taken all":               {nil, &recording{}, false, false},
		"nobody watched, and Envoy lacks the routes":            {nil, &recording{lacking: []string{file(envoy.RouteType, "a")}}, true, false},
		"there was only a pause, and Envoy has taken all":       {files.Pause(0), &recording{}, false, false},
		"there was only a pause, and Envoy lacks the listeners": {files.Pause(0), &recording{lacking: []string{envoy.ListenersFile}}, true, false},
		"there was only a pause, and is again":                  {files.Pause(0), files.Pause(0), false, true},
		"nobody watched, and nobody does":                       {nil, nil, true, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
			before := tree(t, dir)
			for path := range before {
				assert.False(t, isHidden(path), "%s: the first configuration has nothing to go back to", path)
			}
			require.NoError(t, (&files.Dir{Path: dir, Watcher: c.first}).Apply(t.Context(), generation(2)))
			assert.Equal(t, before, copies(t, dir))

			changed := map[string]bool{}
			d := &files.Dir{Path: dir, Watcher: c.second, Changed: func(path string) { changed[path] = true }}
			next := generation(3)
			if r, ok := c.second.(*recording); ok {
				r.lacking = append(r.lacking, "")
			}
			err := d.Apply(t.Context(), next)
			if r, ok := c.second.(*recording); ok && len(r.lacking) > 1 {
				require.ErrorAs(t, err, new(*files.RefusedError), "it goes on lacking the file")
				assert.Equal(t, before, tree(t, dir))
				return
			}
			require.NoError(t, err)
			switch {
			case !c.kept:
				for path := range tree(t, dir) {
					assert.False(t, isHidden(path), path)
				}
			case c.putBack:
				assert.Equal(t, before, copies(t, dir))
			default:
				assert.NotEqual(t, before, copies(t, dir), "the change before the last one is what can be put back")
			}
		})
	}
}

func isHidden(path string) bool { return strings.HasPrefix(path, ".") }

// copies is what a folder held before the last change.
func copies(t *testing.T, dir string) map[string]string {
	var state struct {
		Done  bool
		Steps []struct {
			Files []struct {
				Path string
				New  bool
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, ".state.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &state))
	assert.True(t, state.Done)
	out := map[string]string{}
	for path, text := range tree(t, dir) {
		if !isHidden(path) {
			out[path] = text
		}
	}
	for i := len(state.Steps) - 1; i >= 0; i-- {
		for _, f := range state.Steps[i].Files {
			text, err := os.ReadFile(filepath.Join(dir, ".before", fmt.Sprint(i), f.Path))
			if f.New {
				assert.ErrorIs(t, err, os.ErrNotExist)
				delete(out, f.Path)
				continue
			}
			require.NoError(t, err)
			out[f.Path] = string(text)
		}
	}
	return out
}

// What Envoy has refused when it started is not merged with, and written again even if it is the same.
func TestWhatEnvoyLacksIsNotMergedWith(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	routes := file(envoy.RouteType, "a")
	apply := func(n int, lacking ...string) (changed []string, seen string) {
		d := &files.Dir{Path: dir, Watcher: &recovering{recording{lacking: lacking}}, Changed: func(path string) {
			changed = append(changed, path)
			if path == routes {
				text, err := os.ReadFile(filepath.Join(dir, path))
				require.NoError(t, err)
				seen += string(text)
			}
		}}
		require.NoError(t, d.Apply(t.Context(), generation(n)))
		return changed, seen
	}
	changed, _ := apply(1, routes)
	assert.Equal(t, []string{routes}, changed)
	_, seen := apply(2, routes)
	assert.Contains(t, seen, "domain-2")
	assert.NotContains(t, seen, "domain-1")
	_, seen = apply(3)
	assert.Contains(t, seen, "domain-2", "what Envoy has is merged with")
}

// recovering is an Envoy that lacks files only until a step.
type recovering struct{ recording }

func (r *recovering) Taken(context.Context, envoy.StepKind, []files.File) error {
	r.lacking = nil
	return nil
}

// A state that cannot be read is an error that names the file; nothing is written.
func TestAStateThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(1)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".state.json"), []byte("half"), 0o600))
	before := tree(t, dir)
	require.ErrorContains(t, (&files.Dir{Path: dir}).Apply(t.Context(), generation(2)), filepath.Join(dir, ".state.json")+" is not a state that Waymark wrote")
	assert.Equal(t, before, tree(t, dir))
}

// Where the bootstrap names another address than the one at which Envoy runs, the next process finds Envoy all the same.
func TestTheAddressOfTheAdminInterface(t *testing.T) {
	dir := t.TempDir()
	at := func(port uint32) *envoy.Resources {
		r := generation(1)
		if port != 0 {
			r.Bootstrap.Admin = adminOn(&corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
			}}})
		}
		return r
	}
	d := &files.Dir{Path: dir}
	addresses := func() []string {
		out, err := (&files.Dir{Path: dir}).AdminAddresses()
		require.NoError(t, err)
		return out
	}
	_, err := d.AdminAddresses()
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, d.Apply(t.Context(), at(0)))
	assert.Empty(t, addresses())
	require.NoError(t, (&files.Dir{Path: dir, Watcher: &recording{}, Admin: "127.0.0.1:7"}).Apply(t.Context(), at(1)))
	assert.Equal(t, []string{"127.0.0.1:1", "127.0.0.1:7"}, addresses())
	require.NoError(t, (&files.Dir{Path: dir, Watcher: &recording{}, Admin: "127.0.0.1:1"}).Apply(t.Context(), at(1)))
	assert.Equal(t, []string{"127.0.0.1:1"}, addresses())
	r := at(0)
	r.Bootstrap.Admin = adminOn(&corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/d/admin.sock"}}})
	require.NoError(t, d.Apply(t.Context(), r))
	assert.Equal(t, []string{"/d/admin.sock"}, addresses())
	require.NoError(t, os.WriteFile(filepath.Join(dir, envoy.BootstrapFile), []byte("half"), 0o600))
	_, err = d.AdminAddresses()
	require.ErrorContains(t, err, filepath.Join(dir, envoy.BootstrapFile)+" is not a bootstrap of Envoy")
}

func adminOn(a *corev3.Address) *bootstrapv3.Admin { return &bootstrapv3.Admin{Address: a} }

// Who answers at an address is asked what it reads.
func TestWhoReadsTheFolder(t *testing.T) {
	dump := func(lds, cds string) string {
		return fmt.Sprintf(`{"configs": [{"bootstrap": {"dynamic_resources": {"lds_config": {"path_config_source": {"path": %q}}, "cds_config": {"path_config_source": {"path": %q}}}}}]}`, lds, cds)
	}
	for sentence, c := range map[string]struct{ answer, want string }{
		"the Envoy of the folder":               {dump("/a/envoy/listeners.json", "/a/envoy/clusters.json"), ""},
		"one that reads its clusters alone":     {dump("", "/a/envoy/clusters.json"), ""},
		"one that has the folder as its own":    {dump("", "envoy/clusters.json"), ""},
		"an Envoy of another folder":            {dump("/b/envoy/listeners.json", "/b/envoy/clusters.json"), "an Envoy answers there that reads /b/envoy/clusters.json and /b/envoy/listeners.json"},
		"one with a folder that ends the same":  {dump("", "voy/clusters.json"), "an Envoy answers there that reads voy/clusters.json"},
		"an Envoy without files":                {`{}`, "an Envoy answers there that reads neither listeners nor clusters from files"},
		"something that is not an Envoy at all": {`<html>`, "it is not the admin interface of an Envoy"},
	} {
		t.Run(sentence, func(t *testing.T) {
			err := (&files.Dir{Path: "/a/envoy"}).Reads(t.Context(), func(context.Context, string) (string, error) { return c.answer, nil })
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// Instances of inotify are counted on the way, when new files are watched and those before still are.
func TestMoreWatches(t *testing.T) {
	d := &files.Dir{Path: filepath.Join(t.TempDir(), "none")}
	n, err := d.More(generation(1))
	require.NoError(t, err)
	assert.Equal(t, files.Watches(generation(1))-2, n)
	require.NoError(t, d.Apply(t.Context(), generation(1)))
	n, err = d.More(generation(1))
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = d.More(generation(2))
	require.NoError(t, err)
	assert.Equal(t, 1, n, "routes under another name")
}

// What Envoy has taken is what its statistics have the version of; files that it does not watch are not lacking.
func TestWhatEnvoyLacks(t *testing.T) {
	stats := `cluster_manager.cds.update_attempt: 2
cluster_manager.cds.version_text: "c2"
listener_manager.lds.update_attempt: 1
http.http.80;.rds.http.80.update_attempt: 1
http.http.80;.rds.http.80.version_text: "r1"
sds.kubernetes_a.update_attempt: 1
`
	asked := 0
	a := &files.Admin{Ask: func(context.Context, string) (string, error) {
		asked++
		return stats, nil
	}}
	of := func(typ envoy.Type, name, version string) files.File {
		return files.File{Path: string(typ) + name, Key: envoy.Key{Type: typ, Name: name}, Version: version}
	}
	routes := of(envoy.RouteType, "http.80", "r1")
	for sentence, c := range map[string]struct {
		file    files.File
		lacking bool
	}{
		"the version that it has":                {of(envoy.ClusterType, "", "c2"), false},
		"another one":                            {of(envoy.ClusterType, "", "c3"), true},
		"listeners, of which it has taken none":  {of(envoy.ListenerType, "", "l1"), true},
		"a certificate that it could not read":   {of(envoy.SecretType, "kubernetes://a", "s1"), true},
		"routes that it has":                     {routes, false},
		"routes of a listener that is not there": {of(envoy.RouteType, "http.81", "r1"), false},
		"endpoints, which have no statistics":    {of(envoy.EndpointType, "a", "e1"), false},
		"a file without a version":               {of(envoy.ClusterType, "", ""), false},
	} {
		asked = 0
		lacking, known, err := a.Lacking(t.Context(), []files.File{routes, c.file})
		require.NoError(t, err)
		assert.True(t, known)
		if c.lacking {
			assert.Equal(t, []string{c.file.Path}, lacking, sentence)
			assert.Equal(t, 2, asked, "Envoy may be about to take it")
		} else {
			assert.Empty(t, lacking, sentence)
			assert.Equal(t, 1, asked)
		}
	}
}
