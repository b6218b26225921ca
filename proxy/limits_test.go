package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
