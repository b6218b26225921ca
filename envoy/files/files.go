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
	what, reason := "envoy refuses "+e.File+", and what it had goes on being served", "; its log has the reason"
	if e.Unread {
		what = "envoy cannot read " + e.File + ", or what stands in it, and what it had goes on being served; where it runs as another user, --file-mode lets it"
	}
	if e.Log != "" {
		reason = ":\n" + e.Log
	}
	return what + reason
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

	state   state           // what the next process finds
	done    []entry         // of the last Apply
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

// inForce is what a change begins with: what is in the folder and Envoy has taken. Where nobody watches, that is nothing.
func (d *Dir) inForce(ctx context.Context, next *envoy.Resources) (*envoy.Resources, error) {
	d.lacking = map[string]bool{}
	if d.Watcher == nil {
		return nil, nil
	}
	var present []File
	err := d.walk(func(path, full string) error {
		if !envoy.IsPath(path) {
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		k := onlyKey(text)
		if whole := wholeType(path); whole != "" {
			k = envoy.Key{Type: whole}
		}
		if envoy.Path(k) == path {
			present = append(present, File{path, k, versionOf(text)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lacking, _, err := d.Watcher.Lacking(ctx, present)
	if err != nil {
		return nil, err
	}
	for _, path := range lacking {
		d.lacking[path] = true
		d.notice(path + " is not what Envoy has taken, and is replaced")
	}
	return d.read(next)
}

// confirm reports whether Envoy has all that was written; false where it cannot be asked.
func (d *Dir) confirm(ctx context.Context) (bool, error) {
	if d.Watcher == nil {
		return false, nil
	}
	lacking, known, err := d.Watcher.Lacking(ctx, d.present(d.done))
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
	if confirmed || d.first || len(d.done) == 0 {
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

// read reads what is in the folder, but for what Envoy lacks. What cannot be read counts as missing and is replaced, but for what a step is to be
// merged with.
func (d *Dir) read(next *envoy.Resources) (*envoy.Resources, error) {
	out := &envoy.Resources{}
	err := d.walk(func(path, full string) error {
		if !envoy.IsPath(path) || d.lacking[path] {
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

// others are the files that Waymark wrote and that are not known any more, and what it did not come to rename. A file that
// somebody else put there is not among them.
func (d *Dir) others(known map[string]bool) (paths []string, err error) {
	err = d.walk(func(path, full string) error {
		if !known[path] && written(path, full) {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
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
