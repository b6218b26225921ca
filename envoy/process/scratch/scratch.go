// Package scratch makes temporary folders that do not outlive their process: for files that may hold keys.
//
// All of a user's stand in one folder below the system's temporary one, which nobody else can enter. Each holds a file
// that its process keeps locked. A process that is killed cannot remove its own, but the system takes the lock away, and
// whoever makes the next one removes what is not locked.
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

// lockName is the file that is locked: in a temporary folder while its process lives, and in the folder of the user while
// folders are made or looked at.
const lockName = ".lock"

// Dir is a temporary folder.
type Dir struct {
	Path string
	lock *os.File
}

// New makes a folder whose name begins with a word, and removes those whose process has ended.
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

// Remove removes the folder. Nil has none.
func (d *Dir) Remove() error {
	if d == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(d.Path), ignoreClosed(d.lock.Close()))
}

// Sweep removes the folders whose process has ended, for a process that needs none itself.
func Sweep() {
	if _, err := os.Lstat(place()); err != nil {
		return // there is nothing of ours, and nothing is made
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

// private is the folder of this user. Whoever made it first could have given it to somebody else: it must be ours alone.
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

// sweep removes what processes that have ended left behind. What cannot be removed is left to the next.
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
			continue // its process lives
		}
		_ = os.RemoveAll(path) // see above
		_ = l.Close()          // the file is gone
	}
}

// lock opens a file and locks it, until it is closed or the process ends. Children do not inherit it.
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

// Lock keeps everybody else from the lock of a folder, until what it returns is closed; the error says that somebody has it.
func Lock(dir string) (*os.File, error) {
	f, err := lock(filepath.Join(dir, lockName), false)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s is used by another process of Waymark", dir)
	}
	return f, err
}
