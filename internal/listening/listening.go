// Package listening ends listening sockets without losing a connection.
//
// A socket that is closed resets the connections that the system has made for it and nobody has accepted yet: their
// clients believe that they are connected, and may have sent a request. So before a socket is closed it stops hearing of
// new clients, with a filter in the kernel that drops the first packet of a connection; those that are half way in come
// in and are accepted. A client whose first packet was dropped sends it again after a second, and is refused then, when
// the socket is closed: it has sent nothing, and can go elsewhere. Only Linux has such filters.
package listening

import (
	"context"
	"net"
	"syscall"
)

// Listen opens a TCP socket that can be made deaf: one of plain TCP, which sockets of Go are not (they are of MPTCP). With
// shared, it may have a port that this user's sockets on other addresses have, if they were opened so too: else it is
// taken only if nobody has it.
func Listen(ctx context.Context, address string, shared bool) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	if !shared {
		l, err := c.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	c.Control = func(_, _ string, raw syscall.RawConn) (err error) {
		if e := raw.Control(func(fd uintptr) { err = sharePort(fd) }); e != nil {
			return e
		}
		return err
	}
	return c.Listen(ctx, "tcp", address)
}
