//go:build unix

package scratch

import (
	"io/fs"
	"os"
	"syscall"
)

// isOwn reports whether a folder belongs to this user, and no other user can enter it.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return (!ok || int(stat.Uid) == os.Getuid()) && info.Mode().Perm()&0o077 == 0
}
