package proxy

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"waymark.dev/waymark/effect"
)

func TestLoopbackStandsForEveryAddress(t *testing.T) {
	for bind, want := range map[string]string{
		"0.0.0.0": "127.0.0.1", "::": "::1", "10.0.0.1": "10.0.0.1", "127.0.0.2": "127.0.0.2", "fe80::1": "fe80::1", "": "",
	} {
		assert.Equal(t, want, loopback(bind), bind)
	}
}

// No client holds a connection or memory for ever.
func TestClientsAreLimited(t *testing.T) {
	p := &Proxy{options: Options{Access: func(Access) {}}, state: &state{}}
	s := p.httpServer("none")
	for what, limit := range map[string]time.Duration{"headers": s.ReadHeaderTimeout, "request": s.ReadTimeout, "idle": s.IdleTimeout} {
		assert.Positive(t, limit, what)
		assert.LessOrEqual(t, limit, time.Hour, what)
	}
	assert.Equal(t, 60<<10, s.MaxHeaderBytes+4096)

	s.ReadHeaderTimeout = 50 * time.Millisecond // the limits are in force, however long they are
	server := httptest.NewUnstartedServer(s.Handler)
	server.Config = s
	server.Start()
	defer server.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	_ = response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	r.Header.Set("x-large", strings.Repeat("a", 70<<10))
	response, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	_ = response.Body.Close()
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
}

// A request with a length and with chunks, or with two lengths, is refused, as by Envoy, and so is one whose head was not seen because it came
// together with the one before; requests one after the other are answered.
func TestLengths(t *testing.T) {
	p := &Proxy{options: Options{Access: func(Access) {}}, state: &state{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := p.httpServer("none") // which answers 404
	go func() { _ = s.Serve(watchedListener{l}) }()
	defer func() { _ = s.Close() }()
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"
	for what, c := range map[string]struct {
		parts  []string // each sent when the one before was answered, or at once with it
		status []int
	}{
		"a length":                    {[]string{post + "Content-Length: 3\r\n\r\nabc", get}, []int{404, 404}},
		"chunks":                      {[]string{post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", get}, []int{404, 404}},
		"both":                        {[]string{post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, []int{400}},
		"both, the other way round":   {[]string{post + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"}, []int{400}},
		"the same twice":              {[]string{post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"}, []int{400}},
		"both in the second request":  {[]string{get, post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, []int{404, 400}},
		"both behind a body":          {[]string{post + "Content-Length: 3\r\n\r\nabc", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, []int{404, 400}},
		"two requests at once":        {[]string{get + post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, []int{404, 400}},
		"lines that end in line feed": {[]string{"POST / HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\r\n\r\n"}, []int{400}},
	} {
		t.Run(what, func(t *testing.T) {
			for _, size := range []int{1 << 20, 7, 1} { // bytes that are sent at a time
				connection, err := net.Dial("tcp", l.Addr().String())
				require.NoError(t, err)
				require.NoError(t, connection.SetDeadline(time.Now().Add(10*time.Second)))
				answers := bufio.NewReader(connection)
				got := []int{}
				read := func() {
					response, err := http.ReadResponse(answers, nil)
					require.NoError(t, err)
					_, _ = io.Copy(io.Discard, response.Body)
					got = append(got, response.StatusCode)
				}
				for _, part := range c.parts {
					for at := 0; at < len(part); at += size {
						_, err := io.WriteString(connection, part[at:min(len(part), at+size)])
						if err != nil {
							break // it was refused before its end
						}
					}
					read()
				}
				for len(got) < len(c.status) {
					read()
				}
				want := c.status
				if what == "two requests at once" && size < 100 {
					want = nil // the second may come by itself
				}
				if want != nil {
					assert.Equal(t, want, got, "%d bytes at a time", size)
				}
				_ = connection.Close()
			}
		})
	}
}

// A request that Envoy's codec of HTTP/2 refuses gets no answer: its stream is closed, and nothing is printed about it.
func TestRefusedStreamsAreClosed(t *testing.T) {
	var logged Access
	p := &Proxy{
		options: Options{Access: func(a Access) { logged = a }, Intake: effect.Intake{Underscores: effect.RejectUnderscores}},
		state:   &state{sites: map[string][]*site{"l": {{}}}},
	}
	s := p.httpServer("l")
	var printed bytes.Buffer
	s.ErrorLog = log.New(&printed, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(watchedListener{l}) }() // ends when the server is closed
	client := newTransport(true, (&net.Dialer{}).DialContext)
	q, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String(), nil)
	require.NoError(t, err)
	q.Header.Set("a_b", "1")
	_, err = client.RoundTrip(q)
	require.ErrorContains(t, err, "stream error")
	client.CloseIdleConnections()
	require.NoError(t, s.Shutdown(t.Context()))
	assert.Empty(t, printed.String())
	assert.Equal(t, "/", logged.Path)
	assert.Zero(t, logged.Status)
}

// What clients send wrongly by HTTP/2 is not in the log, which another failure of the server is in.
func TestBrokenClientsFillNoLog(t *testing.T) {
	said := make(chan string, 10)
	p := &Proxy{options: Options{Log: func(text string) { said <- text }}, state: &state{}}
	s := p.httpServer("l")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(watchedListener{l}) }() // ends when the server is closed
	t.Cleanup(func() { _ = s.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	headers := "\x00\x00\x02\x01\x05\x00\x00\x00\x01\xff\xff" // an index that no table has
	_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+settings+headers)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, c)
	require.NoError(t, err, "the server closes the connection")
	s.ErrorLog.Print("http: Accept error")
	assert.Equal(t, "http: Accept error", <-said)
}
