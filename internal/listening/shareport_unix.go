//go:build unix

package listening

import "golang.org/x/sys/unix"

// sharePort allows other sockets of this user to have the port of this one.
func sharePort(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}
