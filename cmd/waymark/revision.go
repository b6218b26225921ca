package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// checkout writes the files of a revision of git, below some paths, into a new folder, which the caller removes. Paths are
// those of the current folder; without any, it is the folder. The result is "" if the revision has none of them.
func checkout(revision string, paths []string) (folder string, err error) {
	if strings.HasPrefix(revision, "-") {
		return "", usageError("%q is not a revision of git", revision)
	}
	if _, err := git("", "rev-parse", "--verify", "--quiet", revision+"^{commit}"); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", &exitError{exitBadInput, fmt.Errorf("%s: not a file, and git, which could know it as a revision, is not installed", revision)}
		}
		return "", &exitError{exitBadInput, fmt.Errorf("%s: neither a file or folder nor a revision of git here", revision)}
	}
	fail := func(err error) (string, error) {
		return "", &exitError{exitBadInput, fmt.Errorf("%s: %w", revision, err)}
	}
	top, err := git("", "rev-parse", "--show-toplevel")
	if err != nil {
		return fail(err)
	}
	prefix, err := git("", "rev-parse", "--show-prefix")
	if err != nil {
		return fail(err)
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	root := strings.TrimSuffix(string(top), "\n")
	var there []string
	for _, p := range paths {
		whole := path.Join(strings.TrimSuffix(string(prefix), "\n"), filepath.ToSlash(p))
		if !filepath.IsLocal(whole) {
			return fail(fmt.Errorf("%s is outside of the repository", p))
		}
		list, err := git(root, "ls-tree", "-r", "--name-only", "-z", revision, "--", whole)
		if err != nil {
			return fail(err)
		}
		if len(list) > 0 {
			there = append(there, ":(literal)"+whole)
		}
	}
	if len(there) == 0 {
		return "", nil
	}
	archive, err := git(root, append([]string{"archive", "--format=tar", revision, "--"}, there...)...)
	if err != nil {
		return fail(err)
	}
	if folder, err = os.MkdirTemp("", "waymark-diff-"); err != nil {
		return "", err
	}
	return folder, unpack(bytes.NewReader(archive), folder)
}

// git runs git in a folder, "" for the current one, and returns what it prints.
func git(folder string, args ...string) ([]byte, error) {
	command := exec.Command("git", args...)
	command.Dir = folder
	var out, talk bytes.Buffer
	command.Stdout, command.Stderr = &out, &talk
	if err := command.Run(); err != nil {
		if text, _, _ := strings.Cut(strings.TrimSpace(talk.String()), "\n"); text != "" {
			return nil, errors.New(text)
		}
		return nil, err
	}
	return out.Bytes(), nil
}

// unpack writes the regular files of an archive into a folder.
func unpack(archive io.Reader, folder string) error {
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg:
			continue
		case !filepath.IsLocal(h.Name):
			return fmt.Errorf("%s: not a path below the folder", h.Name)
		}
		name := filepath.Join(folder, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
