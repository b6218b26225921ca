package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"waymark.dev/waymark/envoy"
)

// What a folder has beside the files of resources, while Envoy is not known to have taken all of them: the state, and copies
// of the files that were replaced, below the number of their step.
const (
	stateFile    = ".state.json"
	beforeFolder = ".before"
)

// state is the content of the state's file; without a file, it is the zero value, and Envoy has taken what is in the folder.
type state struct {
	// Admin is where the Envoy answered that took the last change, if the bootstrap names another address: that one has a new
	// bootstrap, and Envoy reads it when it starts.
	Admin string `json:"admin,omitempty"`
	// Done: the change was written to its end, and Envoy could not be asked whether it has taken it. Otherwise the process that
	// wrote it was killed.
	Done bool `json:"done,omitempty"`
	// Steps of the change that were begun, in order.
	Steps []entry `json:"steps,omitempty"`
}

// entry is what a step has replaced. A change that is not taken is undone step by step, the last one first.
type entry struct {
	Step  envoy.StepKind `json:"step"`
	Files []replaced     `json:"files"`
}

// replaced is a file of a step, and what was in it.
type replaced struct {
	Path string     `json:"path"`
	Type envoy.Type `json:"type,omitempty"`
	Name string     `json:"name,omitempty"`
	// New: there was no such file.
	New bool `json:"new,omitempty"`

	before []byte
}

func (r *replaced) key() envoy.Key { return envoy.Key{Type: r.Type, Name: r.Name} }

// undoLimit bounds the waits of an undo, all together. Files are put back in any case.
const undoLimit = 20 * time.Second

// readState reads what the last process left.
func (d *Dir) readState() (s state, err error) {
	full := filepath.Join(d.Path, stateFile)
	text, err := os.ReadFile(full)
	if err != nil {
		return s, ignoreMissing(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s is not a state that Waymark wrote: %w; without it, what is in the folder is what Envoy has taken", full, err)
	}
	for i, e := range s.Steps {
		for j, f := range e.Files {
			if f.New {
				continue
			}
			if e.Files[j].before, err = os.ReadFile(d.copyOf(i, f.Path)); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// writeState replaces the state's file, or removes it where there is nothing to remember.
func (d *Dir) writeState() error {
	if d.state.Admin == "" && len(d.state.Steps) == 0 {
		return ignoreMissing(os.Remove(filepath.Join(d.Path, stateFile)))
	}
	text, err := json.Marshal(&d.state)
	if err != nil {
		return err
	}
	return writeBeside(filepath.Join(d.Path, stateFile), text, func(string) error { return nil })
}

// copyOf is where a step's file is kept.
func (d *Dir) copyOf(step int, path string) string {
	return filepath.Join(d.Path, beforeFolder, strconv.Itoa(step), path)
}

// record remembers a step before its files are replaced. The first configuration of a folder has nothing to go back to.
func (d *Dir) record(e entry) error {
	d.state.Steps = append(d.state.Steps, e) // also if only a part of it is written
	if d.first {
		return nil
	}
	for _, f := range e.Files {
		if f.New {
			continue
		}
		full := d.copyOf(len(d.state.Steps)-1, f.Path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(full, f.before, 0o600); err != nil {
			return err
		}
	}
	d.state.Done = false
	return d.writeState()
}

// forget ends a change: what is in the folder is what counts.
func (d *Dir) forget() error {
	d.state.Done, d.state.Steps = false, nil
	return errors.Join(d.writeState(), os.RemoveAll(filepath.Join(d.Path, beforeFolder)))
}

// resume begins with what the last process left. What it did not finish is put back, and so is a change of which Envoy has
// not taken all, or for which nobody has looked yet.
func (d *Dir) resume(ctx context.Context) (err error) {
	if d.state, err = d.readState(); err != nil || len(d.state.Steps) == 0 {
		return err
	}
	why := "was not finished"
	if d.state.Done && d.Watcher != nil {
		lacking, known, err := d.Watcher.Lacking(ctx, d.present(d.state.Steps))
		if err != nil {
			return err
		}
		if !known || len(lacking) == 0 {
			return d.forget()
		}
		why = "is not what Envoy has taken: it lacks " + strings.Join(lacking, ", ")
	}
	if !d.state.Done || d.Watcher != nil {
		d.notice("the last change of " + d.Path + " " + why + "; the files before it are put back first")
	}
	return d.undo(ctx)
}

func (d *Dir) notice(text string) {
	if d.Notice != nil {
		d.Notice(text)
	}
}

// present are the files of a change as they are now.
func (d *Dir) present(steps []entry) []File {
	var out []File
	known := map[string]bool{}
	for _, e := range steps {
		for _, f := range e.Files {
			text, err := os.ReadFile(filepath.Join(d.Path, f.Path))
			if err == nil && !known[f.Path] {
				known[f.Path] = true
				out = append(out, File{f.Path, f.key(), versionOf(text)})
			}
		}
	}
	return out
}

// undo puts back what was replaced. An Envoy that runs is waited for between the steps; the context of the change does not
// end it.
func (d *Dir) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	wait := d.Watcher != nil
	for i, e := range slices.Backward(d.state.Steps) {
		files := d.differing(e)
		if len(files) == 0 {
			continue
		}
		last := i == len(d.state.Steps)-1 // Envoy may be about to refuse some of its files
		if wait && !last {
			wait = d.Watcher.Before(ctx, e.Step, files) == nil
		}
		for _, f := range e.Files {
			if err := d.restore(f); err != nil {
				return err // the next change begins with what is left
			}
		}
		if wait && last {
			wait = sleep(ctx, settled) == nil && d.Watcher.Before(ctx, e.Step, files) == nil
		}
		if wait {
			wait = d.Watcher.Taken(ctx, e.Step, files) == nil || last
		}
	}
	return d.forget()
}

// differing are the files of a step that are not as they were before it, as they will be again.
func (d *Dir) differing(e entry) []File {
	var out []File
	for _, f := range e.Files {
		now, err := os.ReadFile(filepath.Join(d.Path, f.Path))
		if f.New && errors.Is(err, fs.ErrNotExist) || !f.New && err == nil && bytes.Equal(now, f.before) {
			continue
		}
		out = append(out, File{f.Path, f.key(), versionOf(f.before)})
	}
	return out
}

func (d *Dir) restore(f replaced) error {
	if !f.New {
		return d.replace(f.Path, f.before)
	}
	return ignoreMissing(os.Remove(filepath.Join(d.Path, f.Path)))
}
