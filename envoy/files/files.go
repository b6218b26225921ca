// Package files brings a configuration into the files that Envoy watches, so that no request is lost or misrouted on
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
package files

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
	"strings"

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

// RefusedError says that Envoy does not take a file. The same file would be refused again.
type RefusedError struct {
	// File is its path below the folder.
	File string
	// Log is the end of what Envoy printed; it says why.
	Log string
	// Unread says that Envoy could not even read it.
	Unread bool
}

func (e *RefusedError) Error() string {
	if e.Unread {
		return fmt.Sprintf("envoy cannot read %s, or what stands in it, and what it had goes on being served; where it runs as another user, --file-mode lets it:\n%s", e.File, e.Log)
	}
	return fmt.Sprintf("envoy refuses %s, and what it had goes on being served:\n%s", e.File, e.Log)
}

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
	// Watcher waits for Envoy; nil means that no Envoy reads the files: they are written as they are to be at last.
	Watcher Watcher
	// Changed is called with every file that was written or removed; nil is not.
	Changed func(file string)
	// Mode of the files; 0 is 0600. Folders can be entered by those who may read their files.
	Mode fs.FileMode

	done journal // of the last Apply
}

// batch are the files of one step.
type batch struct {
	step  Step
	files map[string][]byte
}

// Apply replaces what is in the folder, or fills an empty one. With an error, everything is as it was: what Envoy had is
// on disk again, so that neither its next start nor the next change meets what it has refused.
func (d *Dir) Apply(ctx context.Context, next *envoy.Files) error {
	batches, err := d.batches(next)
	if err != nil {
		return err
	}
	if err := d.Make(); err != nil {
		return err
	}
	d.done = nil
	for _, b := range batches {
		if err := d.write(ctx, b, next); err != nil {
			err = fmt.Errorf("%s: %w", b.step, err)
			return errors.Join(err, d.undo(ctx, errors.As(err, new(*RefusedError))))
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
		if d.Watcher == nil {
			break
		}
		old, err := readOne[routev3.RouteConfiguration](d, path)
		if err != nil {
			return nil, err
		}
		if merged[path], err = envoy.ResourceFile(envoy.MergeRoutes(old, r)); err != nil {
			return nil, err
		}
	}
	var oldClusters []*clusterv3.Cluster
	if d.Watcher != nil {
		if oldClusters, err = read[clusterv3.Cluster](d, envoy.ClustersFile); err != nil {
			return nil, err
		}
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
	if d.Watcher == nil {
		both = only
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
	e := entry{step: b.step, before: map[string][]byte{}}
	for _, path := range slices.Sorted(maps.Keys(b.files)) {
		old, err := os.ReadFile(filepath.Join(d.Path, path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && bytes.Equal(old, b.files[path]) {
			if err := d.permit(path, filepath.Join(d.Path, path)); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			e.before[path] = old
		}
		name := next.Routes[path].GetName()
		if name == "" {
			name = next.Plugins[path].GetName()
		}
		if b.step == Secrets {
			name = envoy.ResourceName(b.files[path])
		}
		e.files = append(e.files, File{path, name})
	}
	if len(e.files) == 0 {
		return nil
	}
	if d.Watcher != nil {
		if err := d.Watcher.Before(ctx, b.step, e.files); err != nil {
			return err
		}
	}
	d.done = append(d.done, e) // also if only a part of it is written
	for _, f := range e.files {
		if err := d.replace(f.Path, b.files[f.Path]); err != nil {
			return err
		}
	}
	if d.Watcher != nil {
		return d.Watcher.Taken(ctx, b.step, e.files)
	}
	return nil
}

func (d *Dir) mode() fs.FileMode {
	if d.Mode == 0 {
		return 0o600
	}
	return d.Mode
}

// folderMode lets those into a folder who may read its files.
func (d *Dir) folderMode() fs.FileMode { return d.mode() | d.mode()&0o444>>2 | 0o700 }

// Make makes the folder, where there is none; whatever the process's mask is, it can be entered. The mode of one that is
// there is its owner's business.
func (d *Dir) Make() error {
	if _, err := os.Stat(d.Path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.Path, d.folderMode()); err != nil {
		return err
	}
	return os.Chmod(d.Path, d.folderMode())
}

// permit gives a file of the folder, which may be named otherwise yet, its mode, and those who may read it a way to it.
func (d *Dir) permit(path, full string) error {
	if err := chmod(full, d.mode()); err != nil || path == filepath.Base(path) {
		return err
	}
	return chmod(filepath.Dir(full), d.folderMode())
}

func chmod(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() != mode {
		err = os.Chmod(path, mode)
	}
	return err
}

// replace writes a file beside and renames it onto the old one. By default nobody else may read it: it may hold a key.
func (d *Dir) replace(path string, text []byte) error {
	full := filepath.Join(d.Path, path)
	if err := os.MkdirAll(filepath.Dir(full), d.folderMode()); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(full), besideName(filepath.Base(full)))
	err := os.WriteFile(beside, text, 0o600)
	if err == nil {
		err = d.permit(path, beside)
	}
	if err == nil {
		err = os.Rename(beside, full)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(beside)))
	}
	if d.Changed != nil {
		d.Changed(path)
	}
	return nil
}

// besideName is the name of a file that is being written.
func besideName(base string) string { return "." + base + ".new" }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeOthers removes the files that Waymark wrote and nothing names any more, and what it did not come to rename. A file
// that somebody else put there stays.
func (d *Dir) removeOthers(batches []batch) error {
	known := map[string]bool{}
	for _, b := range batches {
		for path := range b.files {
			known[path] = true
		}
	}
	return filepath.WalkDir(d.Path, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		path, err := filepath.Rel(d.Path, full)
		if err != nil || known[path] || !written(path, full) {
			return err
		}
		if d.Changed != nil {
			d.Changed(path)
		}
		return os.Remove(full)
	})
}

// written says that Waymark wrote a file: its name tells what stands in it, or will.
func written(path, full string) bool {
	dir, base := filepath.Split(path)
	if inner, ok := strings.CutSuffix(strings.TrimPrefix(base, "."), ".new"); ok && base == besideName(inner) {
		return envoy.IsWatchedName(filepath.Join(dir, inner))
	}
	if !envoy.IsWatchedName(path) {
		return false
	}
	text, err := os.ReadFile(full)
	return err == nil && envoy.IsWatchedFile(path, text)
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
