//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// inode is another one where a file was replaced, or 0 where the file system has none.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
