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

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
)

// RefusedError is the refusal of a file by Envoy. The same file would be refused again.
type RefusedError struct {
	// File is its path below the folder.
	File string
	// Log is the end of what Envoy printed; it has the reason.
	Log string
	// Unread: Envoy could not even read it.
	Unread bool
}

func (e *RefusedError) Error() string {
	if e.Unread {
		return fmt.Sprintf("envoy cannot read %s, or what stands in it, and what it had goes on being served; where it runs as another user, --file-mode lets it:\n%s", e.File, e.Log)
	}
	return fmt.Sprintf("envoy refuses %s, and what it had goes on being served:\n%s", e.File, e.Log)
}

// Watcher waits for an Envoy that reads the files.
type Watcher interface {
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
}

// Dir is a folder of files that Envoy watches.
type Dir struct {
	// Path of the folder.
	Path string
	// Watcher waits for Envoy; nil: no Envoy reads the files, so they are written as they should be in the end.
	Watcher Watcher
	// Changed is called with every file that was written or removed, unless it is nil.
	Changed func(file string)
	// Mode of the files; 0 is 0600. Folders can be entered by those who may read their files.
	Mode fs.FileMode

	done journal // of the last Apply
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
// on disk again, so that neither its next start nor the next change meets what it has refused.
func (d *Dir) Apply(ctx context.Context, next *envoy.Resources) error {
	known := map[string]bool{envoy.BootstrapFile: true, envoy.ListenersFile: true, envoy.ClustersFile: true}
	for _, t := range envoy.Types {
		for _, r := range next.OfType(t) {
			known[envoy.Path(r.Key)] = true
		}
	}
	var old *envoy.Resources
	if d.Watcher != nil {
		var err error
		if old, err = d.read(next); err != nil {
			return err
		}
	}
	all, err := batches(envoy.Sequence(old, next), next)
	if err != nil {
		return err
	}
	if err := d.Make(); err != nil {
		return err
	}
	d.done = nil
	for path := range known {
		if err := ignoreMissing(d.permit(path, filepath.Join(d.Path, path))); err != nil {
			return err
		}
	}
	for _, b := range all {
		if err := d.write(ctx, b); err != nil {
			err = fmt.Errorf("%s: %w", b.step, err)
			return errors.Join(err, d.undo(ctx, errors.As(err, new(*RefusedError))))
		}
	}
	return d.removeOthers(known)
}

// read reads what is in the folder. What cannot be read counts as missing and is replaced, but for what a step is to be
// merged with.
func (d *Dir) read(next *envoy.Resources) (*envoy.Resources, error) {
	out := &envoy.Resources{}
	err := d.walk(func(path, full string) error {
		if !envoy.IsPath(path) {
			return nil
		}
		messages, err := decodeFile(full)
		if err != nil {
			if path == envoy.ClustersFile || slices.ContainsFunc(next.OfType(envoy.RouteType), func(r envoy.Resource) bool { return envoy.Path(r.Key) == path }) {
				return err
			}
			return nil
		}
		for _, m := range messages {
			if envoy.Path(envoy.KeyOf(m)) == path { // else somebody else's
				out.Set(m)
			}
		}
		return nil
	})
	return out, err
}

func decodeFile(path string) ([]proto.Message, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	messages, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a file of resources: %w", path, err)
	}
	return messages, nil
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

func (b *batch) add(k envoy.Key, resources ...envoy.Resource) error {
	text, err := encode(resources)
	b.files[envoy.Path(k)] = content{k, text}
	return err
}

// write replaces the files of a batch that differ, and waits until Envoy has them.
func (d *Dir) write(ctx context.Context, b batch) error {
	e := entry{step: b.step, before: map[string][]byte{}}
	for _, path := range slices.Sorted(maps.Keys(b.files)) {
		old, err := os.ReadFile(filepath.Join(d.Path, path))
		switch {
		case err == nil && bytes.Equal(old, b.files[path].text):
			continue
		case err == nil:
			e.before[path] = old
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		e.files = append(e.files, File{path, b.files[path].key})
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
		if err := d.replace(f.Path, b.files[f.Path].text); err != nil {
			return err
		}
	}
	if d.Watcher != nil {
		return d.Watcher.Taken(ctx, b.step, e.files)
	}
	return nil
}

// removeOthers removes the files that Waymark wrote and that are not known any more, and what it did not come to rename. A
// file that somebody else put there stays.
func (d *Dir) removeOthers(known map[string]bool) error {
	return d.walk(func(path, full string) error {
		if known[path] || !written(path, full) {
			return nil
		}
		if d.Changed != nil {
			d.Changed(path)
		}
		return os.Remove(full)
	})
}

// written: Waymark wrote the file. Its name fits the resource in it, or it is one that was to be renamed.
func written(path, full string) bool {
	dir, base := filepath.Split(path)
	if inner, ok := strings.CutSuffix(strings.TrimPrefix(base, "."), ".new"); ok && base == besideName(inner) {
		inner = filepath.Join(dir, inner)
		return inner == envoy.BootstrapFile || envoy.IsPath(inner)
	}
	if !envoy.IsPath(path) {
		return false
	}
	text, err := os.ReadFile(full)
	return err == nil && envoy.Path(onlyKey(text)) == path
}

// walk visits the regular files of the folder; path is below the folder, full the whole one. A folder that is missing has
// none.
func (d *Dir) walk(visit func(path, full string) error) error {
	return filepath.WalkDir(d.Path, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		path, err := filepath.Rel(d.Path, full)
		if err != nil {
			return err
		}
		return visit(path, full)
	})
}

// Watches is how many instances of inotify Envoy needs for the files: one for each, and one more for the folders of a
// secret's own files. Linux allows a user 128 of all processes together, unless fs.inotify.max_user_instances has another
// number; an Envoy that gets none ends at once.
func Watches(r *envoy.Resources) int {
	n := 2 // listeners and clusters
	for _, t := range envoy.Types {
		if !isWhole(t) {
			n += len(r.OfType(t))
		}
	}
	for _, s := range r.OfType(envoy.SecretType) {
		if namesFiles(s.Message.(*tlsv3.Secret)) {
			n++
		}
	}
	return n
}

// namesFiles: the secret names files, instead of having what is in them.
func namesFiles(s *tlsv3.Secret) bool {
	pair, trust := s.GetTlsCertificate(), s.GetValidationContext()
	return slices.ContainsFunc([]*corev3.DataSource{pair.GetCertificateChain(), pair.GetPrivateKey(), trust.GetTrustedCa(), trust.GetCrl()},
		func(d *corev3.DataSource) bool { return d.GetFilename() != "" })
}
