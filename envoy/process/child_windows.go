package process

import "syscall"

// childAttributes puts Envoy into a process group of its own: it must not get the Ctrl-C of our console before its
// requests are answered.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
