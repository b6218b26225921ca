// Package rollout brings a configuration into the files that Envoy watches, so that no request is lost or misrouted on
// the way: make before break.
//
// It decides in which order files are replaced, and when the next may be. It never decides what stands in them; that is
// built by envoy. Every file is replaced by renaming, one that would not change is left alone, and at every moment the
// files on disk are a configuration that works, so that an Envoy that was killed starts again from them.
//
// The hard case is a rule that changes its outcome. Workers take a new plugin configuration one by one, so for a while
// one of them asks for the old outcome and another for the new. So first come certificates, endpoints and clusters, old
// and new together; then routes with the outcomes of both; then listeners; then the plugin configuration; and only when
// Envoy has taken that, what nothing needs any more goes.
package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"waymark.dev/waymark/envoy"
)

// Step is one kind of files that Envoy takes together.
type Step string

// The steps, in their order.
const (
	Secrets   Step = "certificates"
	Endpoints Step = "endpoints"
	Clusters  Step = "clusters"
	Routes    Step = "routes"
	Listeners Step = "listeners"
	Plugins   Step = "plugin configuration"
	Cleanup   Step = "what nothing needs any more"
)

// Watcher knows an Envoy that reads the files.
type Watcher interface {
	// Before is called before the files of a step are replaced.
	Before(ctx context.Context, step Step, files []File) error
	// Taken returns when Envoy has taken the step's files, or with an error when it has refused one.
	Taken(ctx context.Context, step Step, files []File) error
}

// File is one file of a step.
type File struct {
	// Path below the folder.
	Path string
	// Name of the routes or the filter that it is for, by which Envoy's statistics know it; "" for files of other kinds.
	Name string
}

// Dir is a folder of files that Envoy watches.
type Dir struct {
	// Path of the folder.
	Path string
	// Watcher waits for Envoy; nil does not wait.
	Watcher Watcher
	// Changed is called with every file that was written or removed; nil is not.
	Changed func(file string)
}

// batch are the files of one step.
type batch struct {
	step  Step
	files map[string][]byte
}

// Apply replaces what is in the folder, or fills an empty one. With an error, files may have been replaced that do no
// harm; the configuration that Envoy had goes on being served.
func (d *Dir) Apply(ctx context.Context, next *envoy.Files) error {
	batches, err := d.batches(next)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := d.write(ctx, b, next); err != nil {
			return fmt.Errorf("%s: %w", b.step, err)
		}
	}
	return d.removeOthers(batches)
}

// batches are the files of all steps, in order.
func (d *Dir) batches(next *envoy.Files) ([]batch, error) {
	endpoints, err := contents(next.Endpoints, envoy.ResourceFile)
	if err != nil {
		return nil, err
	}
	plugins, err := contents(next.Plugins, envoy.ResourceFile)
	if err != nil {
		return nil, err
	}
	final, err := contents(next.Routes, envoy.ResourceFile)
	if err != nil {
		return nil, err
	}
	merged := map[string][]byte{}
	for path, r := range next.Routes {
		old, err := readOne[routev3.RouteConfiguration](d, path)
		if err != nil {
			return nil, err
		}
		if merged[path], err = envoy.ResourceFile(envoy.MergeRoutes(old, r)); err != nil {
			return nil, err
		}
	}
	oldClusters, err := read[clusterv3.Cluster](d, envoy.ClustersFile)
	if err != nil {
		return nil, err
	}
	both, err := envoy.ResourceFile(envoy.MergeClusters(oldClusters, next.Clusters)...)
	if err != nil {
		return nil, err
	}
	only, err := envoy.ResourceFile(next.Clusters...)
	if err != nil {
		return nil, err
	}
	listeners, err := envoy.ResourceFile(next.Listeners...)
	if err != nil {
		return nil, err
	}
	bootstrap, err := envoy.JSON(next.Bootstrap)
	if err != nil {
		return nil, err
	}
	// Plugin configurations of new listeners stand before the listener asks for them; those of old ones change after the
	// routes have the outcomes of both.
	return []batch{
		{Secrets, next.Secrets},
		{Endpoints, endpoints},
		{Clusters, map[string][]byte{envoy.ClustersFile: both}},
		{Routes, merged},
		{Plugins, plugins},
		{Listeners, map[string][]byte{envoy.ListenersFile: listeners, envoy.BootstrapFile: bootstrap}},
		{Cleanup, final},
		{Cleanup, map[string][]byte{envoy.ClustersFile: only}},
	}, nil
}

func contents[M any](in map[string]M, write func(...M) ([]byte, error)) (map[string][]byte, error) {
	out := map[string][]byte{}
	for path, m := range in {
		text, err := write(m)
		if err != nil {
			return nil, err
		}
		out[path] = text
	}
	return out, nil
}

// write replaces the files of a batch that differ, and waits until Envoy has them.
func (d *Dir) write(ctx context.Context, b batch, next *envoy.Files) error {
	var changed []File
	for _, path := range slices.Sorted(maps.Keys(b.files)) {
		old, err := os.ReadFile(filepath.Join(d.Path, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil || !bytes.Equal(old, b.files[path]) {
			name := next.Routes[path].GetName()
			if name == "" {
				name = next.Plugins[path].GetName()
			}
			changed = append(changed, File{path, name})
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if d.Watcher != nil {
		if err := d.Watcher.Before(ctx, b.step, changed); err != nil {
			return err
		}
	}
	for _, f := range changed {
		if err := d.replace(f.Path, b.files[f.Path]); err != nil {
			return err
		}
	}
	if d.Watcher != nil {
		return d.Watcher.Taken(ctx, b.step, changed)
	}
	return nil
}

// replace writes a file beside and renames it onto the old one. Nobody else may read it: it may hold a key.
func (d *Dir) replace(path string, text []byte) error {
	full := filepath.Join(d.Path, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(full), "."+filepath.Base(full)+".new")
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(beside, full); err != nil {
		return err
	}
	if d.Changed != nil {
		d.Changed(path)
	}
	return nil
}

// removeOthers removes the files that nothing names any more.
func (d *Dir) removeOthers(batches []batch) error {
	known := map[string][]byte{}
	for _, b := range batches {
		maps.Copy(known, b.files)
	}
	return filepath.WalkDir(d.Path, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		path, err := filepath.Rel(d.Path, full)
		if _, ok := known[path]; err != nil || ok || !envoy.IsWatchedFile(path) {
			return err
		}
		if d.Changed != nil {
			d.Changed(path)
		}
		return os.Remove(full)
	})
}

// read reads the resources of a file; one that is not there has none.
func read[M any, P interface {
	*M
	envoy.Message
}](d *Dir, path string) ([]P, error) {
	text, err := os.ReadFile(filepath.Join(d.Path, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := envoy.ReadResources[M, P](text)
	if err != nil {
		return nil, fmt.Errorf("%s is no file of resources: %w", filepath.Join(d.Path, path), err)
	}
	return out, nil
}

func readOne[M any, P interface {
	*M
	envoy.Message
}](d *Dir, path string) (P, error) {
	all, err := read[M, P](d, path)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}
