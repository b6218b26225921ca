package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"waymark.dev/waymark/internal/listening"
)

// deafen drops new connections to Envoy's listening sockets, except that of the admin interface. It reports whether it
// could: a system may not allow a process to get the sockets of its child.
func (p *Process) deafen() bool {
	own := listeningSockets(p.PID(), p.admin.port)
	if len(own) == 0 {
		return false
	}
	pidfd, err := unix.PidfdOpen(p.PID(), 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(pidfd) }() // an error does not matter: nothing was written
	ok := true
	for _, fd := range own {
		copied, err := unix.PidfdGetfd(pidfd, fd, 0)
		if err != nil {
			return false
		}
		ok = listening.Deafen(copied) == nil && ok
		_ = unix.Close(copied) // this closes only our copy of the descriptor
	}
	return ok
}

// listeningSockets returns the descriptors of a process that listen on TCP, except those on the port but.
func listeningSockets(pid int, but uint32) []int {
	inodes := map[string]bool{}
	for _, family := range []string{"tcp", "tcp6"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, family)) // a system may lack one
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode (proc(5))
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || strings.HasSuffix(f[1], fmt.Sprintf(":%04X", but)) {
				continue
			}
			inodes["socket:["+f[9]+"]"] = true
		}
	}
	var out []int
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the only possible error is a wrong pattern
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && inodes[target] {
			if fd, err := strconv.Atoi(filepath.Base(link)); err == nil {
				out = append(out, fd)
			}
		}
	}
	return out
}
