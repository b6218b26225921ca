package resource

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"waymark.dev/waymark/diag"
)

// Limits on what is read, in bytes. A file that exceeds one is reported.
const (
	maxFile  = 128 << 20
	maxFiles = 512 << 20 // all files of one call of Read together
)

// reader fills an [Input].
type reader struct {
	options   Options
	input     *Input
	converter converter
	trees     *trees
	asides    asides
	patches   map[string]bool // files that are patches of a kustomization, by real path
	seen      map[string]bool // files that were read, by real path
	file      string          // that is read
	read      int64           // bytes of the files so far, with all of the one that is read
	at, told  int64           // how far their documents were read, and where that was reported last
	ours      int             // documents of kinds that Waymark reads
	twice     bool            // the document that is read may have a key twice
}

// path reads what an argument of -f stands for.
func (r *reader) path(path string) {
	l := lister{remote: r.options.AllowRemote}
	if err := l.add(path); err != nil {
		r.refuse(path, err)
	}
	for _, file := range l.others {
		r.input.Findings.AddAt(diag.Place{File: file}, diag.Notice, "", nil, "", "is not a regular file; skipped")
	}
	if r.seen == nil {
		r.seen, r.patches = map[string]bool{}, map[string]bool{}
	}
	maps.Copy(r.patches, patchesOf(l.files))
	for _, file := range l.files {
		real := realPath(file)
		if r.seen[real] {
			continue
		}
		r.seen[real] = file != "-"
		r.file, r.told = file, -progressEvery
		r.reached(r.read)
		text, err := r.content(file)
		if err != nil {
			r.refuse(file, err)
			continue
		}
		r.text(file, real, plainText(text))
	}
}

func (r *reader) refuse(file string, err error) {
	r.input.Broken = append(r.input.Broken, file)
	r.input.Findings.AddAt(diag.Place{File: file}, diag.Error, "", nil, "", "cannot be read: %s", withoutPath(err))
}

// progressEvery is how many bytes of a file are read between two reports of progress.
const progressEvery = 1 << 20

// reached reports progress: that the reader is at some byte of all files.
func (r *reader) reached(at int64) {
	if r.at = at; at-r.told >= progressEvery && r.options.Progress != nil {
		r.told = at
		r.options.Progress(r.file, at)
	}
}

// content reads a file, an address, or standard input.
func (r *reader) content(name string) (text string, err error) {
	switch {
	case name == "-" && r.options.Stdin == nil:
		return "", nil
	case name == "-":
		text, err = readBounded(r.options.Stdin, 0)
	case isRemote(name):
		text, err = fetch(name)
	default:
		text, err = readText(name)
	}
	if err != nil {
		return "", err
	}
	if r.read += int64(len(text)); r.read > maxFiles {
		return "", errManyBytes
	}
	return text, nil
}

// isRemote reports whether a path is an address.
func isRemote(path string) bool {
	return strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://")
}

// fetchTimeout bounds reading from an address.
const fetchTimeout = 30 * time.Second

// fetch reads from an address.
func fetch(address string) (string, error) {
	client := &http.Client{Timeout: fetchTimeout}
	response, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it was read only
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", response.Status)
	}
	return readBounded(response.Body, response.ContentLength)
}

// ReadFile reads a regular file, or a file such as /dev/fd/63 that stands for one that the process has open. Other
// files are an error, since reading a pipe without a writer, or a device, would never end. A file of more than 128 MiB
// is an error. Errors do not contain the name of the file.
func ReadFile(name string) ([]byte, error) {
	text, err := readText(name)
	if err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// readText is [ReadFile] with a text, which large files are read into without a copy.
func readText(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() && !isOpenFile(name) {
		return "", errNotRegular
	}
	if info.Mode().IsRegular() && info.Size() > maxFile {
		return "", errLargeFile
	}
	return readBounded(f, info.Size())
}

// readBounded reads all, which is probably of some size.
func readBounded(from io.Reader, size int64) (string, error) {
	var text strings.Builder
	text.Grow(int(min(max(size, 0), maxFile)))
	n, err := io.Copy(&text, io.LimitReader(from, maxFile+1))
	if err == nil && n > maxFile {
		err = errLargeFile
	}
	return text.String(), err
}

var (
	errNotRegular = errors.New("it is not a regular file")
	errLargeFile  = fmt.Errorf("it is larger than %d MiB; split it", maxFile>>20)
	errManyBytes  = fmt.Errorf("with it, the files are larger than %d MiB together", maxFiles>>20)
)

// isOpenFile reports whether a name stands for a file that the process has open, such as /dev/fd/63, which a shell
// passes for <(command).
func isOpenFile(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// withoutPath removes the path from an error of the file system, since the finding has it already.
func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// Files lists the files that the paths given with -f stand for: a file itself; for a folder every regular .yaml, .yml,
// .json and .jsonc file below it that is not hidden; for a pattern such as rules/*.yaml what it matches; for names that are
// separated by commas each of them, unless there is a file whose name has the comma. Links to folders are followed, and
// each folder is read once. "-" and addresses are listed as they are. The error is that of a path that does not exist,
// or a folder that cannot be read.
func Files(paths []string) ([]string, error) {
	l := lister{remote: true}
	for _, path := range paths {
		if err := l.add(path); err != nil {
			return nil, err
		}
	}
	return l.files, nil
}

// lister lists files to read, and others: pipes, sockets and devices whose names end like those of files to read.
type lister struct {
	remote        bool // addresses are allowed
	files, others []string
	folders       map[string]bool // that were listed, by real path
}

var errRemote = errors.New("it is an address; give --allow-remote to read it")

func (l *lister) add(path string) error {
	if path == "-" || isRemote(path) && l.remote {
		l.files = append(l.files, path)
		return nil
	}
	if isRemote(path) {
		return errRemote
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if parts := strings.Split(path, ","); len(parts) > 1 {
			for _, part := range parts {
				if err := l.add(part); err != nil {
					return &fs.PathError{Op: "read", Path: part, Err: fmt.Errorf("%s: %w", part, withoutPath(err))}
				}
			}
			return nil
		}
		if strings.ContainsAny(path, "*?[") {
			return l.pattern(path)
		}
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return l.folder(path)
	}
	l.files = append(l.files, path)
	return nil
}

func (l *lister) pattern(pattern string) error {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(matches) == 0 {
		return errors.New("no file matches the pattern")
	}
	for _, match := range matches {
		if err := l.add(match); err != nil {
			return err
		}
	}
	return nil
}

// folder lists the files below a folder, in the order of their names. A folder that several links lead to is listed once,
// so that links cannot make a loop.
func (l *lister) folder(dir string) error {
	if l.folders == nil {
		l.folders = map[string]bool{}
	}
	real := realPath(dir)
	if l.folders[real] {
		return nil
	}
	l.folders[real] = true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		kind := entry.Type()
		if kind&fs.ModeSymlink != 0 {
			if info, err := os.Stat(path); err == nil { // else reading it gives the error
				kind = info.Mode().Type()
			}
		}
		switch {
		case kind.IsDir():
			if err := l.folder(path); err != nil {
				return err
			}
		case !slices.Contains([]string{".yaml", ".yml", ".json", ".jsonc"}, filepath.Ext(name)) && name != "Kustomization":
		case kind&^fs.ModeSymlink != 0:
			l.others = append(l.others, path)
		default:
			l.files = append(l.files, path)
		}
	}
	return nil
}

// realPath is a path without links; the path itself where it does not exist.
func realPath(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	if absolute, err := filepath.Abs(real); err == nil {
		return absolute
	}
	return real
}
