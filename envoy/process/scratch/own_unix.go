//go:build unix

package scratch

import (
	"io/fs"
	"os"
	"syscall"
)

// isOwn is true for a folder that belongs to this user, and that nobody else can enter.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return (!ok || int(stat.Uid) == os.Getuid()) && info.Mode().Perm()&0o077 == 0
}
