package scratch

import (
	"os"

	"golang.org/x/sys/windows"
)

// errLocked is the error of lockFile where another process has the lock.
const errLocked = windows.ERROR_LOCK_VIOLATION

// lockFile locks an open file until it is closed.
func lockFile(f *os.File, wait bool) error {
	var how uint32 = windows.LOCKFILE_EXCLUSIVE_LOCK
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
}
