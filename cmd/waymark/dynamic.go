package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waymark.dev/waymark/envoy"
	"waymark.dev/waymark/envoy/files"
	"waymark.dev/waymark/envoy/process"
	"waymark.dev/waymark/envoy/process/scratch"
	"waymark.dev/waymark/plan"
)

// dynamicFlags are about the files that an Envoy watches which Waymark does not run.
type dynamicFlags struct {
	dir, admin, fileMode string
	pause                time.Duration

	mode   fs.FileMode
	paused bool // --pause was given
	here   bool // Envoy runs, or will run, on this machine
}

func (f *dynamicFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "dynamic", "", "write files that Envoy watches into this folder, instead of printing")
	addFileModeFlag(c, &f.fileMode)
	c.Flags().StringVar(&f.admin, "admin", "", "with --dynamic: ADDRESS:PORT or socket of the admin interface of the Envoy that watches (default: what bootstrap.json in the folder names)")
	c.Flags().DurationVar(&f.pause, "pause", time.Second, "with --dynamic: wait so long after each step, for an Envoy that cannot be asked: its bootstrap names no admin interface, or, where --pause is given, it cannot be reached from here")
}

func (f *dynamicFlags) parse(c *cobra.Command) (err error) {
	f.paused = c.Flags().Changed("pause")
	if f.paused && f.admin != "" {
		return usageError("--admin asks Envoy, and --pause waits without asking; give one of them")
	}
	f.mode, err = parseFileMode(f.fileMode)
	return err
}

// isServed reports whether a folder has a configuration.
func isServed(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, envoy.BootstrapFile))
	return err == nil
}

// write brings a plan into the files of a folder, and prints which have changed.
func (f *dynamicFlags) write(ctx context.Context, talk io.Writer, p *plan.Plan, o envoy.Options) error {
	var err error
	if o.Dir, err = filepath.Abs(f.dir); err != nil {
		return err
	}
	writeModule := nameModule(&o)
	resources, err := envoy.Build(p, o)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	notice := noticesTo(talk)
	d := &files.Dir{Path: o.Dir, Mode: f.mode, Notice: notice, Changed: func(file string) { fmt.Fprintln(talk, file) }}
	if err := d.Make(); err != nil {
		return err
	}
	lock, err := scratch.Lock(o.Dir)
	if err != nil {
		return &exitError{exitBadInput, err}
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	if err := f.watch(ctx, d, notice); err != nil {
		return &exitError{exitBadInput, err}
	}
	if err := f.enoughWatches(d, resources); err != nil {
		return err
	}
	if writeModule != nil {
		if err := writeModule(); err != nil {
			return err
		}
	}
	if !isServed(o.Dir) { // the first time
		reportLimits(notice, &o)
	}
	return d.Apply(ctx, resources)
}

// watch finds the Envoy that reads the folder.
func (f *dynamicFlags) watch(ctx context.Context, d *files.Dir, notice func(string)) error {
	var addresses []string
	switch {
	case f.admin != "":
		addresses = []string{f.admin}
	case !isServed(d.Path):
		return nil // no Envoy was started yet
	case !f.paused:
		var err error
		if addresses, err = d.AdminAddresses(); err != nil {
			return fmt.Errorf("%w; --admin names the admin interface of the Envoy that watches", err)
		}
	}
	if len(addresses) == 0 {
		d.Watcher = files.Pause(f.pause)
		return nil
	}
	for _, address := range addresses {
		ask := process.Ask(address)
		limited, cancel := context.WithTimeout(ctx, files.DefaultLimit)
		err := d.Reads(limited, ask)
		cancel()
		switch {
		case err == nil:
			d.Watcher, d.Admin = &files.Admin{Ask: ask}, address
			return nil
		case f.admin != "":
			return fmt.Errorf("--admin %s: %w", address, err)
		case !isClosed(err):
			return fmt.Errorf("the admin interface that %s names, %s: %w; --admin names that of the Envoy that watches %s, and with --pause none is asked",
				envoy.BootstrapFile, address, err, d.Path)
		}
	}
	notice(fmt.Sprintf("no Envoy answers at %s, which %s names, so none is running: the files are written as they should be in the end. "+
		"For one that runs and cannot be reached from here, --pause writes them step by step", addresses[0], envoy.BootstrapFile))
	return nil
}

// isClosed: nobody listens at an address.
func isClosed(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// enoughWatches looks whether Envoy will get as many instances of inotify as it needs.
func (f *dynamicFlags) enoughWatches(d *files.Dir, next *envoy.Resources) error {
	if !f.here {
		return nil
	}
	n := files.Watches(next)
	if d.Watcher != nil {
		var err error
		if n, err = d.More(next); err != nil {
			return err
		}
	}
	return enoughWatches(n)
}
