// Package listening closes listening sockets without losing a connection.
//
// The system accepts connections before the process does. When a listening socket is closed, the system resets the
// connections that the process has not accepted yet, although their clients are connected and may have sent a request.
// So before a socket is closed, [Deafen] attaches a filter in the kernel that drops the first packet of each new
// connection; connections whose handshake has begun are completed and accepted. A client whose first packet was dropped
// sends it again after a second and is refused, since the socket is closed by then: it has sent no request, and can go
// elsewhere. Only Linux has such filters.
package listening

import (
	"context"
	"net"
	"syscall"
)

// Listen opens a TCP socket for which [Deafen] works: one of plain TCP, while Go opens sockets of MPTCP by default.
// With shared, the port may be in use by other sockets that this user has opened with Listen, on other addresses;
// without, a port in use is an error.
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
