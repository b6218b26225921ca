package listening

import "syscall"

// The flags of a TCP segment, and the offset of their byte in its header (RFC 9293, section 3.1).
const (
	flagsAt = 13
	syn     = 0x02
	ack     = 0x10
)

// Deafen drops the first packet of each new connection to a listening TCP socket. Connections that have begun continue.
func Deafen(fd int) error {
	//nolint:staticcheck // the package that replaces this deprecated function does not attach filters
	return syscall.AttachLsf(fd, []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_B | syscall.BPF_ABS, K: flagsAt},
		{Code: syscall.BPF_ALU | syscall.BPF_AND | syscall.BPF_K, K: syn | ack},
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 0xffffffff},
	})
}
