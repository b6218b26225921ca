// Package rawecho is an upstream for tests that takes every request as it is: where net/http would answer 400, it says
// what it got. Like echo, it plays many destinations, each at an address of its own.
package rawecho

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"

	"waymark.dev/waymark/e2e/internal/echo"
)

// Server answers each request with the JSON of what it saw, an [echo.Request].
type Server struct {
	mu           sync.Mutex
	destinations map[string]string // address to name
	addresses    map[string]string // name to address
	listener     net.Listener
}

// Start listens on every local address.
func Start() (*Server, error) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	s := &Server{destinations: map[string]string{}, addresses: map[string]string{}, listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go s.serve(c)
		}
	}()
	return s, nil
}

// Close ends it. Connections end with their clients.
func (s *Server) Close() error { return s.listener.Close() }

// Address is the address and port of a destination, which exists from then on.
func (s *Server) Address(name string) (ip string, port uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	port = uint32(s.listener.Addr().(*net.TCPAddr).Port)
	if a, ok := s.addresses[name]; ok {
		return a, port
	}
	n := len(s.addresses) + 1
	ip = fmt.Sprintf("127.2.%d.%d", n/250, n%250+1)
	s.addresses[name], s.destinations[ip] = ip, name
	return ip, port
}

func (s *Server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return
	}
	s.mu.Lock()
	name := s.destinations[host]
	s.mu.Unlock()
	r := bufio.NewReaderSize(c, 1<<17)
	for {
		seen, err := read(r)
		if err != nil {
			return
		}
		seen.Destination = name
		body, err := json.Marshal(seen)
		if err != nil {
			return
		}
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-seen: %x\r\ncontent-length: %d\r\n\r\n", body, len(body))
		if seen.Method == "HEAD" {
			body = nil
		}
		if _, err := io.WriteString(c, head+string(body)); err != nil {
			return
		}
	}
}

// read takes a request: its line in three parts, its headers in lower case, and a body that is dropped.
func read(r *bufio.Reader) (seen echo.Request, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return seen, err
	}
	seen.Method, line, _ = strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	seen.Path = strings.TrimSuffix(line, " HTTP/1.1")
	seen.Headers = map[string][]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return seen, err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.TrimSpace(value)
		if name == "host" {
			seen.Authority = value
		} else {
			seen.Headers[name] = append(seen.Headers[name], value)
		}
	}
	if h := seen.Headers["transfer-encoding"]; len(h) > 0 && h[0] == "chunked" {
		_, err = io.Copy(io.Discard, httputil.NewChunkedReader(r))
		if err == nil {
			_, err = r.ReadString('\n') // no trailers are sent
		}
		return seen, err
	}
	if h := seen.Headers["content-length"]; len(h) > 0 {
		n, err := strconv.ParseInt(h[0], 10, 64)
		if err != nil {
			return seen, err
		}
		_, err = io.CopyN(io.Discard, r, n)
		return seen, err
	}
	return seen, nil
}
