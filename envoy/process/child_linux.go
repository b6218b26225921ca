package process

import "syscall"

// childAttributes puts Envoy into a process group of its own, so that a signal of the terminal, such as that of Ctrl-C,
// does not end it before its requests are answered. The kernel kills Envoy when our process is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
