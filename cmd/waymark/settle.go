package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"waymark.dev/waymark/istio/resource"
)

// A set of files is read only when nobody is writing it any more. A file that is written in place is shorter for a while,
// and the rules that it holds by then may be the ones that allow, without those that forbid. So the set is looked at again
// and again, and read once two looks that are --settle apart, and all between them, have seen the same; if it is another
// one when it has been read, it is read again.
//
// Looking works on every file system and for every editor, which notifications do not.

// Looks at a set that does not change are lookInterval apart. A large set is looked at less often, so that looking takes
// one part in lookShare of the time, but every lookLongest at least.
const (
	lookInterval = 500 * time.Millisecond
	lookShare    = 20
	lookLongest  = 5 * time.Second
)

// set is what files hold at one moment.
type set struct {
	// digest covers names, sizes, times, inodes and contents, and the errors of those that cannot be read.
	digest [sha256.Size]byte
	// changed is the latest change of a file, of its state or of its folder, as the file system has it.
	changed time.Time
	// files are the digests of single files, by name.
	files map[string][sha256.Size]byte
}

// look reads the files of some arguments of -f, and more files. Pipes and devices are known by name and kind alone:
// reading one could take for ever.
func look(paths, more []string) set {
	s := set{files: map[string][sha256.Size]byte{}}
	sum := sha256.New()
	files, err := resource.Files(paths)
	if err != nil {
		_, _ = fmt.Fprintln(sum, err) // a hash takes everything
	}
	for _, folder := range paths { // one that is empty is about to be filled
		if info, err := os.Stat(folder); err == nil {
			s.changed = latest(s.changed, changeOf(info))
		}
	}
	for _, name := range append(files, more...) {
		for _, place := range []string{name, filepath.Dir(name)} {
			if info, err := os.Stat(place); err == nil {
				s.changed = latest(s.changed, changeOf(info))
			}
		}
		file := sha256.New()
		if err := sumFile(file, name); err != nil {
			_, _ = fmt.Fprintln(file, err) // as above
		}
		s.files[name] = [sha256.Size]byte(file.Sum(nil))
		_, _ = fmt.Fprintf(sum, "%q %x\n", name, s.files[name]) // as above
	}
	sum.Sum(s.digest[:0])
	return s
}

// sumFile writes what a file is and what it holds, each with its length.
func sumFile(w io.Writer, name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		_, err = fmt.Fprintln(w, info.Mode().Type())
		return err
	}
	if err := binary.Write(w, binary.BigEndian, []uint64{uint64(info.Size()), uint64(info.ModTime().UnixNano()), inode(info)}); err != nil {
		return err
	}
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return err
	}
	_, err = w.Write(content.Sum(nil))
	return err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// settling watches a set of files until it has not changed for a time.
type settling struct {
	look  func() set
	quiet time.Duration // --settle

	last  set
	since time.Time // when last was seen first
	cost  time.Duration
}

// next looks once more, and reports whether the set has settled.
func (s *settling) next() bool {
	begun := time.Now()
	now := s.look()
	s.cost = time.Since(begun)
	if s.since.IsZero() || now.digest != s.last.digest {
		s.since = begun
	}
	s.last = now
	return time.Since(s.since) >= s.quiet
}

// pause is how long to wait before the next look; a set that is about to settle is looked at more often.
func (s *settling) pause() time.Duration {
	pause := lookInterval
	if rest := s.quiet - time.Since(s.since); rest > 0 {
		pause = min(pause, max(s.quiet/4, 10*time.Millisecond))
	}
	return max(pause, min(lookShare*s.cost, lookLongest))
}

// toldAfter is how long waiting at the start goes untold.
const toldAfter = 3 * time.Second

// first waits until the set has settled at the start. A set that was not changed for that time, by the file system,
// need not be waited for, unless it was seen to change. Waiting for long is told, once.
func (s *settling) first(ctx context.Context, changed bool, told func()) error {
	s.next()
	if changed {
		s.since = time.Now()
	} else if age := time.Since(s.last.changed); age >= s.quiet { // never true for times in the future
		s.since = time.Now().Add(-age)
		return nil
	}
	begun, said := time.Now(), false
	for !s.next() {
		if !said && time.Since(begun) > toldAfter {
			said = true
			told()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.pause()):
		}
	}
	return nil
}

// unchanged looks whether the set is still the one that had settled.
func (s *settling) unchanged() bool {
	return s.look().digest == s.last.digest
}
