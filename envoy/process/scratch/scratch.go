// Package scratch makes temporary folders for files that may have keys in them, and removes those whose process has
// ended.
//
// All folders of a user are in one folder below the system's temporary folder, which no other user can enter. Each has
// a file that its process keeps locked. A process that is killed cannot remove its folder, but the system releases the
// lock, and the next call of [New] or [Sweep] removes all folders that are not locked.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockName is the name of the file that is locked: in a temporary folder as long as its process runs, in the user's
// folder while folders are made or removed, and in a folder that Lock has locked.
const lockName = ".lock"

// Dir is a temporary folder.
type Dir struct {
	Path string
	lock *os.File
}

// New makes a folder whose name begins with a word, and removes the folders whose process has ended.
func New(word string) (*Dir, error) {
	parent, err := private()
	if err != nil {
		return nil, err
	}
	guard, err := lock(filepath.Join(parent, lockName), true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = guard.Close() }() // which unlocks it
	sweep(parent)
	path, err := os.MkdirTemp(parent, word+"-")
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: path}
	if d.lock, err = lock(filepath.Join(path, lockName), true); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return d, nil
}

// Remove removes the folder. It does nothing for a nil Dir.
func (d *Dir) Remove() error {
	if d == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(d.Path), ignoreClosed(d.lock.Close()))
}

// Sweep removes the folders whose process has ended. It is for a process that does not call [New].
func Sweep() {
	if _, err := os.Lstat(place()); err != nil {
		return // there is no folder of this user, and none is made
	}
	parent, err := private()
	if err != nil {
		return
	}
	if guard, err := lock(filepath.Join(parent, lockName), true); err == nil {
		sweep(parent)
		_ = guard.Close() // which unlocks it
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func place() string { return filepath.Join(os.TempDir(), "waymark-"+strconv.Itoa(os.Getuid())) }

// private returns the folder of this user, and makes it if necessary. Another user may have made a folder of that name,
// so it is an error if the folder does not belong to this user, or if others can enter it.
func private() (string, error) {
	path := place()
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("no temporary folder can be made: %w; TMPDIR names another place", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || !isOwn(info) {
		return "", fmt.Errorf("%s must be a folder of this user alone, with mode 0700, since keys are kept in it; remove it, or name another place with TMPDIR", path)
	}
	return path, nil
}

// sweep removes the folders of processes that have ended. What cannot be removed is tried again by the next call.
func sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(parent, e.Name())
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		l, err := lock(filepath.Join(path, lockName), false)
		if err != nil {
			continue // its process still runs
		}
		_ = os.RemoveAll(path) // the next call tries again
		_ = l.Close()          // the file is gone
	}
}

// lock opens a file and locks it, until it is closed or the process ends. With wait, it waits until no other process
// has the lock. Children do not inherit it.
func lock(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f, wait); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Lock locks a folder for this process, until the file that it returns is closed. It is an error if another process has
// the lock.
func Lock(dir string) (*os.File, error) {
	f, err := lock(filepath.Join(dir, lockName), false)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s is used by another process of Waymark", dir)
	}
	return f, err
}
