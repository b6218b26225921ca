// Package listening ends listening sockets without losing a connection.
//
// A socket that is closed resets the connections that the system has made for it and nobody has accepted yet: their
// clients believe that they are connected, and may have sent a request. So before a socket is closed it stops hearing of
// new clients, with a filter in the kernel that drops the first packet of a connection; those that are half way in come
// in and are accepted. A client whose first packet was dropped sends it again after a second, and is refused then, when
// the socket is closed: it has sent nothing, and can go elsewhere.
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
		if e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1) }); e != nil {
			return e
		}
		return err
	}
	return c.Listen(ctx, "tcp", address)
}

// soReusePort has no name in the syscall package (asm-generic/socket.h).
const soReusePort = 15

// Flags of a TCP segment, and where they stand in its header (RFC 9293, section 3.1).
const (
	flagsAt = 13
	syn     = 0x02
	ack     = 0x10
)

// Deafen keeps the first packets of connections from a listening TCP socket. Those that have begun go on.
func Deafen(fd int) error {
	//nolint:staticcheck // the package that it is to be replaced by writes filters, and does not attach them
	return syscall.AttachLsf(fd, []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_B | syscall.BPF_ABS, K: flagsAt},
		{Code: syscall.BPF_ALU | syscall.BPF_AND | syscall.BPF_K, K: syn | ack},
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0xffffffff},
	})
}
