package process

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

// The range of ports that FreePorts returns. It is below the range from which systems choose the ports of outgoing
// connections (32768 and up on Linux), so that no connection uses a port between the time when it is found and the time
// when it is bound.
const (
	firstPort = 15_000
	portCount = 15_000
)

var ports struct {
	sync.Mutex
	next int // the offset of the port to try next; a port is tried again only after all others
}

// Processes that look for ports at the same time begin at different ports.
func init() { ports.next = os.Getpid() * 131 % portCount }

// FreePorts finds n different ports of 127.0.0.1 that no program uses now.
func FreePorts(n int) ([]uint32, error) {
	ports.Lock()
	defer ports.Unlock()
	var found []uint32
	for range portCount {
		if len(found) == n {
			return found, nil
		}
		port := firstPort + ports.next
		ports.next = (ports.next + 1) % portCount
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // the port is in use
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		found = append(found, uint32(port))
	}
	return nil, fmt.Errorf("%d free ports of the loopback address are needed, and only %d were found", n, len(found))
}
