package process

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
)

// Ports are handed out from below the range that systems take the ports of outgoing connections from (32768 and up on
// Linux), so that none of them is taken by a connection between the time it is found and the time it is bound.
const (
	firstPort = 15_000
	portCount = 15_000
)

var ports struct {
	sync.Mutex
	next int // offset of the port to try next; no port is handed out twice before all were
}

// Processes that look for ports at the same time begin at different places.
func init() { ports.next = os.Getpid() * 131 % portCount }

// FreePorts finds ports of the loopback address that nothing uses now.
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
			continue // somebody has it
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
		found = append(found, uint32(port))
	}
	return nil, fmt.Errorf("%d free ports of the loopback address are needed, and only %d were found", n, len(found))
}
