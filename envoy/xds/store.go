package xds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"waymark.dev/waymark/envoy"
)

// store keeps the history of each group in a folder of its own: a file for each collection, named by its content, and one
// that lists the targets. A target is written before any proxy gets it, so a server that is started anew in the middle of a
// change knows what proxies may have.
type store struct {
	dir string // "": nothing is kept
}

// historyFile lists the targets of a group, the latest last.
const historyFile = "history.json"

type storedHistory struct {
	Group   Group          `json:"group"` // for people
	Targets []storedTarget `json:"targets"`
	// Proven is the place of the target that a proxy has taken whole; -1 for none.
	Proven int `json:"proven"`
}

// storedTarget has the versions of its collections by type.
type storedTarget map[string]string

func (s *store) file(g *group, typ, version string) string {
	return filepath.Join(s.dir, g.id, typ+"-"+version+".pb")
}

// write writes what is not there yet, and removes what is not needed any more.
func (s *store) write(g *group) error {
	if s.dir == "" {
		return nil
	}
	dir := filepath.Join(s.dir, g.id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	history := storedHistory{Group: g.Group, Proven: -1}
	needed := map[string]bool{historyFile: true}
	for i, t := range g.history {
		stored := storedTarget{}
		for kind, c := range t.view {
			if c == nil {
				continue
			}
			typ := types[kind].Short()
			stored[typ] = c.version
			path := s.file(g, typ, c.version)
			needed[filepath.Base(path)] = true
			if _, err := os.Stat(path); err == nil {
				continue
			}
			if err := replace(path, encodeDelta(kind, c.order, nil)); err != nil {
				return err
			}
		}
		if t == g.proven {
			history.Proven = i
		}
		history.Targets = append(history.Targets, stored)
	}
	text, err := json.Marshal(history)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, historyFile), text); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if !needed[f.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

// remove removes what is kept of a group.
func (s *store) remove(g *group) error {
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.dir, g.id))
}

// replace writes a file that only its owner can read, whole or not at all.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// read gives a group the history that was written for it. The target is not that of before: what is to be served now comes
// from the resources as they are now.
func (s *store) read(g *group) error {
	if s.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, g.id, historyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var history storedHistory
	if err := json.Unmarshal(text, &history); err != nil {
		return err
	}
	var before view
	for i, stored := range history.Targets {
		t := &target{}
		for kind, typ := range types {
			version, ok := stored[typ.Short()]
			if !ok {
				continue
			}
			if c := before[kind]; c != nil && c.version == version {
				t.view[kind] = c
				continue
			}
			if t.view[kind], err = s.collection(g, kind, version, before[kind]); err != nil {
				return err
			}
		}
		before = t.view
		g.history = append(g.history, t)
		if i == history.Proven {
			g.proven = t
		}
	}
	return nil
}

func (s *store) collection(g *group, kind int, version string, before *collection) (*collection, error) {
	path := s.file(g, types[kind].Short(), version)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	messages, err := decodeResources(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	resources := make([]envoy.Resource, len(messages))
	for i, m := range messages {
		resources[i] = envoy.Resource{Key: envoy.KeyOf(m), Message: m}
	}
	entries, err := collectEntries(resources, before)
	if err != nil {
		return nil, err
	}
	c := g.pool.collect(kind, entries)
	if c.version != version {
		return nil, fmt.Errorf("%s has other resources than its name says", path)
	}
	return c, nil
}
