package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"waymark.dev/waymark/envoy"
)

// read reads what is in the folder, without what Envoy lacks. What cannot be read counts as missing and is replaced, unless
// a step would be merged with it.
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
