package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

func (d *Dir) mode() fs.FileMode {
	if d.Mode == 0 {
		return 0o600
	}
	return d.Mode
}

// folderMode lets those into a folder who may read its files.
func (d *Dir) folderMode() fs.FileMode { return d.mode() | d.mode()&0o444>>2 | 0o700 }

// Make makes the folder, where there is none; it can be entered, whatever the process's mask is. The mode of a folder that
// exists is left to its owner.
func (d *Dir) Make() error {
	if _, err := os.Stat(d.Path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.Path, d.folderMode()); err != nil {
		return err
	}
	return os.Chmod(d.Path, d.folderMode())
}

// permit gives a file of the folder its mode, under the name full that it has for now, and lets those who may read it into
// its folder.
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

// replace writes a file beside and renames it onto the old one. By default nobody else may read it: it may have a key in it.
func (d *Dir) replace(path string, text []byte) error {
	full := filepath.Join(d.Path, path)
	if err := os.MkdirAll(filepath.Dir(full), d.folderMode()); err != nil {
		return err
	}
	if err := writeBeside(full, text, func(beside string) error { return d.permit(path, beside) }); err != nil {
		return err
	}
	if d.Changed != nil {
		d.Changed(path)
	}
	return nil
}

// writeBeside replaces a file as a whole; ready is called before the new one gets its name.
func writeBeside(full string, text []byte, ready func(beside string) error) error {
	beside := filepath.Join(filepath.Dir(full), besideName(filepath.Base(full)))
	err := os.WriteFile(beside, text, 0o600)
	if err == nil {
		err = ready(beside)
	}
	if err == nil {
		err = os.Rename(beside, full)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(beside)))
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
