package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waymark.dev/waymark/envoy"
)

// journal is what a change has replaced, in order. A change that is not taken is undone step by step, the last one first.
type journal []entry

// entry is one step: its files, and what was in them; a file that is not in before did not exist.
type entry struct {
	step   envoy.StepKind
	files  []File
	before map[string][]byte
}

// undoLimit bounds the waits of an undo, all together. Files are put back in any case.
const undoLimit = 20 * time.Second

// Undo puts back what the last Apply replaced, for a configuration with which Envoy does not start.
func (d *Dir) Undo() error { return d.undo(context.Background(), false) }

// undo puts back what was replaced. With wait, Envoy runs and is waited for between the steps; the context of the change
// does not end it.
func (d *Dir) undo(ctx context.Context, wait bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	wait = wait && d.Watcher != nil
	var all error
	for i, e := range slices.Backward(d.done) {
		last := i == len(d.done)-1 // the step that was refused: some of its files may have been taken, and some not
		if wait && !last {
			wait = d.Watcher.Before(ctx, e.step, e.files) == nil
		}
		for _, f := range e.files {
			all = errors.Join(all, d.restore(f.Path, e.before))
		}
		switch {
		case !wait:
		case last:
			_ = sleep(ctx, settled) // whether Envoy has them cannot be asked
		default:
			wait = d.Watcher.Taken(ctx, e.step, e.files) == nil
		}
	}
	d.done = nil
	return all
}

func (d *Dir) restore(path string, before map[string][]byte) error {
	if old, ok := before[path]; ok {
		return d.replace(path, old)
	}
	return ignoreMissing(os.Remove(filepath.Join(d.Path, path)))
}
