// Package echo is an upstream for tests: one listener that plays many destinations. Each destination is an address of its
// own in 127.0.0.0/8 on the same port, so that the address a request came to says which destination was meant.
package echo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Request is what a destination saw.
type Request struct {
	Destination string              `json:"destination"`
	Method      string              `json:"method"`
	Authority   string              `json:"authority"`
	Path        string              `json:"path"`
	Headers     map[string][]string `json:"headers"`
}

// Server answers each request with the JSON of what it saw.
type Server struct {
	mu           sync.Mutex
	destinations map[string]string // address to name
	addresses    map[string]string // name to address
	respond      http.Header
	counts       map[string]int
	held         chan struct{} // the next request waits until it is closed
	began        chan struct{} // closed when that request is there
	http         *http.Server
	port         uint32
}

// SeenHeader of a response holds the JSON of its body in base64, for requests that get no body.
const SeenHeader = "X-Echo-Seen"

// Start listens on every local address.
func Start() (*Server, error) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		destinations: map[string]string{}, addresses: map[string]string{}, counts: map[string]int{},
		port: uint32(l.Addr().(*net.TCPAddr).Port),
	}
	s.http = &http.Server{Handler: s, MaxHeaderBytes: 1 << 20} //nolint:gosec // a test's clients are its own
	go func() { _ = s.http.Serve(l) }()                        // ends when closed
	return s, nil
}

// Close ends it.
func (s *Server) Close() error { return s.http.Close() }

// Address is the address and port of a destination, which exists from then on.
func (s *Server) Address(name string) (ip string, port uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.addresses[name]; ok {
		return a, s.port
	}
	n := len(s.addresses) + 1
	ip = fmt.Sprintf("127.1.%d.%d", n/250, n%250+1)
	s.addresses[name], s.destinations[ip] = ip, name
	return ip, s.port
}

// Respond sets the headers of the responses from now on.
func (s *Server) Respond(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = h
}

// Hold makes the next request wait until Release; what it returns is closed when that request is there.
func (s *Server) Hold() (began <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.began = make(chan struct{}), make(chan struct{})
	return s.began
}

// Release lets the request go that Hold holds.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held)
	s.held = nil
}

// Count is how many requests a destination has seen, mirrored ones included.
func (s *Server) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[name]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()) // an address of TCP
	s.mu.Lock()
	seen := Request{s.destinations[local], r.Method, r.Host, r.RequestURI, map[string][]string{}}
	s.counts[seen.Destination]++
	held := s.held
	if s.began != nil {
		close(s.began)
		s.began = nil
	} else {
		held = nil // only the first one waits
	}
	for name, values := range s.respond {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	for name, values := range r.Header {
		seen.Headers[strings.ToLower(name)] = values
	}
	text, _ := json.Marshal(seen) // plain values
	w.Header().Set(SeenHeader, base64.StdEncoding.EncodeToString(text))
	_, _ = w.Write(text) // the proxy may be gone
}
