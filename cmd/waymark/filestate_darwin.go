package main

import (
	"io/fs"
	"syscall"
	"time"
)

// changeOf is when a file or its state was changed last; a change of its state cannot be dated back.
func changeOf(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		at = latest(at, time.Unix(stat.Ctimespec.Unix()))
	}
	return at
}
