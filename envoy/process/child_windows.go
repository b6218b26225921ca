package process

import "syscall"

// childAttributes puts Envoy into a process group of its own, so that Ctrl-C in our console does not end it before its
// requests are answered.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
