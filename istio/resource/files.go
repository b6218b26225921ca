package resource

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"waymark.dev/waymark/diag"
)

// Limits on what is read, in bytes. A file that exceeds one is reported.
const (
	maxFile  = 128 << 20
	maxFiles = 512 << 20 // all files of one call of Read together
)

// reader fills an [Input].
type reader struct {
	stdin    io.Reader
	input    *Input
	unfolder unfolder
	read     int64 // bytes so far
}

// documents reads the documents of files, and of the YAML and JSON files below folders; "-" is standard input. The
// files of a folder are read in the order of their names.
func (r *reader) documents(paths []string) []*document {
	var docs []*document
	for _, path := range paths {
		files, others, err := listFiles(path)
		if err != nil {
			r.refuse(path, err)
		}
		for _, file := range others {
			r.input.Findings.AddAt(diag.Place{File: file}, diag.Notice, "", nil, "", "is not a regular file; skipped")
		}
		for _, file := range files {
			data, err := r.file(file)
			if err != nil {
				r.refuse(file, err)
				continue
			}
			r.input.Texts.Add(file, string(data))
			docs = append(docs, split(file, data, &r.input.Findings)...)
		}
	}
	return docs
}

func (r *reader) refuse(file string, err error) {
	r.input.Findings.AddAt(diag.Place{File: file}, diag.Error, "", nil, "", "cannot be read: %s", withoutPath(err))
}

// file reads a file, or standard input.
func (r *reader) file(name string) ([]byte, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = readBounded(r.stdin)
	} else {
		data, err = ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	if r.read += int64(len(data)); r.read > maxFiles {
		return nil, errManyBytes
	}
	return data, nil
}

// ReadFile reads a regular file, or a file such as /dev/fd/63 that stands for one that the process has open. Other
// files are an error, since reading a pipe without a writer, or a device, would never end. A file of more than 128 MiB
// is an error. Errors do not contain the name of the file.
func ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !isOpenFile(name) {
		return nil, errNotRegular
	}
	if info.Mode().IsRegular() && info.Size() > maxFile {
		return nil, errLargeFile
	}
	return readBounded(f)
}

func readBounded(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errLargeFile
	}
	return data, err
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

// Files lists the files that the paths given with -f stand for: a file itself, and for a folder every regular .yaml,
// .yml and .json file below it that is not hidden. "-" is listed as it is. The error is that of a path that does not
// exist, or a folder that cannot be read.
func Files(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		files, _, err := listFiles(path)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// listFiles returns the files to read, and others: pipes, sockets and devices whose names end like those of files to
// read.
func listFiles(path string) (files, others []string, err error) {
	if path == "-" {
		return []string{path}, nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil, nil
	}
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") && file != path
		switch {
		case entry.IsDir() && hidden:
			return filepath.SkipDir
		case entry.IsDir() || hidden || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
		case isOther(file, entry):
			others = append(others, file)
		default:
			files = append(files, file)
		}
		return nil
	})
	return files, others, err
}

// isOther reports whether an entry of a folder is a pipe, a socket or a device, or a link to one.
func isOther(file string, entry fs.DirEntry) bool {
	kind := entry.Type()
	if kind&fs.ModeSymlink != 0 {
		info, err := os.Stat(file)
		if err != nil {
			return false // reading it gives the error
		}
		kind = info.Mode().Type()
	}
	return kind&^fs.ModeDir != 0
}
