package proxy

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
)

// watchedConn counts the lines about the length of the body in each head (request line and headers) that arrives.
// net/http accepts a request that has both Content-Length and Transfer-Encoding, or the same Content-Length twice, and
// drops one of the lines silently. Envoy refuses it, since a server that obeys the other line would read another
// request.
type watchedConn struct {
	net.Conn

	mu      sync.Mutex
	isHead  bool   // the next bytes belong to a head
	head    []byte // the bytes of the head so far
	isWhole bool   // the head of the current request has been read to its end
	lengths int    // the lines about the length of the body in this head
}

// maxWatched bounds the bytes of a head that are kept; net/http itself refuses a larger head.
const maxWatched = maxHeaders + 8<<10

// Read reads from the connection.
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

// headEnd returns the index of the line feed before the empty line that ends a head, or -1. Some clients end lines with
// only a line feed.
func headEnd(b []byte) int {
	for i := range b {
		if b[i] == '\n' && (bytes.HasPrefix(b[i+1:], []byte("\n")) || bytes.HasPrefix(b[i+1:], []byte("\r\n"))) {
			return i
		}
	}
	return -1
}

// lengthsOf counts the lines of a head that are about the length of the body.
func lengthsOf(head []byte) (n int) {
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			n++
		}
	}
	return n
}

// begin must be called when the next bytes are the head of a request.
func (c *watchedConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isHead, c.isWhole, c.lengths, c.head = true, false, 0, nil
}

// isClear reports whether the head of the current request was seen and has at most one line about the length of the
// body. The head of a request that arrived together with the request before it is not seen.
func (c *watchedConn) isClear() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isWhole && c.lengths <= 1
}

// watchedListener makes a [watchedConn] of each connection of a listener.
type watchedListener struct{ net.Listener }

// Accept waits for the next connection.
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

// watch makes a server answer with 400 if a head is not clear, see [watchedConn]. The server's listener must be a
// [watchedListener]. refuse is called for each such request.
func watch(s *http.Server, refuse func(*http.Request)) {
	next := s.Handler
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if w, ok := c.(*watchedConn); ok && state == http.StateIdle {
			w.begin()
		}
	}
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*watchedConn); ok && r.ProtoMajor < 2 && !c.isClear() {
			refuse(r)
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
