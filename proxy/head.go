package proxy

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
)

// watchedConn looks at the heads of requests as they come in. net/http takes a request that has both a length and chunks,
// and drops the length without a word; Envoy refuses it, since whoever believes the other one reads another request.
type watchedConn struct {
	net.Conn

	mu      sync.Mutex
	isHead  bool   // what comes next belongs to a head
	head    []byte // what has come of it
	isWhole bool
	hasBoth bool
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
		c.isHead, c.isWhole, c.hasBoth = false, true, hasBothLengths(c.head[:from+end])
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

func hasBothLengths(head []byte) bool {
	length, chunks := false, false
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		length = length || bytes.EqualFold(name, []byte("Content-Length"))
		chunks = chunks || bytes.EqualFold(name, []byte("Transfer-Encoding"))
	}
	return length && chunks
}

// begin says that a request comes next.
func (c *watchedConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isHead, c.isWhole, c.hasBoth, c.head = true, false, false, nil
}

// isClear says that the head of the request at hand was seen, and has not both lengths. One that came together with the
// request before it was not seen.
func (c *watchedConn) isClear() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isWhole && !c.hasBoth
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

// watch makes a server look at heads, and answer those with both lengths by itself; its listener is a [watchedListener].
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
