package proxy

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
)

// watchedConn looks at the heads of requests as they come in. net/http takes a request that has both a length and chunks,
// or the same length twice, and drops a line without a word; Envoy refuses it, since whoever believes the other one reads
// another request.
type watchedConn struct {
	net.Conn

	mu      sync.Mutex
	isHead  bool   // what comes next belongs to a head
	head    []byte // what has come of it
	isWhole bool
	lengths int // lines about the length of the body
}

// maxWatched bounds what is kept of a head; net/http ends a larger one by itself.
const maxWatched = maxHeaders + 8<<10

// Read reads as the connection does.
func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isHead || n == 0 {
		return n, err
	}
	if len(c.head)+n > maxWatched {
		c.isHead, c.head = false, nil
		return n, err
	}
	from := max(0, len(c.head)-3)
	c.head = append(c.head, b[:n]...)
	if end := headEnd(c.head[from:]); end >= 0 {
		c.isHead, c.isWhole, c.lengths = false, true, lengthsOf(c.head[:from+end])
		c.head = nil
	}
	return n, err
}

// headEnd is the place of the empty line that ends a head, or -1. Some clients end lines with a line feed alone.
func headEnd(b []byte) int {
	for i := range b {
		if b[i] == '\n' && (bytes.HasPrefix(b[i+1:], []byte("\n")) || bytes.HasPrefix(b[i+1:], []byte("\r\n"))) {
			return i
		}
	}
	return -1
}

// lengthsOf counts the lines that say how long the body is.
func lengthsOf(head []byte) (n int) {
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			n++
		}
	}
	return n
}

// begin says that a request comes next.
func (c *watchedConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isHead, c.isWhole, c.lengths, c.head = true, false, 0, nil
}

// isClear says that the head of the request at hand was seen, and has at most one length. One that came together with the
// request before it was not seen.
func (c *watchedConn) isClear() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isWhole && c.lengths <= 1
}

// watchedListener watches the connections of a listener.
type watchedListener struct{ net.Listener }

// Accept waits for the next one.
func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &watchedConn{Conn: c}
	w.begin()
	return w, nil
}

type connKey struct{}

// watch makes a server look at heads, and answer those with several lengths by itself; its listener is a [watchedListener].
func watch(s *http.Server, refuse func(*http.Request)) {
	next := s.Handler
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if w, ok := c.(*watchedConn); ok && state == http.StateIdle {
			w.begin()
		}
	}
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*watchedConn); ok && !c.isClear() {
			refuse(r)
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
