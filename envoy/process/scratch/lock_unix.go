//go:build unix

package scratch

import (
	"errors"
	"os"
	"syscall"
)

// errLocked is the error of lockFile where another process has the lock.
const errLocked = syscall.EWOULDBLOCK

// lockFile locks an open file until it is closed.
func lockFile(f *os.File, wait bool) error {
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
