//go:build unix

package process

import (
	"os"
	"syscall"
)

// terminate sends a process SIGTERM, the signal to end.
func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
