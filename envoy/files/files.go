// Package files delivers resources to an Envoy through files that it watches.
//
// It decides when a file is replaced and how long to wait, never what is in it or in which order: the steps are those of
// [envoy.Sequence], from what the folder has to what it should have. Every file is replaced by renaming, one that would not
// change is left alone, and at every moment the files on disk are a configuration that works, so that an Envoy that was
// killed starts again from them.
//
// The hard case is a change that Envoy refuses halfway. What was written before is in force by then and on disk, and would
// be what the next change begins with. So each step's files are remembered, and put back in reverse order: what was
// replaced last is what depends on the rest, and on the way back, too, every state is one that works.
//
// It is as hard when the process that makes the change is killed, or cannot ask Envoy. So what is remembered is in the folder:
// .state.json has the steps, and .before copies of what they replaced, until Envoy is known to have taken all of it. The
// next process looks at it first. What was not finished it puts back; what was finished and nobody could be asked about, it
// asks about. Every file has a version, a hash of its content, and Envoy's statistics tell which one it has taken, so this
// can be asked at any time, also by a process that has seen nothing of the change.
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

	"waymark.dev/waymark/envoy"
)

// RefusedError is the refusal of a file by Envoy. The same file would be refused again.
type RefusedError struct {
	// File is its path below the folder.
	File string
	// Unread: Envoy could not even read it.
	Unread bool
}

func (e *RefusedError) Error() string {
	if e.Unread {
		return "envoy cannot read " + e.File + ", or what stands in it, and what it had goes on being served; where it runs as another user, --file-mode lets it"
	}
	return "envoy refuses " + e.File + ", and what it had goes on being served; its log has the reason"
}

// Watcher waits for an Envoy that reads the files.
type Watcher interface {
	// Lacking are the paths of those files that Envoy watches and has not taken. Not known: Envoy cannot be asked.
	Lacking(ctx context.Context, files []File) (lacking []string, known bool, err error)
	// Before is called before the files of a step are replaced.
	Before(ctx context.Context, step envoy.StepKind, files []File) error
	// Taken returns when Envoy has taken the step's files, or with an error when it has refused one.
	Taken(ctx context.Context, step envoy.StepKind, files []File) error
}

// File is one file of a step.
type File struct {
	// Path below the folder.
	Path string
	// Key of the resource in it, by which Envoy's statistics know it. The name is empty where the file has all resources of
	// the type; the bootstrap has no type.
	Key envoy.Key
	// Version of its content, by which Envoy's statistics tell what it has taken; "" where there is none to wait for.
	Version string
}

// Dir is a folder of files that Envoy watches.
type Dir struct {
	// Path of the folder.
	Path string
	// Watcher waits for Envoy; nil: no Envoy reads the files, so they are written as they should be in the end.
	Watcher Watcher
	// Changed is called with every file that was written or removed, unless it is nil.
	Changed func(file string)
	// Notice is called with what somebody should know of the last change, unless it is nil.
	Notice func(text string)
	// Mode of the files; 0 is 0600. Folders can be entered by those who may read their files.
	Mode fs.FileMode
	// Admin is the address at which the Watcher asks Envoy, or "".
	Admin string

	state   state           // what the next process finds, and what this one puts back
	first   bool            // there was no configuration
	lacking map[string]bool // files that Envoy has not taken, although they are there
}

// batch are the files of one step, by path.
type batch struct {
	step  envoy.StepKind
	files map[string]content
}

// content of a file, and the key that is in it.
type content struct {
	key  envoy.Key
	text []byte
}

// bootstrap is the step of the files with which an Envoy starts. One that runs does not look at them.
const bootstrap envoy.StepKind = "bootstrap"

// Apply replaces what is in the folder, or fills an empty one. With an error, everything is as it was: what Envoy had is
// on disk again, so that neither its next start nor the next change meets what it has refused. The process may be killed
// at any moment: then the next Apply puts everything back.
func (d *Dir) Apply(ctx context.Context, next *envoy.Resources) error {
	known := map[string]bool{envoy.BootstrapFile: true, envoy.ListenersFile: true, envoy.ClustersFile: true}
	for _, t := range envoy.Types {
		for _, r := range next.OfType(t) {
			known[envoy.Path(r.Key)] = true
		}
	}
	if err := d.resume(ctx); err != nil {
		return err
	}
	old, err := d.inForce(ctx, next)
	if err != nil {
		return err
	}
	all, err := batches(envoy.Sequence(old, next), next)
	if err != nil {
		return err
	}
	if err := d.Make(); err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(d.Path, envoy.BootstrapFile))
	d.first = errors.Is(err, fs.ErrNotExist)
	for path := range known {
		if err := ignoreMissing(d.permit(path, filepath.Join(d.Path, path))); err != nil {
			return err
		}
	}
	for _, b := range all {
		if err := d.write(ctx, b); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", b.step, err), d.undo(ctx))
		}
	}
	confirmed, err := d.confirm(ctx)
	if err != nil {
		return errors.Join(err, d.undo(ctx))
	}
	return d.finish(next, known, confirmed)
}

// batches are the files of all steps, in order. Removals of files come last, when nothing can be refused any more.
func batches(steps []envoy.Step, next *envoy.Resources) ([]batch, error) {
	var out []batch
	for _, s := range steps {
		b := batch{s.Kind, map[string]content{}}
		whole := map[envoy.Type][]envoy.Resource{} // listeners or clusters
		for _, k := range s.Remove {
			if isWhole(k.Type) {
				whole[k.Type] = nil
			}
		}
		for _, r := range s.Set {
			if isWhole(r.Type) {
				whole[r.Type] = append(whole[r.Type], r)
			} else if err := b.add(r.Key, r); err != nil {
				return nil, err
			}
		}
		for t, resources := range whole {
			if err := b.add(envoy.Key{Type: t}, resources...); err != nil {
				return nil, err
			}
		}
		out = append(out, b)
	}
	start := batch{bootstrap, map[string]content{}}
	text, err := envoy.JSON(next.Bootstrap)
	if err != nil {
		return nil, err
	}
	start.files[envoy.BootstrapFile] = content{text: text}
	for _, t := range envoy.Types { // these have changed in their steps, but Envoy does not start where an empty one is missing
		if isWhole(t) {
			if err := start.add(envoy.Key{Type: t}, next.OfType(t)...); err != nil {
				return nil, err
			}
		}
	}
	return append(out, start), nil
}

// isWhole: all resources of the type are in one file.
func isWhole(t envoy.Type) bool { return t == envoy.ListenerType || t == envoy.ClusterType }

// wholeType is the type whose resources are all in a file, or "".
func wholeType(path string) envoy.Type {
	switch path {
	case envoy.ListenersFile:
		return envoy.ListenerType
	case envoy.ClustersFile:
		return envoy.ClusterType
	default:
		return ""
	}
}

func (b *batch) add(k envoy.Key, resources ...envoy.Resource) error {
	text, err := encode(resources)
	b.files[envoy.Path(k)] = content{k, text}
	return err
}

// write replaces the files of a batch that differ, and waits until Envoy has them.
func (d *Dir) write(ctx context.Context, b batch) error {
	e, files := entry{Step: b.step}, []File(nil)
	for _, path := range slices.Sorted(maps.Keys(b.files)) {
		c := b.files[path]
		r := replaced{Path: path, Type: c.key.Type, Name: c.key.Name}
		var err error
		switch r.before, err = os.ReadFile(filepath.Join(d.Path, path)); {
		case err == nil && bytes.Equal(r.before, c.text) && !d.lacking[path]:
			continue
		case errors.Is(err, fs.ErrNotExist):
			r.New = true
		case err != nil:
			return err
		}
		delete(d.lacking, path)
		e.Files, files = append(e.Files, r), append(files, File{path, c.key, versionOf(c.text)})
	}
	if len(files) == 0 {
		return nil
	}
	if d.Watcher != nil {
		if err := d.Watcher.Before(ctx, b.step, files); err != nil {
			return err
		}
	}
	if err := d.record(e); err != nil {
		return err
	}
	for _, f := range files {
		if err := d.replace(f.Path, b.files[f.Path].text); err != nil {
			return err
		}
	}
	if d.Watcher != nil {
		return d.Watcher.Taken(ctx, b.step, files)
	}
	return nil
}

// confirm reports whether Envoy has all that was written; false where it cannot be asked.
func (d *Dir) confirm(ctx context.Context) (bool, error) {
	if d.Watcher == nil {
		return false, nil
	}
	lacking, known, err := d.Watcher.Lacking(ctx, d.present(d.state.Steps))
	if err != nil || !known {
		return false, err
	}
	if len(lacking) > 0 {
		return false, &RefusedError{File: lacking[0]}
	}
	return true, nil
}

// finish removes what nothing needs any more. What Envoy may have refused can still be put back.
func (d *Dir) finish(next *envoy.Resources, known map[string]bool, confirmed bool) error {
	others, err := d.others(known)
	if err != nil {
		return err
	}
	d.state.Admin = d.Admin
	if d.Admin == adminAddress(next.Bootstrap) {
		d.state.Admin = ""
	}
	if confirmed || d.first || len(d.state.Steps) == 0 {
		err = d.forget()
	} else if err = d.recordRemoval(others); err == nil {
		d.state.Done = true
		err = d.writeState()
	}
	if err != nil {
		return err
	}
	for _, path := range others {
		if d.Changed != nil {
			d.Changed(path)
		}
		if err := os.Remove(filepath.Join(d.Path, path)); err != nil {
			return err
		}
	}
	return nil
}

// recordRemoval remembers files that are about to be removed.
func (d *Dir) recordRemoval(paths []string) error {
	e := entry{Step: envoy.Cleanup}
	for _, path := range paths {
		if !envoy.IsPath(path) {
			continue // it was never renamed
		}
		text, err := os.ReadFile(filepath.Join(d.Path, path))
		if err != nil {
			return err
		}
		k := onlyKey(text)
		e.Files = append(e.Files, replaced{Path: path, Type: k.Type, Name: k.Name, before: text})
	}
	if len(e.Files) == 0 {
		return nil
	}
	return d.record(e)
}
