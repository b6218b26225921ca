//go:build unix && !linux

package process

import "syscall"

// childAttributes puts Envoy into a process group of its own: it must not get what a terminal sends to ours before its
// requests are answered. These systems cannot end it when our process is killed.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
